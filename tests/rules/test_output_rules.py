"""BN208 (outputs that are not finite): what fires it, and what must not."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from digit_nets import assert_healthy, codes, norms, only
from test_every_task import of_task
from torch import nn

import bncheck
from bncheck.predictions.outputs import not_finite

NAN, INF = float("nan"), float("inf")


class Behind(nn.Module):
    """A net whose scores something is done with."""

    def __init__(self, net: nn.Module, change) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        return self.change(self.net(x))


def inspected(net: nn.Module, data) -> bncheck.Report:
    return bncheck.inspect(net, data, batch_sizes=(16,))


def with_broken_head() -> nn.Module:
    """One of the weights behind the last normalization is NaN, so that one score of each sample is."""
    net = copy.deepcopy(of_task("classes")[0])
    with torch.no_grad():
        net.get_submodule("15").weight[0, 0] = NAN
    return net


@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_a_head_of_nan_is_an_error_that_names_it(labelled: bool) -> None:
    _, x, y = of_task("classes")
    report = inspected(with_broken_head(), (x, y) if labelled else x)
    finding = only(report, "BN208")
    assert (report.summary.exit_code, codes(report)) == (1, ["BN208"])
    assert finding.evidence["tensors_not_finite"] == ["15.weight"]
    assert finding.evidence["last_finite_layer"] == "13"
    assert "320 of 320 samples" in finding.message


def test_a_few_samples_count_and_scores_masked_on_purpose_do_not() -> None:
    net, x, y = of_task("classes")
    y = y.clamp(max=2)
    below = net(x)[:, 0].quantile(0.1)
    some = inspected(Behind(net, lambda out: out / (out[:, :1] > below)), (x, y))
    assert only(some, "BN208").evidence["samples_not_finite"] == 32
    masked = inspected(Behind(net, lambda out: torch.cat([out[:, :3], torch.full_like(out[:, :1], -INF)], 1)), (x, y))
    assert_healthy(masked)


@pytest.mark.parametrize(("place", "code"), [("norm", "BN201"), ("weights before it", "BN603")])
def test_values_that_a_layer_holds_or_sees_are_told_of_that_layer(place: str, code: str) -> None:
    net, x, y = of_task("classes")
    net = copy.deepcopy(net)
    with torch.no_grad():
        if place == "norm":
            norms(net)[-1].running_mean[0] = NAN
        else:
            net.get_submodule("12").weight[0] = NAN
    assert codes(inspected(net, (x, y))) == [code]


def test_a_repair_that_leaves_nan_behind_is_no_better(tmp_path: Path) -> None:
    _, x, _ = of_task("classes")
    torch.save(with_broken_head(), tmp_path / "net.pt")
    result = bncheck.repair_file(str(tmp_path / "net.pt"), x, out=tmp_path / "out.pt", trust_pickle=True)
    assert (result.outcome, result.exit_code) == ("no-difference", 1)
    net = copy.deepcopy(of_task("classes")[0])
    norms(net)[-1].running_mean[0] = NAN
    torch.save(net, tmp_path / "net.pt")
    result = bncheck.repair_file(
        str(tmp_path / "net.pt"), x, out=tmp_path / "out.pt", trust_pickle=True, overwrite=True
    )
    assert (result.outcome, result.exit_code) == ("better", 0)


@pytest.mark.parametrize(
    ("output", "selector", "expected"),
    [
        (torch.tensor([[1.0, NAN], [1.0, 2.0], [INF, 0.0], [-INF, 1.0], [-INF, -INF]]), None, 3),
        ({"good": torch.zeros(2, 3), "bad": torch.full((2, 1), NAN)}, None, 2),
        ({"good": torch.zeros(2, 3), "bad": torch.full((2, 1), NAN)}, "good", 0),
        ((torch.zeros(2), torch.full((3,), NAN)), None, 3),
        ((torch.zeros(2, 0), torch.tensor([NAN, 1.0])), None, 1),
        (torch.tensor([1, 2]), None, 0),
        (torch.tensor(NAN), None, 0),
    ],
)
def test_samples_are_counted_by_their_outputs(output: object, selector: str | None, expected: int) -> None:
    assert not_finite(output, selector) == expected
