"""Models in memory that are loaded into onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import onnx

from bncheck.errors import MemoryLimitError, ModelError, is_out_of_memory
from bncheck.extras import missing_by
from bncheck.formats.onnx.running.memory import share_memory
from bncheck.formats.onnx.running.weights import NO_WEIGHTS, Weights
from bncheck.vocabulary import argument

_LARGEST = 2**31
"""Bytes that a protobuf message may have."""
_ONLY_ERRORS = 3


class LoadedModel:
    """A model ready to run on the CPU.

    Args:
        proto: the model.
        path: what errors call it.
        weights: of it that it names only; they are held as long as it is.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ModelError: it cannot run the model.
    """

    def __init__(self, proto: onnx.ModelProto, path: str, weights: Weights = NO_WEIGHTS) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            if (told := missing_by(error, f"Running {path}")) is not None:
                raise told from error
            raise ModelError(
                f"{path} is an ONNX model, and running it takes onnxruntime, which cannot be imported: {error}."
            ) from error
        if proto.ByteSize() >= _LARGEST:
            raise ModelError(
                f"{path} holds more than 2 GiB of tensors; so large a model cannot be run, only audited without "
                f"{argument('data')}."
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ONLY_ERRORS
        # A pattern is learnt for each shape of a batch and kept.
        options.enable_mem_pattern = False
        weights.given_to(options)
        self._weights = weights
        self._options = _quiet_run()
        self._options.only_execute_path_to_fetches = True
        try:
            share_memory(options)
            self._session = onnxruntime.InferenceSession(
                proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            if is_out_of_memory(error):
                raise MemoryLimitError(f"{path} takes more memory than there is for it to be loaded.") from error
            raise ModelError(f"onnxruntime cannot load {path}: {telling_line(error)}.") from error

    def run(self, feeds: Mapping[str, npt.NDArray[Any]], wanted: Sequence[str]) -> dict[str, Any]:
        """The outputs `wanted` by name; whatever onnxruntime raises is passed on."""
        values = self._session.run(list(wanted), dict(feeds), self._options)
        return dict(zip(wanted, values, strict=True))


def _quiet_run() -> Any:
    """Options of a run that raises what fails and writes nothing."""
    from onnxruntime import RunOptions

    options = RunOptions()
    options.log_severity_level = _ONLY_ERRORS + 1
    return options


def telling_line(error: BaseException) -> str:
    """What onnxruntime says, without its codes and the places in its own source."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"/\S+\.(?:cc|h):\d+ .*?\)(?: const)? ", "", text)
    return text[:300].strip().rstrip(".") or type(error).__name__
