"""The probes on single layers: what each asks, and that the model is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

import bncheck
from bncheck.core import NormLayer
from bncheck.data.batches import Batch
from bncheck.formats import from_module
from bncheck.formats.backend import Backend
from bncheck.measure.plan import Plan
from bncheck.predictions import PredictionEffect
from bncheck.probes.answers import Reader
from bncheck.probes.questions.alone import moved_alone
from bncheck.probes.questions.calls import call_distances
from bncheck.probes.questions.composition import standard_error
from bncheck.probes.questions.dropout import dropout_gaps
from bncheck.probes.questions.eps import with_eps
from bncheck.probes.questions.padding import flat_shares
from bncheck.probes.session import ProbeSession
from bncheck.watch.policies import STORED, Given, Statistics
from bncheck.watch.recorder import Recorder
from bncheck.watch.sites import Site


def batch_of(x: torch.Tensor) -> list[Batch]:
    return [Batch(x, None, len(x))]


@contextmanager
def probing(model: Backend | nn.Module) -> Iterator[ProbeSession]:
    opened = from_module(model) if isinstance(model, nn.Module) else model
    with opened.session("test", 0) as session:
        yield ProbeSession(session, Reader.of(Plan()), 1000)


class TwoStems(nn.Module):
    """Two layers see the input alone, one with a convolution before it; the third sees what they give."""

    def __init__(self) -> None:
        super().__init__()
        self.raw, self.conv, self.stem = nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.inner, self.head = nn.BatchNorm2d(5), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.raw(x), self.stem(self.conv(x))], 1)
        return self.head(self.inner(torch.relu(x)).mean((2, 3)))


def images(samples: int = 64) -> torch.Tensor:
    return torch.randn((samples, 1, 8, 8), generator=torch.Generator().manual_seed(0)) + 0.5


def test_each_layer_moves_the_outputs_by_itself_only() -> None:
    torch.manual_seed(0)
    model, x = TwoStems().eval(), images()
    statistics = {"stem": Statistics(np.full(4, 0.3), np.full(4, 2.0)), "raw": Statistics(np.zeros(1), np.ones(1))}
    with probing(model) as session:
        moved = moved_alone(session, batch_of(x), statistics, ["stem", "raw", "inner"], PredictionEffect(None, None))
    before = model(x)
    model.stem.running_mean.fill_(0.3)
    model.stem.running_var.fill_(2.0)
    expected = float(((model(x) - before).norm() / before.norm()).detach())
    found = {name: effect.output_change for name, effect in moved.items()}
    assert found == {"stem": pytest.approx(expected, rel=1e-4), "raw": pytest.approx(0.0, abs=1e-6)}


class Shared(nn.Module):
    """One norm for the input and for its multiple."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.norm, self.head, self.factor = nn.BatchNorm1d(4), nn.Linear(4, 3), factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(x)) + self.norm(self.factor * x))


@pytest.mark.parametrize(("factor", "apart"), [(1.0, False), (1.1, False), (8.0, True)])
def test_calls_are_compared_with_their_average(factor: float, apart: bool) -> None:
    torch.manual_seed(0)
    batches, recorder = batch_of(torch.randn(400, 4)), Recorder(per_sample=True)
    with probing(Shared(factor)) as session:
        session.run(batches[0], STORED, recorder)
        found = call_distances(session, batches, recorder, None, None)
    assert (set(found) == {"norm"}) is apart
    if apart:
        # Standard deviations 1 and 8 against the root of the average variance, 5.7.
        assert found["norm"].gap == pytest.approx(1 - 1 / np.sqrt(32.5), abs=0.03)
        assert found["norm"].lower < found["norm"].gap


def test_single_calls_can_be_given_their_own_statistics() -> None:
    x = torch.randn(50, 4)
    model = Shared(3.0).eval()
    own = {Site("norm", 1): Statistics(np.zeros(4), np.full(4, 9.0))}
    with probing(model) as session:
        answered = session.run(batch_of(x)[0], Given({}, own))
    expected = model.head(torch.relu(model.norm(x)) + (3 * x) / (9 + 1e-5) ** 0.5)
    torch.testing.assert_close(answered, expected.detach(), rtol=1e-4, atol=1e-5)


def net_with_dropout() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 8), nn.BatchNorm1d(8)).eval()


def test_dropout_is_switched_on_for_the_question_and_off_again() -> None:
    torch.manual_seed(0)
    model, x = net_with_dropout(), torch.randn(2000, 6)
    model[4].momentum = None
    for _ in range(20):
        model.train()(x)
    opened = from_module(model.eval())
    with probing(opened) as session:
        gaps = dropout_gaps(session, opened.dropouts(), batch_of(x))
    assert gaps["4"].on < 0.05 < 0.2 < gaps["4"].off
    assert not any(module.training for module in opened.program.modules())
    assert not any(module.training for module in model.modules())


def test_dropout_is_switched_off_again_when_a_forward_fails() -> None:
    class Failing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.dropout.training:
                raise RuntimeError("not today")
            return x

        def __init__(self) -> None:
            super().__init__()
            self.dropout = nn.Dropout(0.5)

    opened = from_module(Failing())
    with (
        probing(opened) as session,
        pytest.raises(bncheck.errors.DataError, match="not today"),
    ):
        dropout_gaps(session, opened.dropouts(), batch_of(torch.zeros(4, 2)))
    assert not opened.program.dropout.training


def dropouts(module: nn.Module) -> int:
    return len(from_module(module).dropouts())


def test_only_modules_that_drop_something_count() -> None:
    assert dropouts(nn.Sequential(nn.Dropout(0.0), nn.ReLU())) == 0
    assert dropouts(nn.Sequential(nn.Dropout(0.1), nn.Dropout2d(0.2), nn.AlphaDropout(0.1))) == 3
    assert dropouts(torch.jit.script(nn.Sequential(nn.Dropout(0.5)))) == 0


@pytest.mark.parametrize(
    ("keep", "share", "lopsided"),
    [
        (slice(0, 64), 0.0, 0.0),
        (slice(0, 16), 0.75, 1.0),
        (slice(48, 64), 0.75, 1.0),
        (slice(24, 40), 0.75, 0.0),
    ],
    ids=["no padding", "right", "left", "both sides"],
)
def test_padding_is_what_repeats_its_neighbour_on_one_side(keep: slice, share: float, lopsided: float) -> None:
    x = torch.zeros(20, 3, 64)
    x[:, :, keep] = torch.randn(20, 3, len(range(64)[keep]))
    for program, inputs in ((nn.BatchNorm1d(3), x), (Rows(), x.transpose(1, 2))):
        with probing(program) as session:
            (flat,) = flat_shares(session, batch_of(inputs)).values()
        assert flat.share == pytest.approx(share, abs=0.03)
        assert flat.lopsided == pytest.approx(lopsided, abs=0.1)


class Rows(nn.Module):
    """Normalizes (N, T, C) as rows."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.flatten(0, 1)).reshape(x.shape)


def test_what_is_constant_in_one_channel_only_is_not_flat() -> None:
    x = torch.randn(20, 3, 64)
    x[:, 0] = 0
    x[:, 1, 10:] = 0
    with probing(nn.BatchNorm1d(3)) as session:
        (flat,) = flat_shares(session, batch_of(x)).values()
    assert flat.share == 0


@pytest.mark.parametrize("eps", [None, 0.0, -1.0, -1e-30, np.inf, np.nan])
def test_what_is_no_eps_is_not_exchanged_for_another(eps: float | None) -> None:
    layer = NormLayer("norm", "batch_norm", 2, np.zeros(2), np.full(2, 1e-4), eps=eps)
    assert list(with_eps({"norm": layer}, 1e-3)) == []


def test_variances_that_are_infinite_are_left_as_they_are() -> None:
    layer = NormLayer("norm", "batch_norm", 2, np.zeros(2), np.array([1e-4, np.inf]), eps=1e-5)
    assert list(with_eps({"norm": layer}, 1e-3)) == []
    finite = NormLayer("norm", "batch_norm", 2, np.zeros(2), np.full(2, 1e-4), eps=1e-5)
    ((name, other),) = with_eps({"norm": finite}, 1e-3)
    assert name == "norm"
    np.testing.assert_allclose(other.var, 1e-4 + 1e-3 - 1e-5)


def test_one_batch_of_each_kind_has_no_error_to_tell_and_warns_of_nothing() -> None:
    assert np.isnan(standard_error(torch.tensor([0.5]), None, None))
    assert standard_error(torch.tensor([0.25, 0.75]), None, None) == pytest.approx(0.25)
    assert standard_error(torch.tensor([0.25, 1.0, 0.75, 1.0]), 2, None) == pytest.approx(0.125)
