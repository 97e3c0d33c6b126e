"""How much of a report a terminal shows, as its reader asked for."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.vocabulary import Sort, Spelling, argument, spelled

EVERY = spelled(argument("all"), Spelling.COMMAND_LINE)
"""The option for all layers, for pages that only a command prints."""


@dataclass(frozen=True, slots=True)
class Look:
    """Says what stands on the page besides the answer and what deserves a look.

    Attributes:
        verbose: batch sizes, notes, the legend, and every finding in full.
        every: all layers, and all findings of a kind, however many.
        sort: the order of the table.
        typed: the reader can type options, so that the page names those that show more.
    """

    verbose: bool = False
    every: bool = False
    sort: Sort = Sort.ORDER
    typed: bool = False
