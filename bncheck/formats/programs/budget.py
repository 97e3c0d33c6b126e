"""Room for what a configuration has built: as much as the weights of its file can fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from bncheck.errors import ModelError
from bncheck.formats.declared import room

_TIMES = 16
"""How often the same size is taken on the way: initializers work in several steps."""


class Budget(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Ends a building that asks for tensors beyond all measure, before they are made."""

    def __init__(self, stored: int, path: object) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._room, self._left, self._path = room(stored), _TIMES * room(stored), path

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: see `Tap`."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Look at the size that is asked for; what lies on the meta device takes no memory."""
        given = kwargs or {}
        if str(given.get("device")) != "meta":
            names = [argument.name for argument in func._schema.arguments]
            size = dict(zip(names, args, strict=False)).get("size", given.get("size"))
            if isinstance(size, Sequence) and not func.is_view:
                self._take(size)
        return func(*args, **given)

    def _take(self, size: Sequence[Any]) -> None:
        wanted = 8
        for length in size:
            wanted *= max(1, int(length))
        self._left -= wanted
        if wanted > self._room or self._left < 0:
            raise ModelError(
                f"{self._path}: its configuration asks for tensors of {wanted / 8:.3g} values, far more than the file "
                "holds weights for: it is damaged, or made to fill the memory, and was not built."
            )
