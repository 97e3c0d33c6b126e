"""BN704: layers whose answers differ from their formula in float64 by more than rounding."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity

_DIGITS = {"float64": 17, "float32": 9}
"""What it takes to tell two neighbours of a type apart; 5 for the half precisions."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield one error that names every such layer, led by the most."""
    wrong = [check for check in evidence.runtime if check.error > THRESHOLDS.roundings]
    if not wrong:
        return
    names = list(dict.fromkeys(check.layer for check in wrong))
    most = max(wrong, key=lambda check: check.error)
    digits = _DIGITS.get(most.dtype, 5)
    yield Finding(
        code="BN704",
        severity=Severity.ERROR,
        layers=tuple(names),
        message=(
            f"The runtime computes {name_some([layer for layer in evidence.layers if layer.name in names])} wrongly: "
            f"fed {most.fed:.{digits}g}, channel {most.channel} of {most.layer or 'the model itself'} gives "
            f"{most.came:.{digits}g} where float64 gives {most.expected:.{digits}g}, {_rounded(most.error)} "
            f"roundings of {most.dtype} off; {THRESHOLDS.roundings:g} are allowed."
        ),
        fix=(
            f"{evidence.advice.run_elsewhere}: where BN704 goes, it was the kernel. Report that to "
            "its maintainers, with the input and both answers. Do not recalibrate or retrain to make up for it: the "
            "statistics are not at fault."
        ),
        measure=worst(
            "rounding",
            {name: max(check.error for check in wrong if check.layer == name) for name in names},
            limit=THRESHOLDS.roundings,
        ),
        evidence={
            "layers": names,
            "compared": len({check.layer for check in evidence.runtime}),
            "worst_layer": most.layer,
            "call": most.call,
            "channel": most.channel,
            "position": most.position,
            "channels_off": int((most.errors > THRESHOLDS.roundings).sum()),
            "channels": len(most.errors),
            "input": most.fed,
            "expected_value": most.expected,
            "runtime": most.came,
            "roundings": most.error,
            "allowed": THRESHOLDS.roundings,
            "dtype": most.dtype,
            "values_checked": most.values,
        },
    )


def _rounded(roundings: float) -> str:
    return f"{roundings:,.0f}" if roundings < 1e6 else f"{roundings:.1e}"
