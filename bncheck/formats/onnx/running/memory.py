"""The memory of runs, which all models share: those that each hold a batch's activations would add up."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

_SHARED = ("session.use_env_allocators", "1")


def share_memory(options: Any) -> None:
    """Have the session that is made with these options run in the memory that others have grown to."""
    _keeper()
    options.add_session_config_entry(*_SHARED)


def give_memory_back() -> None:
    """Give back what runs have grown to and nothing lies in: the next one takes it anew, which costs time."""
    if not _keeper.cache_info().currsize:
        return  # nothing has run
    from onnxruntime import RunOptions

    options = RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _keeper().run(None, {}, options)


@cache
def _keeper() -> Any:
    """A session on next to nothing: onnxruntime gives memory back at the end of a run only.

    It runs before all others: the first piece of that memory is never given back, and should not be a large one.
    """
    import onnxruntime

    kind, use = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", kind, 0, use), None)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry(*_SHARED)
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "keeper",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.ones(1, np.float32), "x")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    keeper = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    keeper.run(None, {})
    return keeper
