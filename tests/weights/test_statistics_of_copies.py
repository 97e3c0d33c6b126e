"""BN401 without data: whose weights an averaged copy's statistics fit, and what must not be said of healthy copies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bncheck
from bncheck.formats import open_model
from bncheck.measure import static_evidence
from bncheck.results import Finding
from bncheck.rules import judge
from bncheck.weights import copies_of
from tests.weights.block_nets import measured, norms, plain, samples

State = dict[str, torch.Tensor]
BUFFERS = ("running_mean", "running_var")


def moved_on(net: nn.Module, by: float, seed: int) -> nn.Module:
    """The network some steps later: other weights, and the statistics of what its layers are fed then."""
    later, generator = copy.deepcopy(net), torch.Generator().manual_seed(seed)
    for parameter in later.parameters():
        parameter.data += by * parameter.data.std() * torch.randn(parameter.shape, generator=generator)
    for norm in norms(later):
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        later.train()(samples())
    for norm in norms(later):
        norm.num_batches_tracked.fill_(1000)
    return later.eval()


@lru_cache
def states(*, norm_last: bool = False) -> tuple[State, State, State]:
    """The raw model, an average of its weights with statistics of its own, and the model of an earlier moment."""
    raw = measured(plain(norm_last=norm_last))
    return raw.state_dict(), moved_on(raw, 0.3, 1).state_dict(), moved_on(raw, 0.6, 2).state_dict()


def under(weights: State, statistics: State) -> State:
    """The weights of one with the statistics of another."""
    return {name: (statistics if name.endswith(BUFFERS) else weights)[name] for name in weights}


def between(one: State, other: State, share: float = 0.5) -> State:
    """An average of weights and buffers alike."""
    return {name: torch.lerp(one[name].double(), other[name].double(), share).to(one[name].dtype) for name in one}


def found_in(content: object, tmp_path: Path, key: str | None = None) -> list[Finding]:
    """What BN401 says of a file, without the other rules, which take longer."""
    torch.save(content, tmp_path / "last.pt")
    model = open_model(tmp_path / "last.pt", key=key)
    return list(judge(replace(static_evidence(model), copies=copies_of(model)), {"BN401"}))


def joined(raw: State, ema: State, first: str, second: str) -> State:
    return {**{f"{first}{name}": raw[name] for name in raw}, **{f"{second}{name}": ema[name] for name in ema}}


LAYOUTS: dict[str, tuple[Callable[[State, State], object], str, str]] = {
    "two entries": (lambda raw, ema: {"model": raw, "ema": ema}, "ema", ""),
    "two prefixes": (lambda raw, ema: joined(raw, ema, "online_model.", "ema_model."), "ema_model", "online_model."),
    "beside the files own": (lambda raw, ema: joined(raw, ema, "", "ema."), "ema", ""),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bit_equal", [True, False])
def test_the_raw_models_statistics_are_told(layout: str, bit_equal: bool, tmp_path: Path) -> None:
    raw, averaged, _ = states()
    write, key, prefix = LAYOUTS[layout]
    statistics = raw if bit_equal else {name: raw[name] * 1.001 for name in raw}
    content = write(raw, under(averaged, statistics))
    (beside,) = found_in(content, tmp_path)
    (inspected,) = found_in(content, tmp_path, key=key)
    assert beside.severity == inspected.severity == "warning"
    assert (beside.layers, beside.evidence["copy"]) == ((), key)
    names = [name.rpartition(".")[0] for name in raw if name.endswith("running_mean")]
    assert list(inspected.layers) == names[1:]  # the first is fed by the input
    assert beside.evidence["layers_predicted"] == [prefix + name for name in names[1:]]
    for finding in (beside, inspected):
        assert ("bit for bit" in finding.message) == bit_equal == finding.evidence["same_statistics"]
        own, under_raw = (np.median(finding.evidence[f"distances_by_{whose}_weights"]) for whose in ("own", "raw"))
        assert f"{own:.2f} stored deviations" in finding.message
        assert f"{under_raw:.2f} from those that the weights of" in finding.message
        assert own > 2 * under_raw
    assert f"`{key}`" in beside.message
    assert "these averaged weights" in inspected.message


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("key", [True, False])
def test_statistics_of_an_earlier_moment_are_told(layout: str, key: bool, tmp_path: Path) -> None:
    raw, averaged, earlier = states()
    write, name, _ = LAYOUTS[layout]
    (finding,) = found_in(write(raw, under(averaged, earlier)), tmp_path, key=name if key else None)
    assert finding.severity == "warning"
    assert "are of another moment or model" in finding.message
    assert "of its own" in finding.message


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("share", [None, 0.1, 0.5])
def test_healthy_copies_are_left_alone(layout: str, share: float | None, tmp_path: Path) -> None:
    """Measured under its own weights, or averaged along with them, of moments near to each other."""
    raw, averaged, _ = states()
    write, name, _ = LAYOUTS[layout]
    ema = averaged if share is None else between(raw, moved_near()[1], share)
    assert found_in(write(raw, ema), tmp_path) == found_in(write(raw, ema), tmp_path, name) == []


def test_an_audit_tells_it_and_nothing_else(tmp_path: Path) -> None:
    raw, averaged, earlier = states()
    for statistics, codes in ((raw, ["BN401"]), (earlier, ["BN401"]), (averaged, [])):
        torch.save({"model": raw, "ema": under(averaged, statistics)}, tmp_path / "last.pt")
        report = bncheck.inspect(tmp_path / "last.pt", key="ema")
        assert [finding.code for finding in report.findings] == codes
        assert report.summary.exit_code == len(codes)


@lru_cache
def moved_near() -> tuple[State, State]:
    raw = measured(plain())
    return raw.state_dict(), moved_on(raw, 0.1, 3).state_dict()


def test_weights_so_close_that_nothing_can_be_told_are_a_remark(tmp_path: Path) -> None:
    raw, _, _ = states()
    close = {name: value if name.endswith(BUFFERS) or "num_" in name else 1.002 * value for name, value in raw.items()}
    for key in (None, "ema"):
        (finding,) = found_in({"model": raw, "ema": close}, tmp_path, key=key)
        assert finding.severity == "info"
        assert "harmless while both sets of weights are close: as far as 7 layers tell" in finding.message


def test_what_cannot_be_predicted_is_not_judged_by_it(tmp_path: Path) -> None:
    raw, averaged, earlier = states(norm_last=True)
    (same,) = found_in({"model": raw, "ema": under(averaged, raw)}, tmp_path)
    assert (same.severity, "layers_predicted" in same.evidence) == ("info", False)
    assert "sets of weights are close." in same.message
    assert found_in({"model": raw, "ema": under(averaged, earlier)}, tmp_path) == []


def test_pickled_modules_are_compared_without_running_them(tmp_path: Path) -> None:
    raw = measured(plain())
    averaged = plain().eval()
    averaged.load_state_dict(under(states()[1], states()[0]))
    (finding,) = found_in({"model": raw, "ema": averaged}, tmp_path)
    assert (finding.severity, finding.evidence["copy"]) == ("warning", "ema")


def test_who_names_the_raw_model_is_told_nothing(tmp_path: Path) -> None:
    raw, averaged, _ = states()
    assert found_in({"model": raw, "ema": under(averaged, raw)}, tmp_path, key="model") == []


def test_a_raw_model_whose_statistics_lag_is_no_other_models(tmp_path: Path) -> None:
    """Running statistics are an average over the last steps, and may fit an average of the weights better."""
    raw, averaged, _ = states()
    assert found_in({"model": under(raw, averaged), "ema": averaged}, tmp_path)[0].severity == "info"


def test_the_distances_are_those_of_the_layers_alone(tmp_path: Path) -> None:
    raw, averaged, earlier = states()
    torch.save({"model": raw, "ema": under(averaged, earlier)}, tmp_path / "last.pt")
    (fit,) = copies_of(open_model(tmp_path / "last.pt"))
    (turned,) = copies_of(open_model(tmp_path / "last.pt", key="ema"))
    assert fit.layers == turned.layers
    for one, other in ((fit.own, turned.own), (fit.under_raw, turned.under_raw), (fit.of_raw, turned.of_raw)):
        assert np.allclose(one, other)


def test_initial_or_impossible_statistics_are_not_compared(tmp_path: Path) -> None:
    raw, averaged, _ = states()

    def spoiled(values: Mapping[str, torch.Tensor], value: float) -> State:
        return {name: torch.full_like(one, value) if name.endswith(BUFFERS) else one for name, one in values.items()}

    for value in (0.0, float("nan"), -1.0):
        torch.save({"model": raw, "ema": spoiled(averaged, value)}, tmp_path / "last.pt")
        assert copies_of(open_model(tmp_path / "last.pt")) == ()
