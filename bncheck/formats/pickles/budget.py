"""How much a pickle may come to: beyond it, it is one that was made to fill the memory."""

from __future__ import annotations

from bncheck.errors import ModelError
from bncheck.formats.declared import room

MOST_OPERATIONS = 5_000_000
"""Of one pickle; checkpoints with whole modules take some ten thousand."""
MOST_ODD_KEYS = 10_000
"""Tables of keys that all fall into one place are searched in a time that grows with the square of their number."""


class Budget:
    """What is left of what the reading of a file may take."""

    def __init__(self, stored: int) -> None:
        self._bytes = room(stored)
        self._operations = MOST_OPERATIONS
        self._odd_keys = MOST_ODD_KEYS

    def count(self) -> None:
        """One more operation; raises ModelError where there were too many."""
        self._operations -= 1
        if self._operations < 0:
            raise ModelError(
                f"Its pickle takes more than {MOST_OPERATIONS} operations, and is not read. Save the model alone, "
                "without the data beside it."
            )

    def count_odd_key(self) -> None:
        """One more key whose place in a table can be chosen; raises ModelError where there were too many."""
        self._odd_keys -= 1
        if self._odd_keys < 0:
            raise ModelError(
                f"Its pickle has more than {MOST_ODD_KEYS} keys that are fractions or whole numbers beyond 2^60, and "
                "is not read. Save the model alone, without the data beside it."
            )

    def charge(self, size: int) -> None:
        """So many more bytes that an operation copies; raises ModelError where that is more than a file comes to."""
        self._bytes -= size
        if self._bytes < 0:
            raise ModelError(
                "Its pickle makes far more out of its bytes than it holds: it is damaged, or made to fill the memory, "
                "and was not read. Save the model again."
            )
