"""What moved between two checkpoints: by how much, in whatever formats, and what was to stay."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bncheck
from bncheck.errors import ModelError, UsageError
from bncheck.results.difference import COLUMNS, Difference, LayerChange


class Net(nn.Module):
    """Two layers with statistics, one without, and weights around them."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.backbone(x).mean((2, 3))))


@pytest.fixture
def net() -> Net:
    return made_net()


def made_net() -> Net:
    torch.manual_seed(0)
    made = Net()
    made(3 + 2 * torch.randn(64, 1, 8, 8))
    with torch.no_grad():
        made.backbone[1].bias.uniform_(-1, 1)
        made.backbone[3].bias.uniform_(-1, 1)
    return made.eval()


def moved_net(net: Net) -> Net:
    """Shifted by 0.3 standard deviations in the first layer, twice the deviation in the second, another head."""
    other = copy.deepcopy(net)
    first, second = other.backbone[1], other.backbone[3]
    first.running_mean += 0.3 * torch.sqrt(first.running_var + first.eps)
    second.running_var.copy_(4 * (second.running_var + second.eps) - second.eps)
    first.num_batches_tracked += 1
    with torch.no_grad():
        other.head.weight.mul_(1.5)
    return other


def by_name(difference: Difference) -> dict[str, LayerChange]:
    return {layer.name: layer for layer in difference.layers}


def frozen_codes(difference: Difference) -> list[str]:
    return [finding.code for finding in difference.findings]


def test_statistics_move_in_units_of_the_gap(net: Net) -> None:
    difference = bncheck.diff(net, moved_net(net))
    first, second = by_name(difference)["backbone.1"], by_name(difference)["backbone.3"]
    assert (first.gap, first.shift_max, first.scale_max) == pytest.approx((0.3, 0.3, 1.0), rel=1e-5)
    assert (second.shift_max, second.scale_min, second.scale_max) == pytest.approx((0.0, 2.0, 2.0), rel=1e-5)
    assert second.gap == pytest.approx(1.0, rel=1e-3)  # w < 1: eps is no matter of the data
    assert (first.updates_before, first.updates_after) == (1, 2)
    assert (difference.summary.layers_moved, difference.summary.layers_compared) == (2, 2)


def test_other_tensors_move_relative_to_the_larger_norm(net: Net) -> None:
    difference = bncheck.diff(net, moved_net(net))
    (head,) = [tensor for tensor in difference.tensors if tensor.moved]
    assert (head.name, head.shape) == ("head.weight", (2, 4))
    assert head.change == pytest.approx(1 / 3, rel=1e-6)
    names = {tensor.name for tensor in difference.tensors}
    assert not any(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in names)
    assert {"backbone.1.weight", "backbone.1.bias", "norm.weight", "head.bias"} <= names


def test_a_model_does_not_differ_from_itself(net: Net) -> None:
    difference = bncheck.diff(net, copy.deepcopy(net), expect_frozen=["*"])
    assert (difference.summary.layers_moved, difference.summary.tensors_moved) == (0, 0)
    assert difference.summary.exit_code == 0
    assert (difference.only_before, difference.only_after) == ((), ())


def test_the_smallest_step_is_a_move(net: Net) -> None:
    other = copy.deepcopy(net)
    mean = other.backbone[1].running_mean
    mean[2] = torch.nextafter(mean[2], torch.tensor(math.inf))
    difference = bncheck.diff(net, other, expect_frozen=["backbone.*"])
    assert [layer.name for layer in difference.layers if layer.moved] == ["backbone.1"]
    assert frozen_codes(difference) == ["BN402"]


def test_a_step_of_training_in_train_mode_moves_frozen_statistics_and_in_eval_mode_does_not(net: Net) -> None:
    """The fault the rule is about, and what mends it."""
    for parameter in net.backbone.parameters():
        parameter.requires_grad = False
    for in_eval, codes in ((False, ["BN402"]), (True, [])):
        tuned = copy.deepcopy(net).train()
        if in_eval:
            tuned.backbone.eval()
        optimizer = torch.optim.SGD([each for each in tuned.parameters() if each.requires_grad], lr=0.1)
        tuned(torch.randn(16, 1, 8, 8)).square().mean().backward()
        optimizer.step()
        difference = bncheck.diff(net, tuned, expect_frozen=["backbone.*"])
        assert frozen_codes(difference) == codes
        assert difference.summary.exit_code == len(codes)
        assert [each.name for each in difference.tensors if each.moved and each.name.startswith("backbone")] == []
        assert any(each.moved for each in difference.tensors)


def test_only_the_layers_named_must_be_frozen(net: Net) -> None:
    moved = moved_net(net)
    moved.backbone[1].running_mean.copy_(net.backbone[1].running_mean)
    assert frozen_codes(bncheck.diff(net, moved, expect_frozen=["backbone.1"])) == []
    found = bncheck.diff(net, moved, expect_frozen=["backbone.1", "*.3"])
    assert frozen_codes(found) == ["BN402"]
    assert found.findings[0].layer == "backbone.3"
    assert found.summary.verdict == "findings"
    assert bncheck.diff(net, moved).findings == ()


def test_a_name_that_no_layer_has_is_refused(net: Net) -> None:
    with pytest.raises(UsageError, match=r"^expect_frozen back\*x: no normalization layer has such"):
        bncheck.diff(net, net, expect_frozen=["back*x"])


def test_frozen_layers_that_cannot_be_compared_are_no_all_clear(net: Net) -> None:
    without = copy.deepcopy(net)
    without.backbone[3] = nn.Identity()
    for pair in ((net, without), (without, net)):
        difference = bncheck.diff(*pair, expect_frozen=["backbone.*"])
        assert difference.summary.exit_code == 4
        assert bncheck.diff(*pair, expect_frozen=["backbone.1"]).summary.exit_code == 0
    assert "backbone.3" in bncheck.diff(net, without).only_before
    assert "backbone.3" in bncheck.diff(without, net).only_after
    assert bncheck.diff(net, net, expect_frozen=["norm"]).summary.exit_code == 4


def test_nothing_in_common_is_nothing_compared(net: Net) -> None:
    difference = bncheck.diff(net, nn.Linear(7, 3))
    assert (difference.summary.verdict, difference.summary.exit_code) == ("not-checked", 4)


def test_layers_that_are_folded_away_in_one_file_are_not_called_unmoved(net: Net) -> None:
    """Tensors of the same name are no answer where the question was statistics; without any they are."""
    folded = copy.deepcopy(net)
    for index in (1, 3):
        folded.backbone[index] = nn.Identity()
    for pair in ((net, folded), (folded, net)):
        difference = bncheck.diff(*pair)
        assert difference.summary.tensors_compared
        assert (difference.summary.verdict, difference.summary.exit_code) == ("not-checked", 4)
    assert bncheck.diff(folded, folded).summary.exit_code == 0


def test_tensors_of_other_shapes_have_moved(net: Net) -> None:
    other = copy.deepcopy(net)
    other.head = nn.Linear(4, 5)
    moved = {tensor.name: tensor for tensor in bncheck.diff(net, other).tensors if tensor.moved}
    assert moved["head.weight"].change is None
    assert moved["head.weight"].shape == (5, 4)


def test_what_is_not_finite_has_moved_and_equals_itself(net: Net) -> None:
    broken = copy.deepcopy(net)
    broken.backbone[1].running_var[0] = math.nan
    broken.head.bias.data[0] = math.inf
    difference = bncheck.diff(net, broken, expect_frozen=["backbone.*"])
    assert math.isnan(by_name(difference)["backbone.1"].gap)
    assert [tensor.name for tensor in difference.tensors if tensor.moved] == ["head.bias"]
    assert "not a number" in difference.findings[0].message
    document = difference.to_dict()
    assert document["layers"][0]["gap"] is None
    assert document["findings"][0]["evidence"]["gaps"] == [None]
    assert bncheck.diff(broken, copy.deepcopy(broken)).summary.layers_moved == 0


def save_state(net: Net, path: Path) -> None:
    torch.save(net.state_dict(), path)


def save_lightning(net: Net, path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {f"model.{name}": value for name, value in net.state_dict().items()}}, path)


def save_parallel(net: Net, path: Path) -> None:
    torch.save({f"module.{name}": value for name, value in net.state_dict().items()}, path)


def save_script(net: Net, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(net).save(str(path))


def save_program(net: Net, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (torch.randn(2, 1, 8, 8),)), path.with_suffix(".pt2"))
    path.with_suffix(".pt2").rename(path)


def save_safetensors(net: Net, path: Path) -> None:
    from safetensors.torch import save_file

    save_file(net.state_dict(), path)


FORMATS = [save_state, save_lightning, save_parallel, save_script, save_program, save_safetensors]


Save = Callable[[Net, Path], None]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Save, str], Path]:
    """The network in any format, `before`, the `same` again, or `after` it was moved; each written once."""

    @cache
    def write(save: Save, name: str) -> Path:
        path = tmp_path_factory.mktemp(save.__name__) / name
        save(moved_net(made_net()) if name == "after" else made_net(), path)
        return path

    return write


@pytest.mark.parametrize("save", FORMATS)
@pytest.mark.parametrize("save_other", FORMATS)
def test_formats_mix(written: Callable[[Save, str], Path], save: Save, save_other: Save) -> None:
    before = written(save, "before")
    same = bncheck.diff(before, written(save_other, "same"))
    assert (same.summary.layers_compared, same.summary.layers_moved, same.summary.tensors_moved) == (2, 0, 0)
    assert (same.only_before, same.only_after) == ((), ())
    assert same.summary.tensors_compared == 10
    moved = bncheck.diff(before, written(save_other, "after"), expect_frozen=["*backbone.1"])
    assert moved.summary.exit_code == 1
    assert [layer.gap for layer in moved.layers] == pytest.approx([0.3, 1.0], rel=1e-3)
    assert [tensor.change for tensor in moved.tensors if tensor.moved] == pytest.approx([1 / 3], rel=1e-6)


def test_onnx_is_compared_with_a_checkpoint(net: Net, tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper, save

    state = {name: value.numpy() for name, value in net.state_dict().items() if name.startswith("backbone.1")}
    roles = ["weight", "bias", "running_mean", "running_var"]
    node = helper.make_node("BatchNormalization", ["x", *(f"backbone.1.{role}" for role in roles)], ["y"], epsilon=1e-5)
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4, 6, 6]) for name in "xy"]
    tensors = [numpy_helper.from_array(state[f"backbone.1.{role}"], f"backbone.1.{role}") for role in roles]
    graph = helper.make_graph([node], "net", value[:1], value[1:], tensors)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=9), tmp_path / "net.onnx")
    save_state(net, tmp_path / "same.pt")
    save_state(moved_net(net), tmp_path / "moved.pt")
    assert bncheck.diff(tmp_path / "same.pt", tmp_path / "net.onnx").summary.layers_moved == 0
    back = bncheck.diff(tmp_path / "net.onnx", tmp_path / "moved.pt")
    assert [(layer.original, layer.moved) for layer in back.layers] == [("backbone.1", True)]
    assert back.layers[0].gap == pytest.approx(0.3, rel=1e-5)
    assert {tensor.name for tensor in back.tensors} == {"backbone.1.weight", "backbone.1.bias"}


def test_half_precision_is_no_move_but_what_it_cannot_hide_is(net: Net, tmp_path: Path) -> None:
    half = copy.deepcopy(net).half()
    save_state(net, tmp_path / "full.pt")
    save_state(half, tmp_path / "half.pt")
    assert bncheck.diff(tmp_path / "full.pt", tmp_path / "half.pt").summary.layers_moved == 0
    half.backbone[1].running_mean *= 1.01
    save_state(half, tmp_path / "half.pt")
    assert bncheck.diff(tmp_path / "full.pt", tmp_path / "half.pt").summary.layers_moved == 1


def test_two_states_of_one_checkpoint(net: Net, tmp_path: Path) -> None:
    torch.save({"model": net.state_dict(), "ema": moved_net(net).state_dict()}, tmp_path / "both.pt")
    difference = bncheck.diff(tmp_path / "both.pt", tmp_path / "both.pt", key="model", key_after="ema")
    assert difference.summary.layers_moved == 2
    same = bncheck.diff(tmp_path / "both.pt", tmp_path / "both.pt", key="ema")
    assert same.summary.layers_moved == 0


def test_renamed_layers_are_found_by_gamma_and_beta(net: Net) -> None:
    class Renamed(Net):
        def __init__(self) -> None:
            super().__init__()
            self.other = self.backbone
            del self.backbone

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.norm(self.other(x).mean((2, 3))))

    renamed = Renamed()
    state = {name.replace("backbone", "other"): value for name, value in moved_net(net).state_dict().items()}
    renamed.load_state_dict(state)
    difference = bncheck.diff(net, renamed.eval())
    assert [(layer.original, layer.name) for layer in difference.layers] == [
        ("backbone.1", "other.1"),
        ("backbone.3", "other.3"),
    ]
    assert frozen_codes(bncheck.diff(net, renamed, expect_frozen=["backbone.1"])) == ["BN402"]


def test_the_models_are_left_as_they_were(net: Net) -> None:
    moved = moved_net(net).train()
    before = copy.deepcopy((net.state_dict(), moved.state_dict()))
    bncheck.diff(net, moved)
    for state, kept in zip((net.state_dict(), moved.state_dict()), before, strict=True):
        assert all(torch.equal(state[name], kept[name]) for name in kept)
    assert moved.training


def test_unreadable_files_are_refused_by_name(net: Net, tmp_path: Path) -> None:
    save_state(net, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"b\.pt"):
        bncheck.diff(tmp_path / "a.pt", tmp_path / "b.pt")
    with pytest.raises(UsageError, match=r"There is no file .*c\.pt"):
        bncheck.diff(tmp_path / "a.pt", tmp_path / "c.pt")


def test_rows_are_the_json_made_flat(net: Net) -> None:
    difference = bncheck.diff(net, moved_net(net))
    document = difference.to_dict()
    rows = difference.rows()
    assert all(list(row) == COLUMNS for row in rows)
    assert [row["name"] for row in rows] == [each["name"] for each in (*document["layers"], *document["tensors"])]
    assert [row["gap"] for row in rows if row["what"] == "statistics"] == [each["gap"] for each in document["layers"]]
    assert np.isfinite([row["gap"] for row in rows if row["gap"] is not None]).all()


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 3e38])
def test_weights_of_any_size_are_compared_without_a_warning(value: float, tmp_path: Path) -> None:
    """Warnings are errors in these tests."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    state = net.state_dict()
    broken = {name: torch.full_like(each, value) if each.is_floating_point() else each for name, each in state.items()}
    for name, saved in (("sound", state), ("broken", broken)):
        torch.save(saved, tmp_path / f"{name}.pth")
    for one, other in (("sound", "broken"), ("broken", "sound")):
        first, second = tmp_path / f"{one}.pth", tmp_path / f"{other}.pth"
        assert bncheck.diff(first, second).layers[0].moved
        report = bncheck.inspect(first, torch.randn(24, 1, 6, 6), reference=second, arch=lambda: copy.deepcopy(net))
        assert report.summary.exit_code == 1
