"""Shards that are run by themselves, kept in files and put together, come to what one process sees."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from called import call
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sharing import network
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import bncheck
from bncheck.data import DataOptions, open_data
from bncheck.errors import UnreadableError, UsageError
from bncheck.measure.folds import Folds
from bncheck.measure.parts.file import read_part, write_part
from bncheck.measure.parts.joining import joined
from bncheck.measure.parts.part import Part
from bncheck.measure.processes.portions import Shard
from bncheck.predictions import PredictionEffect
from bncheck.progress import no_progress
from bncheck.results import Report

SAMPLES = 430


def labelled(seed: int = 1, samples: int = SAMPLES) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(samples, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x, x.mean((1, 2, 3)).argsort().argsort() * 3 // samples


def written(folder: Path, shards: int, **options: Any) -> list[Path]:
    """The files of all shards."""
    paths = [folder / f"part-{index}-of-{shards}.safetensors" for index in range(1, shards + 1)]
    for index, path in enumerate(paths, 1):
        if not path.exists():
            bncheck.write_moments(network(), labelled(), path, shard=(index, shards), **options)
    return paths


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def parts(folder: Path) -> dict[str, Part]:
    """Three shards, as read."""
    return {path.name: read_part(path) for path in written(folder, 3)}


@pytest.fixture(scope="module")
def whole() -> Report:
    return bncheck.inspect(network(), labelled(), exhaustive=True)


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_all_parts_report_what_one_process_does(folder: Path, whole: Report, shards: int) -> None:
    report = bncheck.merge(written(folder, shards)[::-1])
    assert (report.data, report.summary.verdict) == (whole.data, whole.summary.verdict)
    for mine, its in zip(report.layers, whole.layers, strict=True):
        assert (mine.name, mine.status, mine.channels, mine.calls) == (its.name, its.status, its.channels, its.calls)
        for number in ("gap", "noise", "shift_max", "scale_min", "scale_max", "gap_max"):
            assert getattr(mine, number) == pytest.approx(getattr(its, number), rel=1e-10, abs=1e-10), number
        assert mine.own_gap == pytest.approx(its.own_gap, rel=0.05, abs=0.02)
    for row, other in zip(report.batch_sizes, whole.batch_sizes, strict=True):
        assert row.gap == pytest.approx(other.gap, rel=1e-10)
    assert report.summary.smallest_detectable_gap == pytest.approx(whole.summary.smallest_detectable_gap, rel=1e-10)
    assert report.effect.accuracy.stored == pytest.approx(whole.effect.accuracy.stored, rel=1e-12)
    assert report.effect.accuracy.recalibrated == pytest.approx(whole.effect.accuracy.recalibrated, abs=0.05)
    assert {finding.code for finding in report.findings} == {finding.code for finding in whole.findings}


def test_intervals_are_those_of_the_pooled_numbers(folder: Path) -> None:
    alone, together = (bncheck.merge(written(folder, 1)), bncheck.merge(written(folder, 7)))
    assert together.effect.score.samples == alone.effect.score.samples == SAMPLES
    width = together.effect.score.high - together.effect.score.low
    assert width == pytest.approx(alone.effect.score.high - alone.effect.score.low, rel=0.2)


def test_what_would_take_running_the_model_is_said_not_to_be_asked(folder: Path) -> None:
    report = bncheck.merge(written(folder, 3))
    assert (
        f"put together from 3 parts with {SAMPLES} samples: what takes running samples again was not asked"
        in "".join(report.run.notes)
    )
    assert report.run.command == "bncheck.merge"
    assert report.run.cost.samples > 2 * SAMPLES


def noted_reading(source: Any) -> list[int]:
    """The numbers of the samples that are read from now on."""
    read, inner = list[int](), source._read

    def noting(numbers: Any) -> Any:
        read.extend(numbers.tolist())
        return inner(numbers)

    source._read = noting
    return read


@pytest.mark.parametrize(("samples", "shards"), [(430, 3), (50, 8), (7, 9)])
def test_every_sample_belongs_to_one_shard_and_nothing_else_is_read(samples: int, shards: int) -> None:
    held: list[int] = []
    for index in range(shards):
        source, read = open_data(labelled(samples=samples)), []
        inner = source._source._read
        source._source._read = lambda numbers, inner=inner, read=read: (read.extend(numbers.tolist()), inner(numbers))[
            1
        ]
        folds = Folds(
            source,
            fixed=None,
            batch_size=16,
            limit=None,
            seed=3,
            progress=no_progress,
            shard=Shard(index, shards, apart=True),
        )
        read.clear()
        mine = [number for pair in folds.read("x") for half in pair.folds for number in half.positions.tolist()]
        assert sorted(read) == sorted(mine)
        held += mine
    assert sorted(held) == list(range(samples))


def test_a_shard_without_a_sample_is_a_part_too(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.safetensors" for index in range(1, 7)]
    data = labelled(samples=9)
    held = [bncheck.write_moments(network(), data, path, shard=(index, 6)) for index, path in enumerate(paths, 1)]
    assert (sum(held), min(held)) == (9, 0)
    assert bncheck.merge(paths).data.samples == 9


def test_samples_left_out_are_counted_once(tmp_path: Path) -> None:
    x, y = labelled()
    x[[3, 200, 201, 429], 0, 0, 0] = torch.nan
    paths = [tmp_path / f"{index}.safetensors" for index in range(1, 4)]
    for index, path in enumerate(paths, 1):
        options = DataOptions(skip_bad_samples=True)
        bncheck.write_moments(network(), (x, y), path, shard=(index, 3), data_options=options)
    report = bncheck.merge(paths)
    assert (report.data.samples, report.summary.samples_left_out) == (426, 4)
    assert "4 samples left out (numbers 3, 200, 201, 429): NaN or infinity in the data" in report.run.notes


def test_a_stream_is_shared_out_too(tmp_path: Path) -> None:
    x, y = labelled()
    loader = [(x[at : at + 50], y[at : at + 50]) for at in range(0, SAMPLES, 50)]
    paths = [tmp_path / f"{index}.safetensors" for index in range(1, 4)]
    for index, path in enumerate(paths, 1):
        bncheck.write_moments(network(), loader, path, shard=(index, 3), until=0.0)
    whole = bncheck.inspect(network(), loader)
    for mine, its in zip(bncheck.merge(paths).layers, whole.layers, strict=True):
        assert mine.gap == pytest.approx(its.gap, rel=1e-10)


def test_a_loader_over_a_data_set_is_asked_for_the_shard_alone(tmp_path: Path) -> None:
    data = TensorDataset(*labelled())
    paths = [tmp_path / f"{index}.safetensors" for index in range(1, 4)]
    held = []
    for index, path in enumerate(paths, 1):
        loader = DataLoader(data, batch_size=50)
        held.append(bncheck.write_moments(network(), loader, path, shard=(index, 3), fast=True))
    assert held == [150, 150, 130]
    whole = bncheck.inspect(network(), DataLoader(data, batch_size=50), fast=True)
    for mine, its in zip(bncheck.merge(paths).layers, whole.layers, strict=True):
        assert mine.gap == pytest.approx(its.gap, rel=1e-10)
        assert mine.noise == pytest.approx(its.noise, rel=1e-10)  # of the same single samples


def test_reading_until_it_is_known_is_told_of_all_parts(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.safetensors" for index in range(1, 3)]
    for index, path in enumerate(paths, 1):
        bncheck.write_moments(network(), labelled(samples=1200), path, shard=(index, 2), until=0.5)
    notes = [note for note in bncheck.merge(paths).run.notes if "(until 0.5)" in note]
    assert len(notes) == 1
    assert notes[0].startswith("reading ended after ")


def test_a_limit_draws_from_all_and_is_shared_out(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.safetensors" for index in range(1, 4)]
    for index, path in enumerate(paths, 1):
        bncheck.write_moments(network(), labelled(), path, shard=(index, 3), limit=100)
    whole, report = bncheck.inspect(network(), labelled(), limit=100), bncheck.merge(paths)
    assert report.data == whole.data
    assert [one.gap for one in report.layers] == pytest.approx([one.gap for one in whole.layers], rel=1e-10)


def test_as_shipped_alone_says_so_once(tmp_path: Path) -> None:
    bncheck.write_moments(network(), labelled(), tmp_path / "part.safetensors", fast=True)
    report = bncheck.merge([tmp_path / "part.safetensors"])
    assert [note.partition(":")[0] for note in report.run.notes] == [
        "run as shipped alone (fast)",
        f"put together from 1 part with {SAMPLES} samples",
    ]
    assert report.layers[0].own_gap is None


class Twice(nn.Module):
    """One layer that is called twice, and one that normalizes by the instance."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3, affine=False)
        self.instance = nn.InstanceNorm2d(3, affine=True, track_running_stats=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.instance(self.norm(self.norm(self.conv(x)) * 2)).mean((2, 3))


def test_layers_of_every_kind_are_kept(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, data = Twice().double().eval(), labelled()
    paths = [tmp_path / f"{index}.safetensors" for index in range(1, 3)]
    for index, path in enumerate(paths, 1):
        bncheck.write_moments(net, data, path, shard=(index, 2))
    whole, report = bncheck.inspect(net, data, exhaustive=True), bncheck.merge(paths)
    for mine, its in zip(report.layers, whole.layers, strict=True):
        assert (mine.name, mine.kind, mine.calls) == (its.name, its.kind, its.calls)
        assert mine.gap == pytest.approx(its.gap, rel=1e-10)
        assert (mine.call_gaps or ()) == pytest.approx(its.call_gaps or (), rel=1e-10)


def test_a_folded_layer_is_kept_with_what_cannot_be_seen_of_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3)).eval()
    with torch.no_grad():
        plain[1].weight.uniform_(0.5, 1.5)[2] = 1e-12
        plain[1].running_mean += 1.0
    x = torch.randn(80, 1, 6, 6)
    torch.jit.trace(plain, x[:2]).save(str(tmp_path / "plain.pt"))
    torch.jit.freeze(torch.jit.script(plain)).save(str(tmp_path / "folded.pt"))
    np.savez(tmp_path / "data.npz", x=x.numpy())
    command = ("inspect", tmp_path / "folded.pt", "--reference", tmp_path / "plain.pt", "--data", tmp_path / "data.npz")
    done = call(*command, "--no-config", "--write-moments", tmp_path / "part.safetensors", "--report", "json=-")
    assert done.stdout, done.stderr
    kept = call("merge", tmp_path / "part.safetensors", "--no-config", "--report", "json=-")
    assert kept.json["layers"] == done.json["layers"]
    assert done.json["layers"][0]["status"] == "measured"


def test_a_part_is_not_written_over_what_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((8, 1, 6, 6)))
    before = (tmp_path / "data.npz").read_bytes()
    with pytest.raises(UsageError, match="that is one of the inputs"):
        bncheck.write_moments(network(), tmp_path / "data.npz", tmp_path / "data.npz")
    assert (tmp_path / "data.npz").read_bytes() == before


def test_a_part_holds_no_sample(folder: Path) -> None:
    path = written(folder, 3)[0]
    values = {round(float(value), 9) for value in labelled()[0].flatten()[:2000]}
    for name, tensor in load_file(path).items():
        assert not {round(float(value), 9) for value in tensor.flatten()} & values - {0.0}, name
    with safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()["part"]).keys() == {*Part.__dataclass_fields__}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda known: {"a": known[0], "c": known[2]}, "1 of 3 shard is missing: 2/3. Write each"),
        (lambda known: {"a": known[0]}, "2 of 3 shards are missing: 2/3, 3/3."),
        (lambda known: {"a": known[0], "b": known[1], "c": known[2], "d": known[1]}, "b and d are both shard 2/3"),
        (
            lambda known: {"a": known[0], "b": known[1], "c": replace(known[2], shard=Shard(2, 4))},
            "shared out in different ways: a is 1/3, b is 2/3, c is 3/4",
        ),
        (
            lambda known: {
                "a": known[0],
                "b": known[1],
                "c": replace(known[2], model=replace(known[2].model, identity="other")),
            },
            "^c: of another model than a, b.",
        ),
        (
            lambda known: {
                "a": known[0],
                "b": replace(known[1], versions={**known[1].versions, "bncheck": "0.1"}),
                "c": known[2],
            },
            "^b: of another bncheck than a, c.",
        ),
        (
            lambda known: {
                "a": known[0],
                "b": replace(known[1], options=replace(known[1].options, mean=(0.5,))),
                "c": known[2],
            },
            "^b: of another mean than a, c.",
        ),
        (
            lambda known: {
                "a": replace(known[0], data=replace(known[0].data, digest="")),
                "b": known[1],
                "c": known[2],
            },
            "^a: of other data than b, c.",
        ),
        (
            lambda known: {"a": known[0], "b": replace(known[0], shard=Shard(1, 3)), "c": known[2]},
            "^a and b both hold the same sample",
        ),
        (
            lambda known: {
                "a": known[0],
                "b": replace(known[1], seen=replace(known[1].seen, samples=known[1].seen.samples - 1)),
                "c": known[2],
            },
            f"The parts hold {SAMPLES - 1} samples, and tuple has {SAMPLES} to read",
        ),
    ],
    ids=["missing", "two missing", "twice", "sharing", "model", "bncheck", "options", "data", "sample", "samples"],
)
def test_parts_that_do_not_belong_together_are_named(
    parts: dict[str, Part], change: Callable[[list[Part]], dict[str, Part]], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        joined(change(list(parts.values())))


def test_other_data_of_the_same_size_are_other_data(folder: Path, tmp_path: Path) -> None:
    bncheck.write_moments(network(), labelled(seed=2), tmp_path / "2.safetensors", shard=(2, 3))
    paths = written(folder, 3)
    with pytest.raises(UsageError, match=r"2\.safetensors: of other data than .*part-1-of-3"):
        bncheck.merge([paths[0], tmp_path / "2.safetensors", paths[2]])
    with pytest.raises(UsageError, match="is named twice"):
        bncheck.merge([paths[0], paths[0]])


def test_another_model_of_the_same_form_is_another_model(folder: Path, tmp_path: Path) -> None:
    net = network()
    with torch.no_grad():
        net[0].weight[0, 0, 0, 0] += 1e-6
    bncheck.write_moments(net, labelled(), tmp_path / "2.safetensors", shard=(2, 3))
    paths = written(folder, 3)
    with pytest.raises(UsageError, match=r"2\.safetensors: of another model"):
        bncheck.merge([paths[0], tmp_path / "2.safetensors", paths[2]])


def damaged(path: Path) -> Iterator[tuple[str, Callable[[Path], object], str]]:
    """Ways in which a file can be no part, and what is said of them."""
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    document = json.loads(metadata["part"])
    first = document["seen"]["stored"]["calls"][0]

    def saved(part: Any = None, arrays: Any = None, **told: str) -> Callable[[Path], object]:
        text = metadata["part"] if part is None else part if isinstance(part, str) else json.dumps(part)
        return lambda target: save_file(arrays or tensors, target, {**metadata, "part": text, **told})

    def with_seen(**changes: Any) -> dict[str, Any]:
        return {**document, "seen": {**document["seen"], **changes}}

    def with_call(**changes: Any) -> dict[str, Any]:
        return with_seen(stored={**document["seen"]["stored"], "calls": [{**first, **changes}]})

    whole, mean = path.read_bytes(), first["moments"]["mean"]["tensor"]
    yield "cut", lambda target: target.write_bytes(whole[: len(whole) // 2]), "cannot be read as safetensors"
    yield "empty", lambda target: target.write_bytes(b""), "cannot be read as safetensors"
    yield "pickle", lambda target: torch.save({"a": 1}, target), "cannot be read as safetensors"
    yield "header", lambda target: target.write_bytes(b"\xff" * 8 + b"{}"), "cannot be read as safetensors"
    yield "weights", lambda target: save_file(tensors, target), "its metadata do not say so"
    yield "version", saved(version="9"), "its format is of version '9'"
    yield "no JSON", saved("{"), "is no part of bncheck: "
    yield "NaN", saved('{"shard": NaN}'), "NaN is not JSON"
    yield "deep", saved("[" * 100000), "nested too deeply"
    yield "list", saved([]), "should be an object"
    yield "missing", saved({**document, "seen": {}}), r"seen\.[a-z_]+ is missing"
    yield "unknown", saved({**document, "__class__": "os.system"}), "__class__ is no key that it can have"
    yield "text", saved(with_seen(samples="1")), "seen.samples should be a whole number"
    yield "flag", saved(with_seen(samples=True)), "seen.samples should be a whole number"
    yield "negative", saved(with_seen(samples=-5)), "seen.samples is no number of samples"
    yield "huge", saved(with_seen(samples=2**70)), "should be a smaller number"
    yield "shard", saved({**document, "shard": {"index": 3, "count": 3, "apart": True}}), "shard is no share"
    yield "tensor", saved(with_call(moments={**first["moments"], "mean": {"tensor": "no"}})), "a tensor in the file"
    yield (
        "rank",
        saved(with_call(moments={**first["moments"], "mean": first["rows"]["table"]["mean"]})),
        "another shape",
    )
    yield "count", saved(with_call(moments={**first["moments"], "count": "inf"})), "is no number of values"
    yield "type", saved(arrays={**tensors, mean: tensors[mean].astype(np.float32)}), "a tensor of float64"
    yield "layer", saved(with_call(name="other")), "is not the layer that was called"
    yield "limit", saved(with_seen(stored={**document["seen"]["stored"], "limit": "g" * 40})), "is no key"
    wrong = {**document["seen"]["effect"]["pairs"], "task": {"name": "os", "settled": {}}}
    yield "task", saved(with_seen(effect={**document["seen"]["effect"], "pairs": wrong})), "should be one of classes"
    yield "note", saved(with_seen(notes=[{"kind": "no-note"}])), r"seen.notes\[0\] should be a note"
    yield (
        "options",
        saved({**document, "options": {**document["options"], "limit": -1}}),
        "nothing is measured with its",
    )
    yield (
        "layout",
        saved({**document, "options": {**document["options"], "layout": "x"}}),
        "nothing is measured with its",
    )


def test_a_file_that_is_no_part_is_said_to_be_none(folder: Path, tmp_path: Path) -> None:
    path = written(folder, 1)[0]
    for name, make, told in damaged(path):
        target = tmp_path / "damaged.safetensors"
        make(target)
        with pytest.raises(UnreadableError, match=told) as raised:
            bncheck.merge([target])
        assert str(raised.value).startswith(f"{target} is "), name


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableError, match="no ordinary file"):
        bncheck.merge([tmp_path / "pipe"])
    with pytest.raises(UsageError, match=r"There is no file .*none"):
        bncheck.merge([tmp_path / "none"])
    with pytest.raises(UsageError, match="is a folder: name the parts in it"):
        bncheck.merge([tmp_path])


def test_what_is_read_is_what_was_written(parts: dict[str, Part], tmp_path: Path) -> None:
    part = parts["part-2-of-3.safetensors"]
    write_part(part, tmp_path / "again.safetensors")
    again = read_part(tmp_path / "again.safetensors")
    assert (again.shard, again.options, again.data, again.typed) == (part.shard, part.options, part.data, part.typed)
    assert again.seen.effect == part.seen.effect
    for mine, its in zip(again.seen.stored.calls, part.seen.stored.calls, strict=True):
        np.testing.assert_array_equal(mine.moments.m2, its.moments.m2)
        np.testing.assert_array_equal(mine.rows.table.mean, its.rows.table.mean)
        np.testing.assert_array_equal(mine.rows.keys, its.rows.keys)


@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        (torch.randn(9, 4), torch.randint(0, 4, (9,))),
        (torch.rand(9, 1), torch.randint(0, 2, (9,))),
        (torch.randn(9, 3), torch.randn(9, 3)),
        (torch.randn(9, 3, 5, 5), torch.randint(0, 3, (9, 5, 5))),
        (nn.functional.normalize(torch.randn(9, 5)), torch.arange(9) % 3),
        ({"a": torch.randn(9, 4), "b": torch.randn(9, 2)}, {"a": torch.randint(0, 4, (9,)), "b": torch.randn(9, 2)}),
    ],
    ids=["classes", "yes-no", "numbers", "positions", "embeddings", "heads"],
)
def test_the_comparison_of_outputs_goes_on_from_what_was_kept(outputs: Any, labels: Any) -> None:
    effect = PredictionEffect(None, None)
    moved = {name: one + 0.1 for name, one in outputs.items()} if isinstance(outputs, dict) else outputs + 0.1
    for _ in range(2):
        effect.add_batch(outputs, labels)
        effect.add_recalibrated(outputs, moved, labels)
        effect.add_noise(moved, outputs, labels)
        effect = PredictionEffect.of(effect.remembered())
    plain = PredictionEffect(None, None)
    for _ in range(2):
        plain.add_batch(outputs, labels)
        plain.add_recalibrated(outputs, moved, labels)
        plain.add_noise(moved, outputs, labels)
    assert effect.result() == plain.result()


def test_a_metric_has_no_place_in_a_file() -> None:
    with pytest.raises(ValueError, match="outputs that a metric needs"):
        PredictionEffect(None, lambda outputs, labels: 1.0).remembered()


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1, 2**21), (1,), 3])
def test_shards_are_counted_from_1(tmp_path: Path, shard: Any) -> None:
    with pytest.raises(UsageError, match=r"^shard "):
        bncheck.write_moments(network(), labelled(), tmp_path / "part.safetensors", shard=shard)
    assert list(tmp_path.iterdir()) == []
