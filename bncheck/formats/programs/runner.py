"""Running a torch program on a batch, and saying clearly why it would not run."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from bncheck.data import Batch, Inputs, OwnSettings, channel_axis, map_tensors, tensors
from bncheck.encoding import text_of
from bncheck.errors import UnfitError, UnwindingError, is_out_of_memory
from bncheck.formats.messages import beyond_memory, listed
from bncheck.formats.programs.running.arguments import call_of
from bncheck.user_code import user_output_to_stderr
from bncheck.vocabulary import argument
from bncheck.watch import sent

_LONGEST = 400
"""Characters of what a model says that are told."""
_CHECK = "Check the shape, the names and the preprocessing of the data."
_RAISED = re.compile(r"(builtins\.)?(\w*Error|\w*Exception):")
"""What an error's own line begins with, where a stack is printed before it."""
_BEFORE_A_LIST = ", but expected one of:"
"""What an operator's line ends with, where the calls that it knows stand on lines of their own."""
Output = Callable[[], AbstractContextManager[Any]]


class Runner:
    """Calls a program with copies of a batch's inputs, on its device and in its dtype.

    Programs may write to what they are given, and batches are used again: by other passes, and by whoever gave them.

    Args:
        program: to be called.
        path: the model, for messages.
        source_name: the data, for messages.
        output: where what it prints goes while it runs.
        raised: what an operator raised in the last call, for an error that has lost it.
        autocast: the type of mixed precision, by `torch.autocast`; `None` for the program's own types.

    Attributes:
        left_out: names of inputs of the last batch that it does not take.
    """

    def __init__(
        self,
        program: torch.nn.Module,
        path: str,
        source_name: str,
        output: Output = user_output_to_stderr,
        raised: Callable[[], BaseException | None] = lambda: None,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.program = program
        self._model_path = path
        self._source_name = source_name
        self._output = output
        self.left_out: tuple[str, ...] = ()
        self._raised = raised
        self._autocast = autocast
        self._settings = OwnSettings()
        tensors = [*program.parameters(), *program.buffers()]
        floating = [tensor for tensor in tensors if tensor.is_floating_point()]
        self._device = tensors[0].device if tensors else torch.device("cpu")
        self._dtype = floating[0].dtype if floating else None

    def __call__(self, batch: Batch) -> Any:
        """What the model returns for `batch`.

        Raises:
            UnfitError: the model refuses the batch.
        """
        try:
            (positional, named), self.left_out = call_of(self.program, map_tensors(batch.inputs, self._cast))
            with self._output(), self._settings.active(), self._in_precision():
                return self.program(*positional, **named)
        except (KeyboardInterrupt, UnwindingError):
            raise
        except BaseException as error:
            telling = error if _cause(error) else self._raised() or error
            if isinstance(telling, KeyboardInterrupt):
                raise telling from None
            if is_out_of_memory(telling):
                raise beyond_memory(self._model_path, batch.size) from error
            raise UnfitError(
                f"{self._model_path} cannot be run on {self._source_name}: given {described(batch.inputs)}, it says: "
                f"{_cause(telling) or type(telling).__name__}. {self._advice(batch.inputs)}"
            ) from error

    def _advice(self, inputs: Inputs) -> str:
        return _CHECK if getattr(self.program, "moves_channels", False) else advice(inputs)

    def _cast(self, tensor: torch.Tensor) -> torch.Tensor:
        dtype = self._dtype if tensor.is_floating_point() else None
        return sent(tensor, self._device, dtype)

    def _in_precision(self) -> AbstractContextManager[Any]:
        if self._autocast is None:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._autocast)


def described(inputs: Inputs) -> str:
    """Shapes and dtypes of a batch's inputs, for a message."""
    if isinstance(inputs, dict):
        return ", ".join(f"{name} {_shape(value)}" for name, value in inputs.items())
    if isinstance(inputs, tuple):
        return ", ".join(_shape(value) for value in inputs)
    return _shape(inputs)


def advice(inputs: Inputs) -> str:
    """What to try where a model refuses them."""
    floating = [tensor for tensor in tensors(inputs) if tensor.is_floating_point() and tensor.ndim == 4]
    if any(channel_axis(tensor.shape, "auto") == 3 for tensor in floating):
        return (
            "Their channels seem to stand last, (N, H, W, C), and (N, C, H, W) is the rule: "
            f"{argument('layout')} nhwc moves them."
        )
    if isinstance(inputs, dict):
        return f"{_CHECK} {argument('input')} chooses among {listed(inputs)}, {argument('label')} what the labels are."
    return _CHECK


def _shape(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    held = tensors(value)
    kind = "list" if isinstance(value, list) else type(value).__name__
    return f"a {kind} of {len(held)} tensors, the first {_shape(held[0])}" if held else f"a {kind}"


def _cause(error: BaseException) -> str:
    """The line that says why: TorchScript puts its own stack before it, and may leave out what an operator said."""
    if isinstance(error, SystemExit):
        code = error.code
        return f"sys.exit({repr(code)[:40] if isinstance(code, int | str | None) else '...'}) was called"
    lines = [line.strip() for line in text_of(error).splitlines() if line.strip()]
    telling = [line for line in lines if _RAISED.match(line)]
    line = telling[-1] if telling else (lines[0] if lines else "")
    return _RAISED.sub("", line).strip().removesuffix(_BEFORE_A_LIST)[:_LONGEST].rstrip(".")
