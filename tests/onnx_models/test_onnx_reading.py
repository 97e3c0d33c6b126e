"""Reading ONNX files: layers, names, external data, and what is refused."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest
from hand_written import MEAN, VAR, model, norm_node, norm_values, one_norm, saved
from onnx import TensorProto, helper, numpy_helper

import bncheck
from bncheck.errors import ModelError
from bncheck.formats import open_model
from bncheck.formats.onnx.soundness import require_sound


def test_a_layer_has_its_stored_values_and_momentum_in_pytorchs_sense(tmp_path: Path) -> None:
    node = norm_node("stem.bn", "x", "y", epsilon=1e-3, momentum=0.99)
    (layer,) = open_model(saved(model([node], norm_values("stem.bn")), tmp_path)).layers
    assert (layer.name, layer.kind, layer.channels, layer.dtype) == ("stem.bn", "batch_norm", 3, "float32")
    np.testing.assert_array_equal(layer.mean, MEAN)
    np.testing.assert_array_equal(layer.var, VAR)
    assert (layer.eps, layer.momentum, layer.updates) == (1e-3, 0.01, None)


def test_attributes_that_are_left_out_have_onnxs_defaults(tmp_path: Path) -> None:
    (layer,) = open_model(saved(one_norm(), tmp_path)).layers
    assert (layer.eps, layer.momentum) == (1e-5, 0.1)


def test_nodes_of_nameless_values_are_called_by_their_own_names(tmp_path: Path) -> None:
    names = {old.name: f"t{number}" for number, old in enumerate(norm_values("bn"))}
    values = norm_values("bn")
    for value in values:
        value.name = names[value.name]
    first = helper.make_node("BatchNormalization", ["x", "t0", "t1", "t2", "t3"], ["h"], name="first")
    other = numpy_helper.from_array(np.ones(3, np.float32), "t4")
    second = helper.make_node("BatchNormalization", ["h", "t4", "t1", "t2", "t3"], ["y"], name="first")
    layers = open_model(saved(model([first, second], [*values, other]), tmp_path)).layers
    assert [layer.name for layer in layers] == ["first", "y"]


def test_nodes_that_share_all_their_values_are_one_layer(tmp_path: Path) -> None:
    nodes = [norm_node("bn", "x", "h"), norm_node("bn", "h", "y")]
    opened = open_model(saved(model(nodes, norm_values("bn")), tmp_path))
    assert [layer.name for layer in opened.layers] == ["bn"]
    assert len(opened.graph.nodes) == 2


@pytest.mark.parametrize("wrapped", ["Constant", "Identity", "Cast", "Reshape"])
def test_statistics_may_come_from_constant_nodes(tmp_path: Path, wrapped: str) -> None:
    *affine, mean, var = norm_values("bn")
    if wrapped == "Constant":
        sources, values = [helper.make_node("Constant", [], ["bn.running_mean"], value=mean)], [*affine, var]
    elif wrapped == "Cast":
        double = numpy_helper.from_array(MEAN, "m")
        sources = [helper.make_node("Cast", ["m"], ["bn.running_mean"], to=TensorProto.FLOAT)]
        values = [*affine, var, double]
    else:
        shape = numpy_helper.from_array(np.array([3]), "shape")
        given = ["m", "shape"] if wrapped == "Reshape" else ["m"]
        sources = [helper.make_node(wrapped, given, ["bn.running_mean"])]
        values = [*affine, var, numpy_helper.from_array(MEAN.astype(np.float32).reshape(1, 3)[0], "m"), shape]
    (layer,) = open_model(saved(model([*sources, norm_node("bn", "x", "y")], values), tmp_path)).layers
    np.testing.assert_array_equal(layer.mean, MEAN)


def test_layers_without_running_statistics_are_listed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("InstanceNormalization", ["x", "i.weight", "i.bias"], ["h"]),
        helper.make_node("LayerNormalization", ["h", "last"], ["y"], name="ln"),
    ]
    values = [*norm_values("i")[:2], numpy_helper.from_array(np.ones(4, np.float32), "last")]
    report = bncheck.inspect(saved(model(nodes, values), tmp_path))
    assert [(layer.name, layer.kind, layer.reason) for layer in report.layers] == [
        ("i", "instance_norm", "no-running-statistics"),
        ("ln", "layer_norm", "no-running-statistics"),
    ]
    assert report.summary.exit_code == 4


def external(folder: Path, location: str = "net.bin") -> Path:
    path = folder / "net.onnx"
    onnx.save_model(one_norm(), path, save_as_external_data=True, location="net.bin", size_threshold=0)
    proto = onnx.load(path, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(proto.SerializeToString())
    return path


def test_external_data_are_read_and_count_for_the_checksum(tmp_path: Path) -> None:
    path = external(tmp_path)
    opened = open_model(path)
    np.testing.assert_array_equal(opened.layers[0].var, VAR)
    content = bytearray((tmp_path / "net.bin").read_bytes())
    content[0] ^= 1
    (tmp_path / "net.bin").write_bytes(bytes(content))
    assert open_model(path).sha256 != opened.sha256


@pytest.mark.parametrize("location", ["../net.bin", "/etc/passwd", "a/../../net.bin", "C:\\net.bin", "..\\net.bin", ""])
def test_external_data_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = external(inner, location)
    (tmp_path / "net.bin").write_bytes((inner / "net.bin").read_bytes())
    with pytest.raises(ModelError, match="outside its own folder, which is refused"):
        open_model(path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = external(inner, "link.bin")
    (inner / "net.bin").rename(tmp_path / "secret.bin")
    (inner / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ModelError, match="outside its own folder"):
        open_model(path)


def test_missing_and_cut_off_external_data_are_named(tmp_path: Path) -> None:
    path = external(tmp_path)
    content = (tmp_path / "net.bin").read_bytes()
    (tmp_path / "net.bin").write_bytes(content[:-1])
    with pytest.raises(ModelError, match=r"net\.bin ends before the tensor bn\.running_var"):
        open_model(path)
    (tmp_path / "net.bin").unlink()
    with pytest.raises(ModelError, match=r"net\.bin, which is not there"):
        open_model(path)


def test_a_truncated_file_is_said_to_be_cut_off(tmp_path: Path) -> None:
    path = saved(one_norm(), tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ModelError, match="cut off or damaged"):
        open_model(path)


def test_a_file_without_a_graph_is_refused(tmp_path: Path) -> None:
    empty = onnx.ModelProto(ir_version=8, producer_name="nobody")
    with pytest.raises(ModelError, match="holds no graph"):
        open_model(saved(empty, tmp_path))


def test_operator_sets_before_7_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="version 6 of the ONNX operators; bncheck reads 7"):
        open_model(saved(one_norm(6), tmp_path))


def test_statistics_of_different_sizes_are_refused(tmp_path: Path) -> None:
    *values, _ = norm_values("bn")
    odd = numpy_helper.from_array(np.ones(4, np.float32), "bn.running_var")
    with pytest.raises(ModelError, match="the mean has 3 values, the variance has 4 values"):
        open_model(saved(model([norm_node("bn", "x", "y")], [*values, odd]), tmp_path))


@pytest.mark.parametrize(
    ("opset", "attributes", "more"),
    [(17, {"training_mode": 1}, []), (17, {"training_mode": 1}, ["m", "v"]), (9, {}, ["m", "v", "sm", "sv"])],
)
def test_exports_in_training_mode_are_found_in_the_file(
    tmp_path: Path, opset: int, attributes: dict[str, int], more: list[str]
) -> None:
    node = norm_node("bn", "x", "y", **attributes)
    node.output.extend(more)
    path = saved(model([node], norm_values("bn"), opset=opset), tmp_path)
    for data in (None, np.zeros((20, 3, 4, 4), np.float32)):
        report = bncheck.inspect(path, data)
        assert [(finding.code, finding.layer) for finding in report.findings] == [("BN701", "bn")]
        assert [layer.status for layer in report.layers] == ["audited"]
        assert report.summary.exit_code == 1
    unread = bncheck.inspect(path, np.zeros((20, 3, 4, 4), np.float32), ignore=["BN701"])
    assert unread.summary.exit_code == 4  # data were given, and nothing was run


def test_batch_norm_that_computes_its_statistics_is_no_export_in_training_mode(tmp_path: Path) -> None:
    mean = helper.make_node("ReduceMean", ["x"], ["m"], axes=[0, 2, 3], keepdims=0)
    node = helper.make_node("BatchNormalization", ["x", "bn.weight", "bn.bias", "m", "m"], ["y"], training_mode=1)
    report = bncheck.inspect(saved(model([mean, node], norm_values("bn")[:2]), tmp_path))
    assert [layer.reason for layer in report.layers] == ["no-running-statistics"]
    assert report.findings == ()


def test_a_folded_export_names_both_ways_out(tmp_path: Path) -> None:
    kernel = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    path = saved(model([helper.make_node("Conv", ["x", "w"], ["y"])], [kernel]), tmp_path)
    report = bncheck.inspect(path)
    assert [finding.code for finding in report.findings] == ["BN705"]
    assert "--reference model.pt" in report.findings[0].fix
    assert "bncheck stamp" in report.findings[0].fix
    assert report.summary.exit_code == 4


@pytest.mark.slow
def test_other_formats_do_without_onnx() -> None:
    code = "import bncheck, bncheck.formats, bncheck.api.inspecting, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"onnx", "onnxruntime"} & set(done.stdout.split())


@pytest.mark.parametrize(("second", "is_sound"), [("a", False), ("other", True)])
def test_a_tensor_is_made_once_in_a_body_within_a_body(second: str, is_sound: bool) -> None:
    def told(name: str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, [1])

    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Abs", ["x"], [second])]
    body = helper.make_graph(nodes, "inner", [], [told("a")])
    for made in ("b", "y"):
        branches = helper.make_node("If", ["c"], [made], then_branch=body, else_branch=body)
        body = helper.make_graph([branches], made, [], [told(made)])
    body.input.extend([told("x"), told("c", TensorProto.BOOL)])
    with nullcontext() if is_sound else pytest.raises(ModelError, match="Two nodes give the tensor a"):
        require_sound(helper.make_model(body))
