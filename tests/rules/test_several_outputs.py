"""A model of two outputs with labels of their own: a layer of one of them is wrong, and inspect and repair agree."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from digit_nets import assert_healthy, norms
from test_every_task import inputs, net_of, spread
from torch import nn

import bncheck
from bncheck.results.report import Report

SAMPLES = 320


class TwoHeads(nn.Module):
    """A body, and behind it scores of classes and the corner and size of a box."""

    def __init__(self, *, named: bool) -> None:
        super().__init__()
        net = net_of(4, pooled=True)
        spread(net, inputs(SAMPLES, 2, 2, 8, 8))
        layers = list(net.children())
        self.named, self.body = named, nn.Sequential(*layers[:6])
        self.scores, self.box = (nn.Sequential(*copy.deepcopy(layers[6:])) for _ in range(2))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor] | tuple[torch.Tensor, torch.Tensor]:
        """Both outputs."""
        features = self.body(x)
        scores, box = self.scores(features), self.box(features)
        return {"box": box, "class": scores} if self.named else (scores, box)


@cache
def healthy() -> tuple[TwoHeads, torch.Tensor, dict[str, torch.Tensor]]:
    """The net, samples, and what people would have labelled them, which is not quite what it says."""
    net, x = TwoHeads(named=True).eval(), inputs(SAMPLES, 2, 2, 8, 8)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        outputs = net(x)
    noise = {name: torch.randn(SAMPLES, 4, generator=generator) for name in ("class", "box")}
    return (
        net,
        x,
        {
            "class": (outputs["class"] + 0.5 * noise["class"]).argmax(1),
            "box": outputs["box"] + 0.1 * noise["box"],
        },
    )


def broken(*heads: str, named: bool = True) -> TwoHeads:
    """A copy with a norm in each of these heads whose variances are 16 times too large."""
    net = copy.deepcopy(healthy()[0])
    net.named = named
    for head in heads:
        norms(net.get_submodule(head))[1].running_var.mul_(16)
    return net


def named(report: Report) -> tuple[str, str, tuple[str, ...]]:
    """The first finding."""
    return report.findings[0].code, report.findings[0].severity, report.findings[0].layers


def test_each_output_is_judged_by_its_own_labels_and_the_worst_decides() -> None:
    net, x, y = healthy()
    assert_healthy(bncheck.inspect(net, (x, y)))
    report = bncheck.inspect(broken("box"), (x, y))
    assert named(report) == ("BN607", "error", ("box.4",))
    assert "squared error of the output box is" in report.findings[0].message
    told = report.to_dict()["effect"]
    assert (told["head"], told["task"]) == ("box", "numbers")
    assert [(one["head"], one["task"]) for one in told["heads"]] == [("class", "classes"), ("box", "numbers")]
    assert abs(told["heads"][0]["score"]["gain"]) < 0.02
    assert Report.from_dict(report.to_dict()).effect == report.effect


def test_tuples_of_labels_go_by_the_outputs_order_and_batches_likewise() -> None:
    _, x, y = healthy()
    pairs = (y["class"], y["box"])
    batches = list(zip(x.split(64), zip(*(one.split(64) for one in pairs), strict=True), strict=True))
    report = bncheck.inspect(broken("scores", named=False), batches)
    assert named(report) == ("BN607", "error", ("scores.4",))
    assert (report.effect.head, report.effect.task) == ("0", "classes")
    assert bncheck.inspect(broken(named=False), (x, pairs), limit=64).effect.head in ("0", "1")


def test_the_output_that_was_chosen_counts_alone() -> None:
    _, x, y = healthy()
    for output, severity in (("class", "warning"), ("box", "error")):  # what 320 such labels neither show nor exclude
        report = bncheck.inspect(broken("box"), (x, y), output=output)
        assert (report.effect.head, report.effect.heads) == (output, ())
        assert named(report) == ("BN607", severity, ("box.4",))


def written(net: nn.Module, folder: Path) -> Path:
    """The whole module in a file."""
    torch.save(net, folder / "net.pt")
    return folder / "net.pt"


def test_a_repair_tells_every_output_and_agrees(tmp_path: Path) -> None:
    _, x, y = healthy()
    path, out = written(broken("box"), tmp_path), tmp_path / "out.pt"
    data = {"x": x, "y": y}
    assert "bncheck.repair" in (bncheck.inspect(str(path), data, trust_pickle=True).summary.next or "")
    result = bncheck.repair_file(str(path), data, out=out, trust_pickle=True)
    assert (result.outcome, result.comparison.head) == ("better", "box")
    assert [one.head for one in result.comparison.heads] == ["class", "box"]
    told = json.loads(json.dumps(result.to_dict()))["comparison"]
    assert [one["head"] for one in told["heads"]] == ["class", "box"]


def test_a_repair_that_ruins_another_output_is_neither_advised_nor_written(tmp_path: Path) -> None:
    """The class labels are those that the wrong statistics give, so they are right for them."""
    _, x, y = healthy()
    net = broken("box", "scores")
    with torch.no_grad():
        data = {"x": x, "y": {"class": net(x)["class"].argmax(1), "box": y["box"]}}
    path = written(net, tmp_path)
    report = bncheck.inspect(str(path), data, trust_pickle=True)
    assert (report.effect.head, report.summary.exit_code) == ("box", 1)
    assert "bncheck.repair" not in (report.summary.next or "")
    result = bncheck.repair_file(str(path), data, out=tmp_path / "out.pt", trust_pickle=True)
    assert (result.outcome, result.path) == ("worse", None)


def test_labels_of_no_output_are_refused() -> None:
    _, x, y = healthy()
    with pytest.raises(bncheck.errors.DataError, match="labels are named kind, and the model returns the keys"):
        bncheck.inspect(broken(), (x, {"kind": y["class"]}))
