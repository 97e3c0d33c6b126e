"""Large maps of later samples are read in part: what that adds to the error, and what is read whole all the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import bncheck
from bncheck.core import BATCH_NORM, INSTANCE_NORM, NormLayer
from bncheck.results import MapsReadInPart, Report
from bncheck.watch import Recorder, Site
from bncheck.watch.kernels import FEWEST_POSITIONS, part_of_maps

SITE = Site("bn", 0)


def noise(samples: int, side: int) -> torch.Tensor:
    """Independent positions, the worst case; samples that differ a little in level and spread."""
    x = torch.randn(samples, 3, side, side)
    return x * (1 + 0.2 * torch.rand(samples, 3, 1, 1)) + 0.1 * torch.randn(samples, 3, 1, 1) + 2


def smooth(samples: int, side: int) -> torch.Tensor:
    """Maps of a few broad blobs."""
    coarse = torch.randn(samples, 3, side // 16, side // 16)
    return nn.functional.interpolate(coarse, size=(side, side), mode="bilinear") * 2 - 1


def striped(samples: int, side: int) -> torch.Tensor:
    """Every eighth row is far from the others, as seams of upsampling are: one phase alone would be wrong."""
    return noise(samples, side) + 4.0 * (torch.arange(side) % 8 == 0)[:, None]


def rows(samples: int, side: int) -> torch.Tensor:
    """Every row is of one value, which is another in every sample: of all maps those that a part tells least of."""
    return torch.randn(samples, 3, side, 1).expand(-1, -1, -1, side).contiguous()


def sloping(samples: int, side: int) -> torch.Tensor:
    """Sky above, ground below."""
    return noise(samples, side) + torch.linspace(-2, 2, side)[:, None]


def recorded(x: torch.Tensor, whole: int | None, layer: NormLayer, batch: int = 16) -> Recorder:
    recorder = Recorder(per_sample=True, errors=True, seed=5, whole=whole)
    for start in range(0, len(x), batch):
        part = x[start : start + batch]
        recorder.expect(torch.arange(start, start + len(part)), start).record(SITE, layer, part, len(part))
    return recorder


def batch_norm() -> NormLayer:
    return NormLayer("bn", BATCH_NORM, 3, mean=np.zeros(3), var=np.ones(3), eps=1e-5)


@pytest.mark.parametrize("maps", [noise, smooth, striped, rows, sloping])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_part_tells_mean_and_variance_far_better_than_the_samples_do(maps, channels_last) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    x = maps(256, 96)
    x = x.to(memory_format=torch.channels_last) if channels_last else x
    exact, part = (recorded(x, whole, batch_norm()).by_layer()["bn"][0] for whole in (None, 64))
    spread = np.sqrt(exact.moments.variance)
    assert np.abs(part.moments.mean - exact.moments.mean).max() > 0  # it is a part
    far = 10 if maps is rows else 1
    assert np.all(np.abs(part.moments.mean - exact.moments.mean) < far * 0.005 * spread)
    np.testing.assert_allclose(part.moments.variance, exact.moments.variance, rtol=0.06 if maps is rows else 0.02)
    assert part.moments.count == exact.moments.count
    assert part.standard_error() > 0.9 * exact.standard_error()  # what a part adds is counted


def test_one_phase_alone_would_be_wrong_about_stripes() -> None:
    torch.manual_seed(1)
    x = striped(64, 96)
    spread = x.std()
    alone = [part_of_maps(one[None], 0).mean() for one in x]  # of each the first phase
    assert abs(np.mean(alone) - x.mean()) > 0.5 * spread


def test_samples_at_the_beginning_are_read_whole() -> None:
    x = noise(64, 96)
    some, all_of_them = recorded(x, 64, batch_norm()), recorded(x, None, batch_norm())
    assert not some.in_part
    assert np.array_equal(some.statistics()["bn"].mean, all_of_them.statistics()["bn"].mean)


def test_what_is_read_depends_on_the_number_of_the_sample_alone() -> None:
    torch.manual_seed(1)
    x, layer = noise(64, 64), batch_norm()
    whole = recorded(x, 16, layer)
    shares = [Recorder(per_sample=True, errors=True, seed=5, whole=16) for _ in range(2)]
    for start in (0, 32, 16, 48):
        share = shares[start // 16 % 2].expect(torch.arange(start, start + 16), start)
        share.record(SITE, layer, x[start : start + 16], 16)
    merged = shares[0].merge(shares[1])
    assert merged.in_part
    assert Recorder.of(merged.remembered()).in_part
    np.testing.assert_allclose(merged.statistics()["bn"].mean, whole.statistics()["bn"].mean, rtol=1e-12)
    np.testing.assert_allclose(merged.statistics()["bn"].var, whole.statistics()["bn"].var, rtol=1e-12)


def test_a_sample_read_in_part_counts_as_much_as_one_read_whole() -> None:
    x = torch.cat([torch.zeros(16, 3, 96, 96), torch.ones(16, 3, 96, 96)])
    assert recorded(x, 16, batch_norm()).statistics()["bn"].mean == pytest.approx(np.full(3, 0.5))


def test_what_comes_round_as_often_as_the_rows_is_read_in_every_phase() -> None:
    torch.manual_seed(1)
    x = sloping(512, 96)
    eighth = torch.arange(512) % 8 == 0
    rows = recorded(x, 0, batch_norm()).by_layer()["bn"][0].table()
    assert rows is not None
    off = rows.mean[eighth.numpy()].mean(axis=0) - x[eighth].double().mean((0, 2, 3)).numpy()
    assert np.abs(off).max() < 0.05  # in one phase alone 0.15


def test_instances_are_read_whole() -> None:
    x = noise(32, 64)
    layer = NormLayer("bn", INSTANCE_NORM, 3, mean=np.zeros(3), var=np.ones(3), eps=1e-5)
    assert not recorded(x, 0, layer).in_part


@pytest.mark.parametrize(
    "shape", [(4, 3, 28, 28), (4, 3, 28, 55), (4, 3, 2000), (4, 3), (4, 3, 1, 4000), (4, 3, 113, 113), (4, 3, 15, 4000)]
)
def test_small_maps_series_and_rows_are_read_whole(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    assert part_of_maps(x, 3) is x


@pytest.mark.parametrize("shape", [(4, 3, 112, 112), (2, 3, 4, 64, 64), (2, 3, 500, 9), (5, 3, 57, 42), (1, 3, 56, 56)])
def test_every_row_is_read_of_some_sample_and_enough_are_of_each(shape: tuple[int, ...]) -> None:
    x = torch.arange(shape[-2]).float()[:, None].expand(shape).contiguous()
    seen: set[float] = set()
    for turn in range(8):
        part = part_of_maps(x, turn)
        assert part.data_ptr() != x.data_ptr()
        assert part[0, 0].numel() >= FEWEST_POSITIONS
        seen |= set(part.flatten().tolist())
    assert seen == set(map(float, range(shape[-2])))


def test_nothing_of_no_sample_is_nothing() -> None:
    assert part_of_maps(torch.empty(0, 3, 64, 64), 5).shape[:2] == (0, 3)


def test_the_layout_stays() -> None:
    x = torch.randn(2, 8, 64, 64).to(memory_format=torch.channels_last)
    assert part_of_maps(x, 1).is_contiguous(memory_format=torch.channels_last)


class Net(nn.Module):
    """A large map, normalized."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.head = nn.BatchNorm2d(2), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.bn(x)).mean((2, 3)))


def inspected(samples: int, *, exhaustive: bool) -> Report:
    torch.manual_seed(2)
    x = (
        torch.randn(samples, 2, 48, 48) * torch.tensor([1.0, 2.0])[:, None, None]
        + torch.tensor([0.5, -1.0])[:, None, None]
    )
    return bncheck.inspect(Net().eval(), x, exhaustive=exhaustive)


def is_said(report: Report) -> bool:
    return any(isinstance(note, MapsReadInPart) for note in report.run.noted)


def test_a_report_says_that_maps_were_read_in_part_and_can_have_them_read_whole() -> None:
    part, whole = inspected(2200, exhaustive=False), inspected(2200, exhaustive=True)
    assert is_said(part)
    assert not is_said(whole)
    assert not is_said(inspected(200, exhaustive=False))
    gaps = [report.layers[0].gap for report in (part, whole)]
    assert gaps[0] != gaps[1]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-3)
