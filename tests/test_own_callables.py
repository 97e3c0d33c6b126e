"""A metric or an architecture of the user's own is known for what it is, whatever kind of callable it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

import bncheck
from bncheck.render import renderer
from bncheck.render.html import render_fragment
from bncheck.render.terminal.repair_table import print_repair
from bncheck.render.terminal.report import print_report
from bncheck.results.report import Report
from bncheck.settings import name_of_callable

SCORE = -132.926
FEATURES = 3


def score(outputs: torch.Tensor, labels: torch.Tensor, factor: float = 1.0) -> float:
    return SCORE * factor


class Score:
    """A metric with a state, as the libraries of metrics have them."""

    def __call__(self, outputs: torch.Tensor, labels: torch.Tensor) -> float:
        return SCORE


class Module(nn.Module):
    """A metric that is a module."""

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.tensor(SCORE)


METRICS: dict[str, Callable[..., Any]] = {
    "function": score,
    "partial": partial(score, factor=1.0),
    "partial of a partial": partial(partial(score), factor=1.0),
    "object": Score(),
    "bound method": Score().__call__,
    "module": Module(),
}


def net(width: int = FEATURES) -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, FEATURES)).eval()


def labelled() -> tuple[torch.Tensor, torch.Tensor]:
    x = 2 + torch.randn(300, FEATURES, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(300) % FEATURES


def printed(value: Any, show: Callable[[Any, Console], None]) -> str:
    console = Console(file=io.StringIO(), width=100)
    show(value, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def told(report: Report, *, drawn: bool = True) -> dict[str, str]:
    """The report in every way that shows how well the model predicts; what is not drawn costs less."""
    texts = {"terminal": printed(report, print_report), "markdown": renderer("markdown")(report)}
    pages = {"html": renderer("html"), "notebook": render_fragment} if drawn else {}
    return texts | {name: page(report) for name, page in pages.items()}


def require_metric(text: str) -> None:
    assert "-13292.6%" not in text
    assert "Accuracy:" not in text
    assert "accuracy as shipped" not in text
    assert "etric" in text
    assert "-133" in text


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save(net().state_dict(), tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.mark.parametrize("kind", METRICS)
def test_a_metric_is_called_one_in_every_rendering(kind: str) -> None:
    report = bncheck.inspect(net(), labelled(), metric=METRICS[kind])
    assert report.run.asked.metric
    assert isinstance(report.run.options["metric"], str)
    for text in told(report, drawn=kind == "partial").values():
        require_metric(text)


@pytest.mark.parametrize("kind", ["function", "partial"])
def test_the_metric_of_a_repair_is_called_one(kind: str, saved: Path) -> None:
    result = bncheck.repair_file(saved, labelled(), out=None, arch=net, metric=METRICS[kind])
    assert result.after is not None
    for report in (result.before, result.after):
        assert report.run.asked.metric
        for text in told(report, drawn=kind == "function").values():
            require_metric(text)
    require_metric(printed(result, print_repair))


def test_accuracy_stays_accuracy() -> None:
    report = bncheck.inspect(net(), labelled())
    assert not report.run.asked.metric
    assert "Accuracy: " in str(renderer("markdown")(report))
    assert "Accuracy on 256 samples: " in printed(report, print_report)


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "function": net,
    "partial": partial(net, FEATURES),
    "object": type("Maker", (), {"__call__": lambda self: net()})(),
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_an_architecture_that_was_given_is_not_asked_for(kind: str, saved: Path) -> None:
    report = bncheck.inspect(saved, arch=ARCHITECTURES[kind])
    assert 'only data can tell: arch="FILE.py:CALLABLE", data=D' in " ".join(str(bncheck.inspect(saved)).split())
    assert "only data can tell: data=D" in " ".join(str(report).split())


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_lets_as_many_rules_judge(kind: str, saved: Path) -> None:
    by_name = bncheck.inspect(saved, arch=net)
    assert renderer("junit")(bncheck.inspect(saved, arch=ARCHITECTURES[kind])) == renderer("junit")(by_name)
    assert renderer("junit")(bncheck.inspect(saved)) != renderer("junit")(by_name)


def test_callables_are_named_for_a_reader() -> None:
    assert {name_of_callable(METRICS[kind]) for kind in ("function", "partial", "partial of a partial")} == {"score"}
    assert name_of_callable(METRICS["object"]) == "Score"
    assert name_of_callable(METRICS["bound method"]) == "Score.__call__"
    assert name_of_callable(METRICS["module"]) == "Module"
