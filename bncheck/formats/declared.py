"""What a file declares that it holds, against what it is: asked before anything is allocated for it.

Tensors may repeat the values they store (`expand`), archives are packed, graphs compute constants; none of them by as
much as a file made to fill the memory.
"""

from __future__ import annotations

from bncheck.errors import ModelError

ALWAYS = 2**26
"""Bytes that any file may come to."""
FACTOR = 16
"""How many times its own size a file may come to beyond that: weights of 4 bits are 16 times as large in float64."""


def room(stored: int) -> int:
    """How many bytes may be made of `stored` ones."""
    return ALWAYS + FACTOR * stored


def require_backed(declared: int, stored: int, what: str) -> None:
    """Raise ModelError where far more is declared than is stored.

    Args:
        declared: bytes that would be allocated.
        stored: bytes that are there.
        what: that they are, for the message: `weight of model.pt`.
    """
    if declared > room(stored):
        raise ModelError(
            f"{what} would take {declared:.3g} bytes, of which the file holds {stored}: it is damaged, or made to fill "
            "the memory, and was not read. Save the model again."
        )
