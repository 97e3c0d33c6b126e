"""Reading the training sampling: its own order and batches, the batch as the unit, and what is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bncheck.core import compare, rms
from bncheck.data import open_data
from bncheck.data.batches import Source
from bncheck.evidence import TrainingEvidence
from bncheck.formats import from_module
from bncheck.measure.order import Reading, SeenBatch, read_in_order, records_of
from bncheck.measure.plan import Plan
from bncheck.measure.training import observe_training
from bncheck.watch.call_moments import together


def quiet(task: str, done: int, total: int | None) -> None:
    """Say nothing."""


def net(norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3), norm(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3)).eval()


def images(samples: int = 200) -> torch.Tensor:
    return torch.randn((samples, 1, 6, 6), generator=torch.Generator().manual_seed(1)) * 2 + 1


def read(source: Source, most: int = 1000, model: object = None) -> tuple[SeenBatch, ...]:
    opened = from_module(net() if model is None else model)
    with opened.session(source.name, 0) as watched:
        return read_in_order(watched, source, Reading(most, 1000, "test"), quiet)


def observed(source: object, model: nn.Module | None = None, **plan: int) -> TrainingEvidence:
    return observe_training(from_module(model or net()), open_data(source), Plan(**plan), quiet)


def test_batches_pool_to_the_statistics_of_all_samples() -> None:
    x = images()
    seen = read(open_data(x))
    (entries,) = records_of(seen).values()
    expected = net()[0](x).detach().double().numpy()
    found = together(entries).statistics()
    assert found.mean == pytest.approx(expected.mean((0, 2, 3)), abs=1e-5)
    assert found.var == pytest.approx(expected.var((0, 2, 3)), rel=1e-4)
    assert [batch.size for batch in seen] == [16] * 12 + [8]


def test_instance_norm_averages_its_instances_over_batches_too() -> None:
    x = images()
    model = net(lambda channels: nn.InstanceNorm2d(channels, track_running_stats=True))
    (entries,) = records_of(read(open_data(x), model=model)).values()
    expected = model[0](x).detach().double().numpy()
    found = together(entries).statistics()
    assert found.var == pytest.approx(expected.var((2, 3), ddof=1)[:192].mean(0), rel=0.02)


def test_a_loader_keeps_its_batches_and_its_order() -> None:
    x = images(60)
    seen = read(open_data(DataLoader(TensorDataset(x), batch_size=10)))
    assert [(batch.number, batch.size) for batch in seen] == [(number, 10) for number in range(6)]
    (means,) = (batch.means for batch in seen[3:4])
    assert next(iter(means.values())) == pytest.approx(
        net()[0](x[30:40]).mean((2, 3)).detach().numpy()[:, :16], abs=1e-5
    )


def test_of_a_long_loader_batches_are_kept_that_spread_over_all_of_it() -> None:
    def loader() -> Iterator[torch.Tensor]:
        yield from images(400).split(4)

    seen = read(open_data(loader), most=16)
    assert [batch.number for batch in seen] == list(range(0, 100, 8))


def test_of_a_long_file_only_some_groups_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_data(images(16 * 40))
    asked: list[int] = []
    given = source.given_batches

    def counted(size: int, **options: int) -> Iterator[object]:
        for batch in given(size, **options):
            asked.append(batch.size)
            yield batch

    monkeypatch.setattr(source, "given_batches", counted)
    assert len(read(source, most=10)) == len(asked) == 10


def test_a_program_of_fixed_batch_size_is_filled_up_with_a_batchs_own_samples() -> None:
    x = images(50)
    program = torch.export.export(net(), (x[:16],))
    seen = read(open_data([x[:10], x[10:50]]), model=program)
    expected = net()[0](x).detach().double().numpy()
    ((row,), (other,)) = (batch.rows.values() for batch in seen)
    assert row[1].mean[0] == pytest.approx(expected[:10].mean((0, 2, 3)), abs=1e-5)
    assert other[1].mean[0] == pytest.approx(expected[10:].mean((0, 2, 3)), abs=1e-5)
    assert other[1].count[0] == 40 * 16


def test_the_batch_size_is_the_loaders_or_the_users() -> None:
    x = images(96)
    by_loader = observed(DataLoader(TensorDataset(x), batch_size=8, drop_last=True), batch_size=64)
    by_file = observed(x, batch_size=24)
    assert (by_loader.batch_size, by_loader.own_batches, by_loader.samples) == (8, True, 96)
    assert (by_file.batch_size, by_file.own_batches, by_file.samples) == (24, False, 96)
    assert by_loader.values == {"1": 8 * 16}
    assert by_file.values == {"1": 24 * 16}


def test_noise_is_how_far_a_batch_lies_from_all_of_them() -> None:
    x = images(800)
    model = net()
    found = observed(DataLoader(TensorDataset(x), batch_size=4), model=model).noise["1"]
    fed = model[0](x).detach().double().numpy()
    mean, var = fed.mean((0, 2, 3)), fed.var((0, 2, 3))
    batches = fed.reshape(200, 4, 6, 4, 4)
    expected = rms(compare(batches.mean((1, 3, 4)), batches.var((1, 3, 4)), mean, var, 1e-5).gap)
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("batch_size", [4, 64])
def test_for_files_noise_is_brought_to_the_batch_size_in_use(batch_size: int) -> None:
    x = images(1600)
    by_file = observed(x, batch_size=batch_size).noise["1"]
    by_loader = observed(DataLoader(TensorDataset(x), batch_size=batch_size)).noise["1"]
    assert by_file == pytest.approx(by_loader, rel=0.15)


def test_a_limit_bounds_what_is_run() -> None:
    assert observed(images(4000), limit=320).samples == 320


def test_sorted_data_give_the_same_gaps_as_shuffled_ones() -> None:
    x = images(8000)
    x = x[x.mean((1, 2, 3)).argsort()]
    found = observed(x).measured["1"]
    mixed = observed(x[torch.randperm(8000, generator=torch.Generator().manual_seed(0))]).measured["1"]
    assert found.gap == pytest.approx(mixed.gap, rel=0.05)
    assert 0 < found.lower < found.gap
