"""BN706: layers with statistics that no sample reached."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import layers_counted
from bncheck.vocabulary import Reason, Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark for each such layer."""
    if evidence.data is None:
        return
    for layer in evidence.layers:
        if evidence.skipped.get(layer.name) == Reason.NOT_EXERCISED:
            yield Finding(
                code="BN706",
                severity=Severity.INFO,
                layers=(layer.name,),
                message=f"{layer.name} was never run: these data do not reach it in eval mode.",
                fix=(
                    "Nothing, if it serves training only (an auxiliary head) or another input; else give data or a "
                    "call that reaches it."
                ),
                measure=layers_counted([layer.name]),
                evidence={"calls": 0},
            )
