"""What new statistics would only hide is put into plain words here."""

from __future__ import annotations

from bncheck.render.words.answer import first_sentence
from bncheck.results import INFO, Report

HIDDEN = {
    **dict.fromkeys(("BN601", "BN602"), ("the data", "spoil the model for data fed rightly")),
    "BN302": ("eps", "spoil the model for the eps that it was trained with"),
    "BN613": ("how it normalizes", "leave the layers to normalize by what is not the instance's own"),
}
"""Faults whose remedy is not in the statistics: by code what they speak of, and what new statistics would do."""
INSTANCE = "instance"
MENDED = {INSTANCE: frozenset({"BN613"})}
"""Those that a method mends all the same."""


def what_a_repair_hides(before: Report, method: str) -> list[str]:
    """What a report on the model as shipped finds wrong that this method does not mend, a sentence each."""
    hidden = HIDDEN.keys() - MENDED.get(method, frozenset())
    wrong = [each for each in before.findings if each.code in hidden and each.severity != INFO]
    return [
        f"{each.code} speaks of {HIDDEN[each.code][0]}: {first_sentence(each.message)} The repair would only hide "
        f"that, and {HIDDEN[each.code][1]}. {first_sentence(each.fix)}"
        for each in wrong
    ]
