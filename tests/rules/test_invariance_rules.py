"""BN703 (predictions change with batch composition): what fires it, and what must not."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from digit_nets import SAMPLES, assert_healthy, codes, conv_net, train
from hand_built import evidence, measured
from torch import nn

import bncheck
from bncheck.evidence.probed import Invariance, Probed
from bncheck.rules import judge


@pytest.fixture(scope="module")
def trained(training) -> nn.Module:
    torch.manual_seed(0)
    return train(conv_net(), training, epochs=3)


class Then(nn.Module):
    """A net, and something done to its scores."""

    def __init__(self, net: nn.Module, last) -> None:
        super().__init__()
        self.net, self.last = net, last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.net(x))


def without_statistics(net: nn.Module) -> nn.Module:
    """The net whose second BatchNorm normalizes by the batch, by configuration."""
    net = nn.Sequential(*net)
    net[5] = nn.BatchNorm2d(32, track_running_stats=False)
    return net.eval()


def attention_over_the_batch(scores: torch.Tensor) -> torch.Tensor:
    return torch.softmax(scores @ scores.T / 10, 1) @ scores


MIXERS = {
    "attention": attention_over_the_batch,
    "softmax over the batch": lambda scores: scores.softmax(0),
    "less the batch's mean": lambda scores: scores - scores.mean(0),
    "rows shuffled": lambda scores: scores.roll(1, 0),
}


def invariance(report) -> list:
    return [finding for finding in report.findings if finding.code == "BN703"]


def test_a_norm_without_statistics_is_named_as_the_cause(trained, held_out):
    net = without_statistics(trained)
    assert [finding.code for finding in bncheck.inspect(net, held_out).findings] == ["BN303"]
    report = bncheck.inspect(net, held_out, ignore=["BN303"])
    (finding,) = invariance(report)
    assert (finding.severity, finding.layer, report.summary.exit_code) == ("error", "5", 1)
    assert "having no stored statistics" in finding.message
    assert "track_running_stats=True" in finding.fix
    assert finding.evidence["output_change"] > 100 * finding.evidence["output_change_of_the_same_batch"]


@pytest.mark.parametrize("mixer", MIXERS)
def test_whatever_mixes_samples_is_found(trained, held_out, mixer):
    report = bncheck.inspect(Then(trained, MIXERS[mixer]), held_out[0])
    (finding,) = invariance(report)
    assert finding.layer is None
    assert "an axis mistaken for the batch" in finding.fix


def test_the_batch_size_table_is_left_out_with_the_reason(trained, held_out):
    report = bncheck.inspect(Then(trained, attention_over_the_batch), held_out)
    assert report.batch_sizes == ()
    assert any("no table of batch sizes" in note for note in report.run.notes)
    assert bncheck.inspect(trained, held_out).batch_sizes != ()


def test_a_script_in_training_mode_is_bn701_alone(tmp_path, held_out):
    net = conv_net().train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(net, held_out[0][:16], check_trace=False).save(str(tmp_path / "training.pt"))
    report = bncheck.inspect(tmp_path / "training.pt", held_out[0])
    assert codes(report) == ["BN701"]
    assert report.batch_sizes == ()


class Noisy(nn.Module):
    """Scores with noise that is drawn anew in every forward, in eval mode too."""

    def __init__(self, net: nn.Module, size: float) -> None:
        super().__init__()
        self.net, self.size = net, size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.net(x)
        return scores + self.size * torch.randn_like(scores)


@pytest.mark.parametrize("size", [0.01, 1.0])
def test_randomness_is_not_the_mates(trained, held_out, size):
    assert invariance(bncheck.inspect(Noisy(trained, size), held_out[0])) == []


class Counting(nn.Module):
    """Scores that grow with every call: a state that is kept, whatever the batch is."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.net(x) * (1 + 0.1 * self.calls)


def test_a_state_that_is_kept_is_not_the_mates(trained, held_out):
    assert invariance(bncheck.inspect(Counting(trained), held_out[0])) == []


@pytest.mark.slow
def test_dropout_is_off(training, held_out):
    torch.manual_seed(0)
    net = train(conv_net(dropout=0.3), training, epochs=4)
    for batch_size, limit in ((1, 100), (7, 200), (64, None)):
        assert_healthy(bncheck.inspect(net, held_out, batch_size=batch_size, limit=limit))


def test_half_precision_rounds(healthy, held_out):
    x, y = held_out
    assert invariance(bncheck.inspect(healthy.half(), (x[:200], y[:200]))) == []


def test_instance_norms_look_at_one_sample(held_out):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.InstanceNorm2d(8), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 10))
    assert invariance(bncheck.inspect(net.eval(), held_out[0])) == []


@pytest.mark.parametrize("size", [1, 16])
def test_programs_of_a_fixed_batch(trained, held_out, size):
    program = torch.export.export(trained, (held_out[0][:size],))
    assert invariance(bncheck.inspect(program, held_out[0][:96])) == []


@pytest.mark.parametrize("samples", [1, 2, 3, 5])
def test_few_samples(trained, held_out, samples):
    assert invariance(bncheck.inspect(trained, held_out[0][:samples])) == []


def test_outputs_that_are_not_one_per_sample(healthy, held_out):
    assert invariance(bncheck.inspect(Then(healthy, lambda scores: scores.mean(0)), held_out[0])) == []
    assert invariance(bncheck.inspect(Then(healthy, lambda scores: scores.mean()), held_out[0])) == []


def test_a_tampered_sample_is_not_called_so(held_out):
    report = bncheck.inspect(SAMPLES / "never_updated.torchscript.pt", held_out)
    assert codes(report) == ["BN102"]


# By hand


@pytest.mark.parametrize(
    ("change", "again", "decisions", "tolerance", "found"),
    [
        (0.02, 0.0, 0.0, 1e-3, True),
        (0.02, 0.0, None, 1e-3, True),
        (0.005, 0.0, 0.02, 1e-3, True),
        (0.005, 0.0, 0.0, 1e-3, False),
        (0.0009, 0.0, 0.1, 1e-3, False),
        (0.1, 0.0, 0.1, 0.125, False),
        (0.1, 0.04, 0.5, 1e-3, False),
        (math.nan, 0.0, 0.5, 1e-3, False),
    ],
)
def test_more_than_rounding_and_randomness_and_enough_to_matter(change, again, decisions, tolerance, found):
    seen = Invariance(64, 16, change, again, decisions, tolerance)
    assert [finding.code for finding in judge(evidence(measured(0.1), probed=Probed(invariance=seen)))] == (
        ["BN703"] if found else []
    )
