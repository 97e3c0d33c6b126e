"""`--method renorm` as a repair of files: who trains, chooses and judges, and what the file then holds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from repair_nets import ARCH, LAYERS, Net, build, bytes_of, images, stale_net
from safetensors.torch import load_file, save_file

import bncheck
from bncheck.data import DataOptions, open_data
from bncheck.errors import UsageError
from bncheck.formats.recognition.recognise import recognise
from bncheck.repair.methods import method_named
from bncheck.repair.methods.method import MethodOptions
from bncheck.repair.training.options import FineTuneOptions
from bncheck.repair.training.roles import Roles, roles_of
from bncheck.vocabulary import Reason

X = images()
Y = np.arange(len(X)) % 3
FEW_STEPS = FineTuneOptions(steps=6, batch_size=16)


def frozen() -> torch.nn.Module:
    net = build()
    for parameter in net.deep[0].norm.parameters():
        parameter.requires_grad_(False)
    return net


def repaired(path: Path, **how: Any) -> Any:
    """The result, and that nothing but its file is new."""
    before = bytes_of(path.parent)
    how = {"arch": ARCH, "data": (X, Y), "fine_tuning": FEW_STEPS} | how
    result = bncheck.repair_file(path, out=path.parent / "repaired.out", method="renorm", force=True, **how)
    assert result.path == str(path.parent / "repaired.out")
    assert {name: bytes_of(path.parent)[name] for name in before} == before
    assert set(bytes_of(path.parent)) == {*before, "repaired.out"}
    assert recognise(Path(result.path)) == recognise(path)
    return result


def assert_trained(found: dict[str, torch.Tensor], before: dict[str, torch.Tensor]) -> None:
    """Everything has other values, in the old form."""
    assert list(found) == list(before)
    for name, value in before.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name
        assert bool(found[name].isfinite().all())
        # A bias right before a normalization has no gradient but rounding.
        assert name.endswith("conv.bias") or not torch.equal(found[name], value), name


def test_a_checkpoint_keeps_what_was_not_trained(tmp_path: Path) -> None:
    net = stale_net()
    content = {"state_dict": {f"module.{name}": value for name, value in net.state_dict().items()}, "epoch": 7}
    torch.save(content, tmp_path / "net.pt")
    result = repaired(tmp_path / "net.pt")
    found = torch.load(tmp_path / "repaired.out", weights_only=True)
    assert found["epoch"] == 7
    assert_trained(found["state_dict"], content["state_dict"])
    assert result.changed == tuple(LAYERS)
    assert result.samples == 72
    assert result.judged == "held-out"


def test_safetensors(tmp_path: Path) -> None:
    before = stale_net().state_dict()
    save_file(before, tmp_path / "net.safetensors")
    repaired(tmp_path / "net.safetensors")
    found = load_file(tmp_path / "repaired.out")
    assert_trained(dict(sorted(found.items())), dict(sorted(before.items())))


def test_a_pickled_module(tmp_path: Path) -> None:
    torch.save(stale_net(), tmp_path / "net.pt")
    repaired(tmp_path / "net.pt", arch=None, trust_pickle=True)
    found = torch.load(tmp_path / "repaired.out", weights_only=False)
    assert isinstance(found, Net)
    assert not found.training
    assert_trained(found.state_dict(), stale_net().state_dict())


def test_an_exported_program(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(stale_net(), (torch.from_numpy(X[:3]),), dynamic_shapes=dynamic)
        torch.export.save(program, tmp_path / "net.pt2")
        repaired(tmp_path / "net.pt2", arch=None)
        with (tmp_path / "repaired.out").open("rb") as file:
            found = torch.export.load(file)
    assert_trained(dict(found.state_dict), dict(program.state_dict))
    plain = Net().eval()
    plain.load_state_dict(found.state_dict)
    x = torch.from_numpy(X)
    torch.testing.assert_close(found.module()(x), plain(x), rtol=1e-4, atol=1e-4)


def test_half_precision_stays_half_precision(tmp_path: Path) -> None:
    torch.save(stale_net().half().state_dict(), tmp_path / "net.pt")
    repaired(tmp_path / "net.pt", arch=lambda: build().half())
    found = torch.load(tmp_path / "repaired.out", weights_only=True)
    assert {value.dtype for value in found.values()} == {torch.float16, torch.int64}


def test_frozen_layers_keep_their_statistics_and_say_so(tmp_path: Path) -> None:
    before = stale_net().state_dict()
    torch.save(before, tmp_path / "net.pt")
    result = repaired(tmp_path / "net.pt", arch=frozen)
    found = torch.load(tmp_path / "repaired.out", weights_only=True)
    same = {name for name, value in before.items() if torch.equal(value, found[name])}
    assert same - {"stem.conv.bias"} == {name for name in before if name.startswith("deep.0.norm.")}
    assert [(layer.name, layer.reason) for layer in result.layers if not layer.changed] == [
        ("deep.0.norm", Reason.NOT_TRAINED)
    ]


def test_a_file_that_counts_no_batches_is_not_taught_to(tmp_path: Path) -> None:
    before = {name: value for name, value in stale_net().state_dict().items() if "num_batches" not in name}
    torch.save(before, tmp_path / "net.pt")
    repaired(tmp_path / "net.pt")
    assert_trained(torch.load(tmp_path / "repaired.out", weights_only=True), before)


def test_the_outcome_alone_leaves_no_file(tmp_path: Path) -> None:
    torch.save(stale_net().state_dict(), tmp_path / "net.pt")
    result = bncheck.repair_file(tmp_path / "net.pt", out=None, data=(X, Y), arch=ARCH)
    assert (result.path, result.out, result.after.model.path) == (None, None, str(tmp_path / "net.pt"))
    assert set(bytes_of(tmp_path)) == {"net.pt"}


def roles(**named: Any) -> Roles:
    way = method_named(named.pop("method", "renorm"), MethodOptions())
    given = {"data": None, "train_data": None, "heldout": None} | named
    return roles_of(way, how=DataOptions(), seed=0, **given)


def numbers(count: int = 50, start: int = 0) -> np.ndarray:
    """Samples that say which they are."""
    return np.arange(start, start + count, dtype=np.float32)[:, None]


def read(source: Any, **how: Any) -> list[float]:
    return [value for batch in source.given_batches(8, **how) for value in batch.inputs.flatten().tolist()]


def test_the_only_data_are_divided() -> None:
    for given in ({"data": numbers()}, {"train_data": numbers()}):
        found = roles(**given)
        trained, judged = read(found.repair_from), read(found.judge)
        assert (len(trained), len(judged)) == (40, 10)
        assert sorted([*trained, *judged]) == list(range(50))
        assert judged != list(range(40, 50))
        assert found.note is not None
        assert "10 samples" in found.note.sentence
        assert (trained == sorted(trained)) == ("train_data" in given)


def test_data_are_drawn_anew_in_every_pass_and_training_data_keep_their_order() -> None:
    drawn = roles(data=numbers(), heldout=numbers(5)).repair_from
    assert sorted(read(drawn, seed=1)) == list(range(50))
    assert read(drawn, seed=1) != read(drawn, seed=2)
    kept = roles(train_data=numbers(), data=numbers(5)).repair_from
    assert read(kept, seed=1) == list(range(50))
    assert kept.read == 50


def test_of_three_data_one_trains_one_chooses_one_judges() -> None:
    found = roles(train_data=numbers(20), data=numbers(5, 100), heldout=numbers(5, 200))
    assert read(found.validation) == list(range(100, 105))
    assert read(found.judge) == list(range(200, 205))
    two = roles(train_data=numbers(20), data=numbers(5, 100))
    assert (two.validation, read(two.judge)) == (None, list(range(100, 105)))


def test_training_data_do_not_judge_although_they_are_named_twice(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", numbers())
    (tmp_path / "link.npy").symlink_to(tmp_path / "x.npy")
    found = roles(train_data=str(tmp_path / "x.npy"), data=str(tmp_path / "link.npy"))
    assert not set(read(found.repair_from)) & set(read(found.judge))


def test_a_loader_cannot_be_divided() -> None:
    with pytest.raises(UsageError, match=r"name other data with heldout"):
        roles(data=[numbers(8), numbers(8)])
    with pytest.raises(UsageError, match=r"name other data with data"):
        roles(train_data=[numbers(8), numbers(8)])
    with pytest.raises(UsageError, match=r"There are no data to train on"):
        roles()


def test_methods_that_do_not_train_take_no_training_data() -> None:
    assert roles(method="recalibrate", data=numbers()).judge.samples == 50
    with pytest.raises(UsageError, match=r"method=.recalibrate. takes data alone"):
        roles(method="recalibrate", data=numbers(), train_data=numbers())


def test_labels_go_with_their_samples_when_data_are_divided() -> None:
    source = open_data((numbers(), np.arange(50)))
    for part in source.split(0.3, 0):
        for batch in part.given_batches(8):
            assert batch.inputs.flatten().tolist() == batch.labels.tolist()
