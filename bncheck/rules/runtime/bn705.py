"""BN705: a convolutional model without any normalization layer."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import single
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark that asks for the file from before the folding."""
    if evidence.layers or not evidence.has_convolutions:
        return
    yield Finding(
        code="BN705",
        severity=Severity.INFO,
        layers=(),
        message=(
            "There are convolutions but no stored normalization statistics in this file: if the model was trained with "
            f"BatchNorm, {evidence.advice.lost}."
        ),
        fix=evidence.advice.recovered,
        measure=single("model", 1),
        command=evidence.advice.recover,
        evidence={"norm_layers": 0},
    )
