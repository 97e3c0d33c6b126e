"""What `torch.save` wrote, repaired: statistics new, all else as it was."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from repair_nets import (
    ARCH,
    LAYERS,
    Net,
    assert_rest_unchanged,
    assert_statistics,
    bytes_of,
    expected_statistics,
    images,
    stale_net,
)
from torch import nn

import bncheck
from bncheck.errors import ModelError, UsageError
from bncheck.formats.recognition.recognise import recognise
from bncheck.formats.stored_values import in_form_of

pytestmark = pytest.mark.usefixtures("without_probes")  # what is written does not hang on them

LEGACY = {"_use_new_zipfile_serialization": False}


def repaired(path: Path, **how: Any) -> Any:
    """What the repaired file holds; the folder's other files are as before."""
    before = bytes_of(path.parent)
    result = bncheck.repair_file(path, images(), out=path.parent / "repaired.out", arch=how.pop("arch", ARCH), **how)
    assert result.path == str(path.parent / "repaired.out")
    assert {name: bytes_of(path.parent)[name] for name in before} == before
    assert set(bytes_of(path.parent)) == {*before, "repaired.out"}
    assert recognise(Path(result.path)) == recognise(path)
    return torch.load(result.path, weights_only=not how.get("trust_pickle", False))


def saved(content: Any, folder: Path, **how: Any) -> Path:
    torch.save(content, folder / "net.pt", **how)
    return folder / "net.pt"


@pytest.mark.parametrize("how", [{}, LEGACY], ids=["zip", "legacy"])
def test_a_bare_state_dict_stays_one(tmp_path: Path, how: dict[str, Any]) -> None:
    net = stale_net()
    state = repaired(saved(net.state_dict(), tmp_path, **how))
    assert isinstance(state, OrderedDict)
    assert state._metadata == net.state_dict()._metadata
    assert_statistics(state, net)
    assert_rest_unchanged(state, net.state_dict())
    Net().load_state_dict(state, strict=True)


def test_a_lightning_checkpoint_keeps_its_optimizer_epoch_and_prefix(tmp_path: Path) -> None:
    net = stale_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.from_numpy(images()[:4])).sum().backward()
    optimizer.step()
    content = {
        "pytorch-lightning_version": "2.5.0",
        "epoch": 7,
        "state_dict": {f"model.{name}": value for name, value in net.state_dict().items()},
        "optimizer_states": [optimizer.state_dict()],
        "hyper_parameters": {"lr": 0.1},
    }
    found = repaired(saved(content, tmp_path))
    assert list(found) == list(content)
    assert (found["epoch"], found["hyper_parameters"]) == (7, {"lr": 0.1})
    momentum = found["optimizer_states"][0]["state"][0]["momentum_buffer"]
    assert torch.equal(momentum, optimizer.state_dict()["state"][0]["momentum_buffer"])
    assert_rest_unchanged(found["state_dict"], content["state_dict"])
    assert_statistics({name.removeprefix("model."): value for name, value in found["state_dict"].items()}, net)


def test_only_the_chosen_state_dict_changes_although_an_averaged_copy_shares_its_tensors(tmp_path: Path) -> None:
    net = stale_net()
    state = net.state_dict()
    content = {"model": dict(state), "ema": dict(state)}
    found = repaired(saved(content, tmp_path))
    assert_statistics(found["model"], net)
    assert all(torch.equal(found["ema"][name], value) for name, value in state.items())
    other = bncheck.repair_file(tmp_path / "net.pt", images(), out=tmp_path / "ema.pt", arch=ARCH, key="ema")
    found = torch.load(other.path)
    assert_statistics(found["ema"], net)
    assert all(torch.equal(found["model"][name], value) for name, value in state.items())


class Twice(nn.Module):
    """One normalization under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.BatchNorm2d(2)
        self.second = self.first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x).mean((2, 3))


def test_a_layer_under_two_names_changes_under_both_and_stays_one_tensor(tmp_path: Path) -> None:
    path = saved(Twice().state_dict(), tmp_path)
    state = repaired(path, arch=f"{__file__}:Twice", force=True)
    assert state["first.running_mean"].data_ptr() == state["second.running_mean"].data_ptr()
    assert float(state["second.running_mean"].mean()) == pytest.approx(0.3, abs=0.1)


def test_statistics_that_were_never_saved_are_added_under_the_names_of_their_neighbours(tmp_path: Path) -> None:
    net = stale_net()
    parameters = {f"model.{name}": value for name, value in net.named_parameters()}
    state = repaired(saved({"state_dict": parameters}, tmp_path))["state_dict"]
    plain = {name.removeprefix("model."): value for name, value in state.items()}
    assert all(name.startswith("model.") for name in state)
    assert_statistics(plain, net)
    assert all(plain[f"{name}.num_batches_tracked"] == 0 for name in LAYERS)
    Net().load_state_dict(plain, strict=True)


def test_half_precision_stays_half_precision(tmp_path: Path) -> None:
    net = stale_net()
    halves = {name: value.half() if value.is_floating_point() else value for name, value in net.state_dict().items()}
    state = repaired(saved(halves, tmp_path))
    assert_rest_unchanged(state, halves)
    assert_statistics(state, net, tolerance=5e-3)


def test_a_value_that_its_dtype_cannot_hold_is_an_error_that_names_the_layer(tmp_path: Path) -> None:
    net = stale_net()
    halves = {name: value.half() if value.is_floating_point() else value for name, value in net.state_dict().items()}
    path = saved(halves, tmp_path)
    with pytest.raises(ModelError, match=r"stem\.norm\.running_.* cannot be written: the value .* beyond float16"):
        bncheck.repair_file(path, images() * 1e6, out=tmp_path / "out.pt", arch=ARCH)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.pt"]


def test_a_pickled_module_is_written_whole_and_in_the_mode_it_was_in(tmp_path: Path) -> None:
    net = stale_net().train()
    found = repaired(saved({"net": net, "epoch": 3}, tmp_path), arch=None, trust_pickle=True)
    assert found["epoch"] == 3
    assert found["net"].training
    assert_rest_unchanged(found["net"].state_dict(), net.state_dict())
    assert_statistics(found["net"].state_dict(), net)


def test_a_plain_pickle_stays_one(tmp_path: Path) -> None:
    net = stale_net()
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(net))
    result = bncheck.repair_file(tmp_path / "net.pkl", images(), out=tmp_path / "out.pkl", trust_pickle=True)
    assert_statistics(pickle.loads(Path(result.path).read_bytes()).state_dict(), net)


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir, (self.marker,)


def test_a_blocked_pickle_is_never_executed(tmp_path: Path) -> None:
    path = saved({"state_dict": stale_net().state_dict(), "extra": Hostile(tmp_path / "ran")}, tmp_path)
    bncheck.repair_file(path, images(), out=tmp_path / "out.pt", arch=ARCH)
    assert {entry.name for entry in tmp_path.iterdir()} == {"net.pt", "out.pt"}
    torch.save({"extra": Hostile(tmp_path / "ran")}, path)
    with pytest.raises(ModelError, match=r"holds more than tensors and was not read.*trust_pickle"):
        bncheck.repair_file(path, images(), out=tmp_path / "other.pt", arch=ARCH)
    assert {entry.name for entry in tmp_path.iterdir()} == {"net.pt", "out.pt"}


def test_a_state_dict_without_its_architecture_cannot_be_repaired(tmp_path: Path) -> None:
    path = saved(stale_net().state_dict(), tmp_path)
    with pytest.raises(UsageError, match=r"holds tensors only .* arch"):
        bncheck.repair_file(path, images(), out=tmp_path / "out.pt")


def test_the_statistics_are_pooled_so_they_do_not_depend_on_the_batches(tmp_path: Path) -> None:
    # One layer: nothing upstream, so the data's own mean and population variance are the answer.
    torch.save(nn.BatchNorm2d(2).state_dict(), tmp_path / "bn.pt")
    result = bncheck.repair_file(
        tmp_path / "bn.pt", 1000 + images(), out=tmp_path / "out.pt", arch=f"{__file__}:one_layer", force=True
    )
    state = torch.load(result.path)
    values = torch.from_numpy(1000.0 + images().astype("float32")).double()
    torch.testing.assert_close(state["running_mean"].double(), values.mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(state["running_var"].double(), values.var((0, 2, 3), unbiased=False), rtol=1e-4, atol=0)


def one_layer() -> nn.Module:
    return nn.BatchNorm2d(2)


def test_the_reference_of_these_tests_is_not_what_the_net_holds() -> None:
    state, expected = stale_net().state_dict(), expected_statistics(stale_net())
    assert all((state[name] - value).abs().max() > 0.1 for name, value in expected.items())


def test_the_memory_format_of_a_weight_is_kept() -> None:
    old = torch.nn.Parameter(torch.zeros(4, 3, 2, 2).to(memory_format=torch.channels_last))
    new = torch.arange(48.0, dtype=torch.float64).reshape(4, 3, 2, 2)
    value = in_form_of(old, new, "weight")
    assert isinstance(value, torch.nn.Parameter)
    assert (value.stride(), value.dtype) == (old.stride(), torch.float32)
    assert torch.equal(value, new.float())
