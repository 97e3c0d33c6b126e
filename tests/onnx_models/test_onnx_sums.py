"""What the sums of an instrumented graph are worth: against float64, as shipped and by the batch, in every form."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hand_written import BIAS, SCALE, model, norm_node, norm_values, one_norm, saved
from onnx import TensorProto

from bncheck.core import Moments
from bncheck.data import Batch
from bncheck.formats import open_model
from bncheck.formats.onnx.running.rewriting import with_batch_statistics, with_taps
from bncheck.formats.onnx.running.session import OnnxSession
from bncheck.formats.onnx.running.taps import _number_of_blocks
from bncheck.watch import BATCH, BLOCK, STORED, Policy, Recorder

both_ways = pytest.mark.parametrize("policy", [STORED, BATCH])
OFFSETS = np.array([0.0, 30.0, 1e3]).reshape(3, 1, 1)
"""By channel: one that is summed as it is, two that are centred first."""


def normal(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    values = np.random.default_rng(0).normal(0.2, 1, shape) + OFFSETS
    return values.astype(dtype)


def measured(path: Path, x: np.ndarray, policy: Policy) -> tuple[Moments, np.ndarray]:
    """What the only layer was fed, and what came out."""
    recorder = Recorder(per_sample=policy is STORED)
    with open_model(path).session("x", 0) as session:
        output = session.run(Batch(torch.from_numpy(x), None, len(x)), policy, recorder)["y"]
    (calls,) = recorder.by_layer().values()
    return calls[0].moments, output.numpy()


def assert_exact(seen: Moments, x: np.ndarray, rel: float = 1e-5) -> None:
    values = x.astype(np.float64)
    mean, var = values.mean((0, 2, 3)), values.var((0, 2, 3))
    assert seen.count == values[:, 0].size
    assert np.all(np.abs(seen.mean - mean) <= rel * np.maximum(np.abs(mean), np.sqrt(var)))
    np.testing.assert_allclose(seen.m2 / seen.count, var, rtol=rel)


@both_ways
@pytest.mark.parametrize("opset", [7, 9, 10, 11, 12, 13, 17, 18])
def test_channels_of_large_mean_are_centred_in_every_operator_set(tmp_path: Path, opset: int, policy: Policy) -> None:
    x = normal((6, 3, 20, 24))
    seen, _ = measured(saved(one_norm(opset, shape=(None, 3, None, None)), tmp_path), x, policy)
    assert_exact(seen, x)


@both_ways
@pytest.mark.parametrize(
    ("element_type", "dtype", "rel"),
    [(TensorProto.FLOAT16, np.float16, 1e-5), (TensorProto.DOUBLE, np.float64, 1e-10)],
)
def test_other_types_are_summed_as_exactly(
    tmp_path: Path, element_type: int, dtype: type, rel: float, policy: Policy
) -> None:
    x = normal((6, 3, 16, 16), dtype)
    proto = model(
        [norm_node("bn", "x", "y")], norm_values("bn", dtype), element_type=element_type, shape=(None, 3, None, None)
    )
    seen, _ = measured(saved(proto, tmp_path), x, policy)
    assert_exact(seen, x, rel)


@pytest.mark.parametrize("opset", [9, 17])
def test_what_came_out_was_normalized_by_the_batch(tmp_path: Path, opset: int) -> None:
    x = normal((5, 3, 12, 12))
    _, output = measured(saved(one_norm(opset, shape=(None, 3, None, None)), tmp_path), x, BATCH)
    values = x.astype(np.float64)
    mean, var = (values.mean((0, 2, 3), keepdims=True), values.var((0, 2, 3), keepdims=True))
    scale, bias = (array.reshape(3, 1, 1) for array in (SCALE, BIAS))
    expected = (values - mean) / np.sqrt(var + 1e-5) * scale + bias
    np.testing.assert_allclose(output[:, 0], expected[:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output, expected, atol=1e-3)  # 1000 has four digits behind the point in float32


@both_ways
@pytest.mark.parametrize("size", [(160, 160), (1, 10007), (2, 521), (1, 1), (7, 1)])
def test_few_values_do_not_round_one_way_at_any_size(tmp_path: Path, size: tuple[int, int], policy: Policy) -> None:
    x = np.where(np.random.default_rng(1).random((4, 3, *size)) > 0.8, 0.1, 0.0).astype(np.float32)
    x[0, :, 0, 0] = 0.1  # else a map of one position might not vary
    x[1, :, 0, 0] = 0.0
    seen, _ = measured(saved(one_norm(shape=(None, 3, None, None)), tmp_path), x, policy)
    assert_exact(seen, x)


@both_ways
def test_what_is_not_finite_stays_in_its_channel(tmp_path: Path, policy: Policy) -> None:
    x = normal((4, 3, 4, 4))
    x[0, 1, 0, 0], x[1, 2, 0, 0] = np.nan, np.inf
    seen, _ = measured(saved(one_norm(), tmp_path), x, policy)
    assert np.isfinite([seen.mean[0], seen.m2[0]]).all()
    assert np.isnan(seen.m2[1:]).all()


def test_squares_that_overflow_are_taken_of_deviations_by_the_batch(tmp_path: Path) -> None:
    x = (np.random.default_rng(0).normal(0, 1e15, (4, 3, 4, 4)) + 1e20).astype(np.float32)
    seen, _ = measured(saved(one_norm(), tmp_path), x, BATCH)
    np.testing.assert_allclose(seen.m2 / seen.count, x.astype(np.float64).var((0, 2, 3)), rtol=1e-3)


@both_ways
def test_maps_of_another_size_are_run_again_and_the_next_are_not(
    tmp_path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    running = OnnxSession._run

    def counted(self: OnnxSession, *args: object) -> dict[str, object]:
        runs.append(1)
        return running(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(OnnxSession, "_run", counted)
    path = saved(one_norm(shape=(None, 3, None, None)), tmp_path)
    counts = []
    with open_model(path).session("x", 0) as session:
        session._compared = True  # type: ignore[attr-defined]  # which takes a run of its own, once
        for side in (16, 16, 24, 24, 4):
            x = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (4, 3, side, side)).astype(np.float32))
            session.run(Batch(x, None, 4), policy, Recorder(per_sample=False))
            counts.append(len(runs))
            runs.clear()
    assert counts == [2, 1, 2, 1, 1]


def test_blocks_part_any_number_of_positions() -> None:
    for positions in range(1, 5000):
        blocks = _number_of_blocks(positions)
        assert positions % blocks == 0
        assert positions // blocks <= BLOCK
    assert _number_of_blocks(0) == 1
    assert [112 * 112 // _number_of_blocks(112 * 112), 49 // _number_of_blocks(49), _number_of_blocks(1009)] == [
        *(64, 49),
        1009,
    ]


@pytest.mark.parametrize("instrumented", [with_taps, with_batch_statistics])
def test_no_node_gives_squares_of_a_whole_activation(tmp_path: Path, instrumented: object) -> None:
    """They took as much memory as what they were of."""
    graph = open_model(saved(one_norm(), tmp_path)).graph
    nodes = instrumented(graph).graph.node  # type: ignore[operator]
    squares = [node for node in nodes if node.op_type == "ReduceSumSquare"]
    assert squares
    assert all(node.input[0] in ("bncheck::rows.0", "bncheck::deviations.0") for node in squares)
    assert not [node for node in nodes if node.op_type in ("Mul", "Pow") and "rows" in node.input[0]]
