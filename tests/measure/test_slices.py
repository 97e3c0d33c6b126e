"""Slices of the data: in the same pass, of every source, unlabelled too, and of shards as of one process."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from sharing import network, shared
from torch import nn

import bncheck
from bncheck.data import MOST_SLICES, DataOptions, open_data
from bncheck.errors import BncheckError, DataError, UnreadableError, UsageError
from bncheck.measure.parts.file import read_part, write_part
from bncheck.render import failure_message
from bncheck.render.words.beside.slices import only_source
from bncheck.results import Report, SliceReport

SAMPLES = 360
SITES = np.array(["north", "south", "east"])


@cache
def images() -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Images, labels and sites; those of the south are brighter, and two samples are of a site of their own."""
    torch.manual_seed(5)
    x = torch.randn(SAMPLES, 1, 6, 6, dtype=torch.float64)
    site = SITES[np.arange(SAMPLES) % 3].astype("U8")
    x[torch.from_numpy(site == "south")] += 1.5
    site[[0, 3]] = "new"
    return x, torch.arange(SAMPLES) // 5 % 3, site


@cache
def report() -> Report:
    x, y, site = images()
    return bncheck.inspect(network(), {"x": x, "y": y, "site": site}, by="site", exhaustive=True)


@cache
def fitted() -> Report:
    """Of a network whose statistics are those of the other sites."""
    x, y, site = images()
    net = bncheck.recalibrate(network(), x[torch.from_numpy(site != "south")])
    return bncheck.inspect(net, {"x": x, "y": y, "site": site}, by="site", exhaustive=True)


def named(found: Report) -> dict[str, SliceReport]:
    return {part.name: part for part in found.slices}


def test_slices_are_ranked_by_what_is_sure_of_their_gap() -> None:
    first, *others = report().slices
    assert (first.name, first.samples) == ("south", 120)
    assert first.sure_gap > 0.4 + max(part.sure_gap for part in others)
    assert others[-1].name == "new"
    assert (others[-1].samples, others[-1].sure_gap) == (2, 0.0)
    assert [part.samples for part in report().slices] == [120, *(part.samples for part in others)]
    assert sum(part.samples for part in report().slices) == SAMPLES
    assert first.worst_layer in {"1", "4"}


def test_the_only_slice_that_makes_the_gap_stands_in_the_answer() -> None:
    said = "It comes from slice south alone (120 of 360 samples, gap "
    first, *others = fitted().slices
    assert fitted().run.margin < first.sure_gap
    about = only_source(fitted())
    assert about.startswith(said)
    largest = max(part.gap or 0.0 for part in others if part.samples > 2)
    assert about.endswith(f"): in the others it is at most {largest:.2f}.")
    lines = str(fitted()).splitlines()
    at = {start: next(at for at, line in enumerate(lines) if line.startswith(start)) for start in (said, "layer ")}
    assert at[said] < at["layer "]
    assert said in " ".join(failure_message(fitted()).split())
    assert only_source(report()) == "", "there all slices are off"


def test_near_misses_of_that() -> None:
    first, *others = fitted().slices
    unsure = replace(first, sure_gap=0.2)
    also = replace(others[0], gap=0.4)
    for slices in ((), (first,), (unsure, *others), (first, also, *others[1:])):
        assert only_source(replace(fitted(), slices=slices)) == ""
    fine = replace(fitted(), findings=())
    assert "It comes from slice" not in str(fine)


def test_every_slice_has_the_gap_of_its_samples_alone() -> None:
    """A second run on that slice alone says the same: here each takes no second pass."""
    x, y, site = images()
    chosen = torch.from_numpy(site == "south")
    alone = bncheck.inspect(network(), (x[chosen], y[chosen]), exhaustive=True)
    part = named(report())["south"]
    for layer, other in zip(part.layers, alone.layers, strict=True):
        assert (layer.name, layer.gap) == (other.name, pytest.approx(other.gap, rel=1e-9))
        assert layer.noise == pytest.approx(other.noise, rel=1e-9)
        assert layer.shift_max == pytest.approx(other.shift_max, rel=1e-9)
        assert (layer.scale_min, layer.scale_max) == pytest.approx((other.scale_min, other.scale_max), rel=1e-9)
    assert alone.effect is not None
    assert alone.effect.accuracy is not None
    assert part.accuracy == pytest.approx(alone.effect.accuracy.stored)
    assert part.effect is not None
    assert part.effect.accuracy is not None
    assert part.effect.accuracy.stored == part.accuracy
    assert part.effect.score is not None
    assert part.effect.score.samples == 120


def test_the_slices_cost_no_sample_more_and_change_nothing_else() -> None:
    x, y, _ = images()
    plain = bncheck.inspect(network(), (x, y), exhaustive=True)
    assert plain.slices == ()
    assert report().run.cost is not None
    assert plain.run.cost is not None
    assert report().run.cost.samples == plain.run.cost.samples
    assert report().rows() == plain.rows()


def test_unlabelled_data_are_sliced_too() -> None:
    x, _, site = images()
    found = bncheck.inspect(network(), {"x": x, "site": site}, by="site")
    assert found.slices[0].name == "south"
    assert found.slices[0].accuracy is None
    assert found.slices[0].effect is not None
    assert found.slices[0].effect.predictions_changed is not None


def test_scores_as_shipped_are_of_all_samples_of_a_slice_however_few_were_compared() -> None:
    net, x = network(), torch.randn(2700, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    net[4].running_mean -= 0.7  # which fits
    with torch.no_grad():
        y = net(x).argmax(1)
    y[::4] = (y[::4] + 1) % 3
    found = bncheck.inspect(net, {"x": x, "y": y, "site": SITES[np.arange(2700) % 3]}, by="site")
    part = named(found)["south"]
    assert part.samples == 900
    assert part.effect is not None
    assert part.effect.score is not None
    assert part.effect.score.samples < 450
    assert part.accuracy == 0.75


class Batches:
    """A loader of dicts as people write them, with what a sample is from beside it."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        x, y, site = images()
        for at in range(0, SAMPLES, 40):
            chosen = slice(at, at + 40)
            yield {"image": x[chosen], "label": y[chosen], "meta": {"site": site[chosen].tolist()}}


def site_of_batch(batch: dict[str, Any]) -> list[str]:
    return list(batch["meta"]["site"])


def bright(inputs: torch.Tensor, labels: torch.Tensor) -> list[str]:
    assert len(inputs) == len(labels)
    return ["bright" if mean > 0.75 else "dark" for mean in inputs.mean((1, 2, 3)).tolist()]


@pytest.mark.parametrize(
    ("data", "by"),
    [
        (Batches(), "meta.site"),
        (Batches(), site_of_batch),
        (lambda: Batches(), site_of_batch),
        (iter(list(Batches())), "meta.site"),
    ],
    ids=["a nested key", "a function of the batch", "a function that gives the loader", "read once"],
)
def test_loaders_are_sliced_like_arrays(data: object, by: str | Callable[..., Any]) -> None:
    found = bncheck.inspect(network(), data, by=by, exhaustive=True, data_options=DataOptions(input=("image",)))
    for part, other in zip(found.slices, report().slices, strict=True):
        assert (part.name, part.samples) == (other.name, other.samples)
        assert part.gap == pytest.approx(other.gap, rel=1e-9)
        assert part.accuracy == pytest.approx(other.accuracy)


def test_a_function_is_given_inputs_and_labels() -> None:
    x, y, _ = images()
    found = named(bncheck.inspect(network(), (x, y), by=bright))
    assert found.keys() == {"bright", "dark"}
    assert found["bright"].samples == int((x.mean((1, 2, 3)) > 0.75).sum())


def names_and_codes(data: object, reading: DataOptions) -> list[str]:
    """The slice of every sample that a source gives, drawn and in order alike, in the order of the source."""
    source = open_data(data, reading)
    assert source.slicing is not None
    drawn, given = {}, []
    for batch in source.batches(7, seed=1):
        assert batch.positions is not None
        drawn |= dict(zip(batch.positions.tolist(), source.slicing.codes(batch).tolist(), strict=True))
    for batch in source.given_batches(7):
        given += source.slicing.codes(batch).tolist()
    assert [drawn[at] for at in range(len(given))] == given
    return [source.slicing.known.names[code] for code in given]


def table(folder: Path) -> tuple[object, DataOptions]:
    frame = pandas.DataFrame({"a": range(9), "b": range(9), "hour": [7.0, None, 9.5] * 3, "y": [0, 1, 0] * 3})
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv", DataOptions(by="hour", label_column="y")


def tar(folder: Path) -> tuple[object, DataOptions]:
    with tarfile.open(folder / "t.tar", "w") as archive:
        for at in range(9):
            image, fields = io.BytesIO(), json.dumps({"label": at % 2, "hour": (7, None, 9.5)[at % 3]})
            Image.new("L", (4, 4), at).save(image, "png")
            for suffix, content in (("png", image.getvalue()), ("json", fields.encode()), ("cam", b" 1 \n")):
                member = tarfile.TarInfo(f"{at:03d}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return folder / "t.tar", DataOptions(by="hour")


def arrays(folder: Path) -> tuple[object, DataOptions]:
    np.savez(folder / "t.npz", x=np.zeros((9, 2), np.float32), hour=np.array([7, np.nan, 9.5] * 3))
    return folder / "t.npz", DataOptions(by="hour")


@pytest.mark.parametrize("make", [table, tar, arrays])
def test_a_column_names_slices_and_is_no_input(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    data, reading = make(tmp_path)
    assert names_and_codes(data, reading) == ["7", "missing", "9.5"] * 3
    (batch,) = open_data(data, reading).given_batches(9)
    assert batch.tensors[0].shape[1:] in ((2,), (1, 4, 4), (3, 4, 4))
    (other,) = open_data(data, reading.unsliced()).given_batches(9)
    assert torch.equal(other.tensors[0], batch.tensors[0])
    assert other.slices is None


def test_members_of_a_tar_name_slices_and_labels_do_of_every_source(tmp_path: Path) -> None:
    assert names_and_codes(tar(tmp_path)[0], DataOptions(by="cam")) == ["1"] * 9
    assert names_and_codes(tar(tmp_path)[0], DataOptions(by="label")) == ["0", "1"] * 4 + ["0"]
    x, y, _ = images()
    assert names_and_codes((x, y), DataOptions(by="label")) == [str(int(label)) for label in y]
    for place in range(6):
        path = tmp_path / "photos" / ("cats", "dogs")[place % 2] / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    assert names_and_codes(tmp_path / "photos", DataOptions(by="label")) == ["cats"] * 3 + ["dogs"] * 3
    with pytest.raises(UsageError, match=r"by site: images in folders are sliced by their class folders alone"):
        open_data(tmp_path / "photos", DataOptions(by="site"))


def test_beyond_a_bound_the_rarest_slices_are_counted_together() -> None:
    x, _, _ = images()
    many = np.minimum(np.arange(SAMPLES), 149)
    found = bncheck.inspect(network(), {"x": x, "hour": many}, by="hour", fast=True)
    assert len(found.slices) == MOST_SLICES
    assert named(found)["others"].samples == 51
    assert any("99 slices are told apart, and 51 rarer slices counted together as others" in n for n in found.run.notes)

    class Stream:
        def __iter__(self) -> Iterator[dict[str, Any]]:
            yield {"x": x, "hour": many.tolist()}

    streamed = bncheck.inspect(network(), Stream(), by="hour", fast=True)
    assert len(streamed.slices) == MOST_SLICES
    assert any("further slices counted together as others" in note for note in streamed.run.notes)


REFUSED: dict[str, tuple[object, Any, type[BncheckError], str]] = {
    "no such key": ({"x": torch.zeros(4, 1, 6, 6)}, "site", DataError, r"by site: there is none; there are x"),
    "no labels": (torch.zeros(4, 1, 6, 6), "label", DataError, r"by label: there are no labels"),
    "too few names": ((torch.zeros(4, 1, 6, 6), torch.zeros(4)), lambda x, y: ["a"], DataError, "1 slice names for 2"),
    "one text": ((torch.zeros(4, 1, 6, 6), torch.zeros(4)), lambda x, y: "abcd", DataError, "not a str"),
    "an error": ((torch.zeros(4, 1, 6, 6), torch.zeros(4)), lambda x, y: 1 / 0, DataError, "raised ZeroDivisionError"),
    "rows": ({"x": torch.zeros(4, 1, 6, 6), "s": np.zeros((4, 2))}, "s", DataError, "one value a sample"),
    "a number": (torch.zeros(4, 1, 6, 6), 3, UsageError, "expected a callable"),
    "no module": (torch.zeros(4, 1, 6, 6), "nowhere.at_all:of", UsageError, "nowhere"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_names_no_slices_is_refused(name: str) -> None:
    data, by, error, match = REFUSED[name]
    with pytest.raises(error, match=match):
        bncheck.inspect(network(), data, by=by, fast=True)


def test_processes_that_share_a_pass_come_to_the_slices_of_one() -> None:
    first, *others = (shared(count).slices for count in (1, 3))
    assert first is not None
    for slices in others:
        assert slices is not None
        assert slices.samples == first.samples
        calls, expected = (dict(one.calls.by_layer(2)) for one in (slices, first))
        for layer, ((_, rows),) in expected.items():
            order = [slices.names.index(name) for name in first.names]
            merged = calls[layer][0][1].at(np.array(order))
            np.testing.assert_allclose(merged.mean, rows.mean, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(merged.square_m2, rows.square_m2, rtol=1e-9)


def test_parts_keep_their_slices_and_merge_to_those_of_one(tmp_path: Path) -> None:
    x, y, site = images()
    data, paths = {"x": x, "y": y, "site": site}, [tmp_path / f"{at}.safetensors" for at in range(3)]
    for at, path in enumerate(paths):
        bncheck.write_moments(network(), data, path, shard=(at + 1, 3), by="site")
    merged = bncheck.merge(paths)
    assert merged.run.options["by"] == "site"
    for part, other in zip(merged.slices, report().slices, strict=True):
        assert (part.name, part.samples, part.accuracy) == (other.name, other.samples, pytest.approx(other.accuracy))
        for layer, its in zip(part.layers, other.layers, strict=True):
            assert (layer.gap, layer.noise) == pytest.approx((its.gap, its.noise), rel=1e-9)
    bncheck.write_moments(network(), {"x": x, "y": y}, paths[0], shard=(1, 3))
    with pytest.raises(UsageError, match="of another by"):
        bncheck.merge(paths)


def hours(inputs: torch.Tensor, labels: torch.Tensor | None) -> list[int]:
    """More names than slices, told one by one."""
    return [round(value * 1e9) for value in inputs[:, 0, 0, 0].tolist()]


def test_more_slices_than_there_is_room_for_do_not_merge(tmp_path: Path) -> None:
    x, _, _ = images()
    paths = [tmp_path / f"{at}.safetensors" for at in range(2)]
    for at, path in enumerate(paths):
        bncheck.write_moments(network(), x, path, shard=(at + 1, 2), by=hours)
    with pytest.raises(UsageError, match="by: there are more slices than can be told apart"):
        bncheck.merge(paths)


@pytest.mark.parametrize("name", ["names", "samples", "calls"])
def test_slices_of_a_part_that_cannot_be_are_refused(tmp_path: Path, name: str) -> None:
    x, _, site = images()
    path = tmp_path / "part.safetensors"
    if not path.exists():
        bncheck.write_moments(network(), {"x": x, "site": site}, path, by="site", fast=True)
    part = read_part(path)
    assert part.seen.slices is not None
    wrong = {"names": ("a",) * 4, "samples": (-1,) * 4, "calls": part.seen.slices.calls[::-1]}
    if name == "calls":
        call = part.seen.slices.calls[0]
        wrong["calls"] = (replace(call, moments=call.moments.at(slice(0, 2))),)  # type: ignore[assignment]
    path.unlink()
    write_part(replace(part, seen=replace(part.seen, slices=replace(part.seen.slices, **{name: wrong[name]}))), path)  # type: ignore[arg-type]
    with pytest.raises(UnreadableError, match=r"seen\.slices"):
        read_part(path)


class Shared(nn.Module):
    """A layer called twice, and InstanceNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.instance = nn.InstanceNorm2d(1, affine=True, track_running_stats=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.instance(self.norm(x) + self.norm(2 * x))
        return y.mean((2, 3))


def test_layers_that_are_called_twice_and_instance_norm_are_sliced_too() -> None:
    x, _, site = images()
    net = Shared().double().eval()
    found = named(bncheck.inspect(net, {"x": x, "site": site}, by="site", fast=True))["south"]
    alone = bncheck.inspect(net, x[torch.from_numpy(site == "south")], fast=True)
    for layer, other in zip(found.layers, alone.layers, strict=True):
        assert layer.gap == pytest.approx(other.gap, rel=1e-9), layer.name
