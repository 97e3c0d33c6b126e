"""What layers of ONNX files are called, and whom findings name as the file's producer."""

from pathlib import Path

import numpy as np
import pytest
from hand_written import ARRAYS, model, saved, tensor_of
from onnx import helper, numpy_helper

import bncheck
from bncheck.formats import open_model

PADDLE = ("w_0", "b_0", "w_1", "w_2")
CAFFE2 = ("s_0", "b_0", "rm_0", "riv_0")


def names_of(folder: Path, *nodes: tuple[str, tuple[str, ...]], further: tuple[str, ...] = ()) -> list[str]:
    """The layers' names, where each node has this name and its four values have these."""
    made, values = [], [numpy_helper.from_array(np.ones(1, np.float32), name) for name in further]
    given = "x"
    for number, (name, called) in enumerate(nodes):
        made.append(helper.make_node("BatchNormalization", [given, *called], [f"{number}"], name=name))
        arrays = zip(called, ARRAYS.values(), strict=True)
        values += [tensor_of(array.astype(np.float32), value) for value, array in arrays]
        given = f"{number}"
    opened = open_model(saved(model(made, values, outputs=(given,)), folder))
    return [layer.name for layer in opened.layers]


def under(prefix: str, leaves: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{prefix}{leaf}" for leaf in leaves)


@pytest.mark.parametrize(
    ("node", "values", "expected"),
    [
        ("p2o.BatchNormalization.0", under("batch_norm2d_4.", PADDLE), "batch_norm2d_4"),
        ("n1", under("layer1.0.bn1.", CAFFE2), "layer1.0.bn1"),
        ("BatchNormalization_12", under("gpu_0/res2_0_bn_", CAFFE2), "gpu_0/res2_0_bn"),
        ("", under("stem/norm:", ("0", "1", "2", "3")), "stem/norm"),
        ("7", ("s.bn.ga", "s.bn.gb", "s.bn.running_m", "s.bn.running_v"), "s.bn"),
        # The node's own name says more, or the values' say nothing.
        ("/layer1/head/BatchNormalization", under("layer1.0.bn1.", CAFFE2), "/layer1/head/BatchNormalization"),
        ("n1", under("onnx::BatchNormalization_", ("3", "4", "5", "6")), "n1"),
        ("", under("t", ("1", "2", "3", "4")), "0"),
        ("BatchNormalization_12", ("a.one", "b.two", "c.three", "d.four"), "BatchNormalization_12"),
        ("n1", ("bn.gone", "bn.bone", "bnmean", "bnvar"), "n1"),
    ],
)
def test_values_that_begin_alike_name_a_layer_whose_node_is_only_counted(
    tmp_path: Path, node: str, values: tuple[str, ...], expected: str
) -> None:
    assert names_of(tmp_path, (node, values)) == [expected]


def test_a_beginning_that_others_share_names_no_layer(tmp_path: Path) -> None:
    first, second = under("model.", ("11", "12", "13", "14")), under("model.", ("21", "22", "23", "24"))
    assert names_of(tmp_path, ("n1", first), ("n2", second)) == ["n1", "n2"]
    assert names_of(tmp_path, ("n1", first), further=("model.99",)) == ["n1"]
    assert names_of(tmp_path, ("n1", first), further=("models.99",)) == ["model"]


@pytest.mark.parametrize(
    ("producer", "said", "advised"),
    [
        ("pytorch", "both of PyTorch's exporters fold it into them by default", "torch.onnx.export"),
        ("tf2onnx", "tf2onnx, or an optimizer of ONNX graphs after it, may have folded it", "with tf2onnx again"),
        ("keras2onnx", "keras2onnx, or an optimizer", "model.export"),
        ("PaddlePaddle", "PaddlePaddle, or an optimizer", "paddle2onnx"),
        ("mx net\n::error::", "mx net", "by what it was exported with"),
        ("", "what exported it, or an optimizer", "by what it was exported with"),
    ],
)
def test_the_producer_is_named_as_it_is(tmp_path: Path, producer: str, said: str, advised: str) -> None:
    kernel = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    proto = model([helper.make_node("Conv", ["x", "w"], ["y"])], [kernel])
    proto.producer_name = producer
    opened = open_model(saved(proto, tmp_path))
    (finding,) = bncheck.inspect(saved(proto, tmp_path)).findings
    assert said in finding.message
    assert ("PyTorch" in finding.message) == (producer == "pytorch")
    assert "\n" not in finding.message
    assert advised in opened.advice.export_anew
