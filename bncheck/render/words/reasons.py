"""Reasons are put into words: why layers were skipped, and why a repair left them alone."""

from __future__ import annotations

from bncheck.vocabulary import Reason

_SHORT = {Reason.NO_STATISTICS: "no statistics"}
_TOLD = {
    Reason.NOT_EXERCISED: "the data do not reach them",
    Reason.FOLDED: "they were folded into their weights, and divide by 1 on purpose",
    Reason.UNTOLD: "nothing in the file tells whether they were never updated or folded on purpose",
    Reason.UNSUPPORTED: "they cannot be measured in this format",
    Reason.BY_INPUT: "they normalize by their input (export the model in eval mode)",
    Reason.NOT_LOST: "they have not lost what they learned",
    Reason.NO_PLACE: "their statistics have no names of their own in the file",
}


def reason_words(reason: Reason) -> str:
    """A reason in a word or two: `not exercised`."""
    return Reason(reason).words


def reason_in_a_cell(reason: Reason) -> str:
    """A reason as short as a table wants it."""
    return _SHORT.get(reason, reason_words(reason))


def why_kept(reason: Reason) -> str:
    """Why layers keep their statistics, as half a sentence."""
    return _TOLD.get(reason, reason_words(reason))
