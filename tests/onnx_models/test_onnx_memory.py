"""What the sessions of an ONNX model hold in memory, and when: taps, arenas, copies that tell nothing."""

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hand_written import model, norm_node, norm_values, saved
from onnx import helper, numpy_helper

from bncheck.data import Batch
from bncheck.formats import open_model
from bncheck.formats.onnx.running import memory
from bncheck.formats.onnx.running.rewriting import with_given_statistics, with_taps
from bncheck.watch import BATCH, STORED, Policy


def data(samples: int, side: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(0.4, 1.3, (samples, 3, side, side)).astype(np.float32)


def in_a_row(layers: int = 4) -> onnx.ModelProto:
    """Convolutions, each with its layer and an activation."""
    nodes, values = [], []
    for number in range(layers):
        kernel = np.random.default_rng(number).normal(size=(3, 3, 3, 3)).astype(np.float32)
        values += [numpy_helper.from_array(kernel, f"kernel{number}"), *norm_values(f"bn{number}")]
        entering, leaving = f"a{number}" if number else "x", f"a{number + 1}" if number + 1 < layers else "y"
        nodes += [
            helper.make_node("Conv", [entering, f"kernel{number}"], [f"c{number}"], pads=[1, 1, 1, 1]),
            norm_node(f"bn{number}", f"c{number}", f"n{number}"),
            helper.make_node("Relu", [f"n{number}"], [leaving]),
        ]
    return model(nodes, values, shape=(None, 3, None, None))


def test_taps_run_before_the_network_goes_on(tmp_path: Path) -> None:
    graph = open_model(saved(in_a_row(), tmp_path)).graph
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(with_taps(graph).SerializeToString(), options)
    given = {"float": np.ones(3, np.float32), "int64": np.zeros(0, np.int64)}
    feeds = {value.name: given[value.type[7:-1]] for value in session.get_inputs() if "::" in value.name}
    blocks = {name: np.array([0, 0, 1, -1]) for name in feeds if "blocks" in name}
    session.run(None, {"x": data(2), **feeds, **blocks})
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = [event["name"] for event in events if event["name"].endswith("_kernel_time")]
    told = [max(at for at, name in enumerate(ran) if f"squares.{number}_" in name) for number in range(4)]
    convolved = [at for at, name in enumerate(ran) if events_operator(events, name) == "Conv"]
    assert all(end < following for end, following in zip(told, convolved[1:], strict=False)), ran


def events_operator(events: list[dict[str, object]], name: str) -> object:
    """The operator of the node that a profile calls so."""
    return next(event["args"]["op_name"] for event in events if event["name"] == name)  # type: ignore[index]


def test_what_only_normalizes_tells_nothing(tmp_path: Path) -> None:
    copy = with_given_statistics(open_model(saved(in_a_row(), tmp_path)).graph)
    assert [value.name for value in copy.graph.output] == ["y"]
    assert not [node.op_type for node in copy.graph.node if node.op_type.startswith("Reduce")]


@pytest.mark.parametrize("policy", [STORED, BATCH])
def test_sessions_run_in_the_same_memory(tmp_path: Path, policy: Policy) -> None:
    backend = open_model(saved(in_a_row(), tmp_path))
    batch = Batch(torch.from_numpy(data(64, 128)), None, 64)
    with backend.session("x", 0) as one, backend.session("x", 0) as other:
        one.run(batch, policy, None)
        before = resident()
        other.run(batch, policy, None)
        assert resident() - before < 2 * batch.inputs.nbytes  # a memory of its own would be five times


def test_the_memory_of_runs_is_given_back_at_the_end_of_a_session(tmp_path: Path) -> None:
    batch = Batch(torch.from_numpy(data(64, 128)), None, 64)
    path = saved(in_a_row(), tmp_path)
    with open_model(path).session("x", 0) as session:
        first = session.run(batch, STORED, None)["y"].clone()  # what comes back lies in that memory
        before = resident()
    assert before - resident() > batch.inputs.nbytes / 2
    with open_model(path).session("x", 0) as session:
        assert torch.equal(session.run(batch, STORED, None)["y"], first)


def test_nothing_is_given_back_where_nothing_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_keeper", cache(memory._keeper.__wrapped__))
    memory.give_memory_back()
    assert not memory._keeper.cache_info().currsize


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
