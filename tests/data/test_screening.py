"""Samples that hold NaN or infinity: a fault of the data, named, or left out and counted."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import bncheck
from bncheck.data import DataOptions, open_data
from bncheck.data.batches import Batch
from bncheck.data.screening import not_finite
from bncheck.errors import DataError

NAN, INF = float("nan"), float("inf")
SKIP = DataOptions(skip_bad_samples=True)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 3)).eval()


def images(*bad: int, value: float = NAN, number: int = 300) -> torch.Tensor:
    x = torch.randn((number, 2, 4, 4), generator=torch.Generator().manual_seed(1))
    for sample in bad:
        x[sample, 1, 2, 3] = value
    return x


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_the_samples_are_named_before_anything_is_judged(value):
    with pytest.raises(DataError, match=r"2 of 300 samples read hold NaN or infinity: numbers 7, 260, counted from 0"):
        bncheck.inspect(net(), images(7, 260, value=value))
    with pytest.raises(DataError, match=r"1 of 300 samples read holds NaN or infinity: number 7, .*skip_bad_samples"):
        bncheck.recalibrate(net(), images(7, value=value))


def test_of_many_the_first_are_named():
    with pytest.raises(DataError, match=r"12 of 300 .*numbers 0, 1, 2, 3, 4, 5, 6, 7 and 4 more"):
        bncheck.inspect(net(), images(*range(12)))


def test_a_loader_names_those_of_the_batch_it_gave():
    batches = [images(number=20), images(3, number=20), images(1, number=20)]
    with pytest.raises(DataError, match=r"1 of 40 samples read holds NaN or infinity: number 23,"):
        list(open_data(batches).given_batches(64))
    with pytest.raises(DataError, match=r"2 of 60 samples read hold NaN or infinity: numbers 23, 41,"):
        bncheck.inspect(net(), batches)


def test_training_data_are_looked_at_too():
    with pytest.raises(DataError, match=r"number 5,"):
        bncheck.inspect(net(), images(), train_data=images(5))


@pytest.mark.parametrize("value", [NAN, INF])
def test_skipped_samples_are_counted_and_the_rest_judged_as_if_they_were_not_there(value):
    x, labels = images(7, 260, value=value), torch.arange(300) % 3
    report = bncheck.inspect(net(), (x, labels), data_options=SKIP)
    assert (report.data.samples, report.summary.samples_left_out) == (298, 2)
    assert "2 samples left out (numbers 7, 260): NaN or infinity in the data" in report.run.notes
    kept = torch.tensor([number not in (7, 260) for number in range(300)])
    without = bncheck.inspect(net(), (x[kept], labels[kept]))
    assert report.layers[0].gap == pytest.approx(without.layers[0].gap, rel=1e-5)
    assert [finding.code for finding in report.findings] == [finding.code for finding in without.findings]
    assert report.effect.accuracy.stored == without.effect.accuracy.stored
    assert bncheck.inspect(net(), (x, labels), data_options=SKIP, strict=True).summary.exit_code == 4
    repaired = bncheck.recalibrate(net(), x, data_options=SKIP, until=0)
    torch.testing.assert_close(repaired[0].running_mean, x[kept].mean((0, 2, 3)))


def test_skipping_changes_nothing_where_nothing_is_bad():
    report = bncheck.inspect(net(), images(), data_options=SKIP)
    assert report.summary == bncheck.inspect(net(), images()).summary
    assert (report.summary.samples_left_out, report.run.notes) == (0, ())


def test_of_a_loader_whole_batches_may_go():
    x = images(3, *range(20, 40), number=100)
    loader = DataLoader(TensorDataset(x), 20)
    source = open_data(loader, SKIP)
    assert [batch.size for batch in source.given_batches(64)] == [19, 20, 20, 20]
    assert sum(batch.size for batch in source.batches(16)) == 79
    assert source.left_out == 21
    assert source.notes[0].first == (3, *range(20, 27))


def test_all_samples_bad_are_no_data():
    with pytest.raises(DataError, match=r"all 40 samples read hold NaN or infinity"):
        bncheck.inspect(net(), images(*range(40), number=40), data_options=SKIP)


def test_a_model_that_makes_nan_of_finite_samples_is_no_fault_of_theirs():
    class Overflows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(torch.exp(1000 * (x + 1)))

    for options in (None, SKIP):
        report = bncheck.inspect(Overflows().eval(), images(), data_options=options)
        assert [finding.code for finding in report.findings] == ["BN603"]
        assert report.summary.samples_left_out == 0


def test_a_look_at_the_first_sample_is_at_the_first_good_one():
    (peek,) = open_data(images(0, 1), SKIP).given_batches(1, limit=1)
    assert peek.positions.tolist() == [2]
    (drawn,) = open_data(images(*range(150)), SKIP).batches(64, limit=40)
    assert 0 < drawn.size < 40


def test_what_is_split_is_looked_at_in_both_parts():
    rest, drawn = open_data(images(7), SKIP).split(0.2, seed=0)
    read = sum(batch.size for part in (rest, drawn) for batch in part.batches(64))
    assert (read, rest.left_out + drawn.left_out) == (299, 1)


# Which samples


def bad(*inputs: torch.Tensor, size: int | None = None) -> list[int]:
    batch = Batch(inputs if len(inputs) > 1 else inputs[0], None, size or len(inputs[0]))
    return torch.nonzero(not_finite(batch)).flatten().tolist()


def test_a_mask_that_is_added_is_as_it_should_be():
    mask = torch.zeros(4, 5)
    mask[:, 3:] = -INF
    assert bad(images(number=4), mask) == []
    mask[2, 0] = 1.0
    assert bad(images(number=4), mask) == [0, 1, 2, 3]
    mask[2, 0] = INF
    assert bad(images(number=4), mask) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ((torch.tensor([1.0, NAN, 3.0]),), [1]),
        ((torch.tensor([1, 2, 3]),), []),
        ((torch.tensor([[1.0 + 1j], [complex(NAN, 0)]]),), [1]),
        ((torch.tensor([[1.0, 2.0]] * 2, dtype=torch.float16), torch.tensor([1.0, INF])), [1]),
        ((torch.tensor([[0.0], [-INF]]),), []),
    ],
    ids=["one number a sample", "integers", "complex", "the second input", "an additive mask"],
)
def test_which_samples_are_not_finite(inputs, expected):
    assert bad(*inputs) == expected


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"])
def test_values_of_eight_bits_are_looked_at(kind):
    """PyTorch has no `isfinite` for most of them."""
    assert bad(torch.tensor([1.0, NAN, 3.0]).to(getattr(torch, kind))) == [1]


def test_values_that_can_only_be_stored_are_refused():
    with pytest.raises(DataError, match=r"Values of type float4_e2m1fn_x2 can only be stored"):
        bad(torch.empty(3, 2, dtype=torch.float4_e2m1fn_x2))


def test_whose_a_value_is_cannot_be_told_where_the_first_axis_is_not_the_sample():
    nodes = torch.ones(7, 2)
    nodes[5, 1] = NAN
    assert bad(torch.ones(3, 1), nodes, size=3) == [0, 1, 2]
