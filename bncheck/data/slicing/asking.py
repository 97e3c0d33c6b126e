"""What names the slices: a column, or a function of the user's, which is given the samples as the model is fed them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from bncheck.data.batches import Batch
from bncheck.data.slicing.names import SliceNames, one_each
from bncheck.errors import DataError
from bncheck.settings import By
from bncheck.tensors import torch
from bncheck.user_code import import_callable, names_code, users_code
from bncheck.vocabulary import argument


def function_of(by: By | None) -> Callable[..., Any] | None:
    """The function that names the slices; `None` where a column does.

    Raises:
        UsageError: it cannot be imported.
    """
    if isinstance(by, str):
        return import_callable(by, argument("by")) if names_code(by) else None
    return by


def column_of(by: By | None) -> str | None:
    """The column that names the slices; `None` where a function does."""
    return by if isinstance(by, str) and not names_code(by) else None


def takes_batch(function: Callable[..., Any]) -> bool:
    """Whether the function is given the batch as the loader made it, rather than inputs and labels."""
    try:
        known = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of something built in
        return False
    placed = [one for one in known if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    required = [one for one in placed if one.default is one.empty]
    return len(required) == 1 and len(placed) == 1 and not any(one.kind is one.VAR_POSITIONAL for one in known)


def named_by(function: Callable[..., Any], given: tuple[Any, ...], size: int, names: SliceNames) -> torch.Tensor:
    """The slices that the user's function names for a batch, by number, (n,).

    Raises:
        DataError: it raised, or named not one slice a sample.
    """
    where = argument("by")
    with users_code(lambda said: DataError(f"{where}: naming the slices of a batch raised {said}")):
        found = one_each(function(*given), size, where)
        return names.codes(found)


class Slicing:
    """Tells the slices of the batches of a source.

    Args:
        name: of the source, for messages.
        function: names them by inputs and labels; without it the batches carry them.
        names: of the source; its own where the function is called here.
        left_out: how many names were too rare for slices of their own.
    """

    def __init__(
        self, name: str, function: Callable[..., Any] | None, names: SliceNames | None, left_out: int = 0
    ) -> None:
        self._name = name
        self._function = function
        self.known = SliceNames() if names is None else names
        self.left_out = left_out

    def codes(self, batch: Batch) -> torch.Tensor:
        """The slice of each sample, by number, (n,).

        Raises:
            DataError: nobody can tell.
        """
        if not batch.is_in_step:
            raise DataError(
                f"{self._name}: {argument('by')} cannot tell whose a value is: the samples of its batches do not stand "
                "along the first axis."
            )
        if batch.slices is not None:
            return batch.slices
        if self._function is None:
            raise DataError(f"{self._name}: a batch without what {argument('by')} names slices by.")
        given = (batch.inputs, batch.targets)
        if takes_batch(self._function):
            given = (given if batch.targets is not None else batch.inputs,)  # type: ignore[assignment]
        return named_by(self._function, given, batch.size, self.known)
