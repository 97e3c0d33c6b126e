"""Group 7: the runtime's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core.thresholds import ROUNDINGS
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR
from bncheck.rules.absent import name_some

_ELSEWHERE = {
    "onnx": (
        "Run the model in another version of onnxruntime, with another execution provider, or with graph "
        "optimizations off"
    ),
}
_IN_TORCH = "Run the model in another version of PyTorch, on another device, or in the other memory format"
_DIGITS = {"float64": 17, "float32": 9}
"""What it takes to tell two neighbours of a type apart; 5 for the half precisions."""


def wrong_answers(evidence: Evidence) -> Iterator[Finding]:
    """BN704: layers whose answers differ from their formula in float64 by more than rounding."""
    wrong = [check for check in evidence.runtime if check.error > ROUNDINGS]
    if not wrong:
        return
    names = list(dict.fromkeys(check.layer for check in wrong))
    worst = max(wrong, key=lambda check: check.error)
    digits = _DIGITS.get(worst.dtype, 5)
    yield Finding(
        code="BN704",
        severity=ERROR,
        layers=tuple(names),
        message=(
            f"The runtime computes {name_some([layer for layer in evidence.layers if layer.name in names])} wrongly: "
            f"fed {worst.fed:.{digits}g}, channel {worst.channel} of {worst.layer or 'the model itself'} gives "
            f"{worst.came:.{digits}g} where float64 gives {worst.expected:.{digits}g}, {_rounded(worst.error)} "
            f"roundings of {worst.dtype} off; {ROUNDINGS:g} are allowed."
        ),
        fix=(
            f"{_ELSEWHERE.get(evidence.model_format, _IN_TORCH)}: where BN704 goes, it was the kernel. Report that to "
            "its maintainers, with the input and both answers. Do not recalibrate or retrain to make up for it: the "
            "statistics are not at fault."
        ),
        evidence={
            "layers": names,
            "compared": len({check.layer for check in evidence.runtime}),
            "worst_layer": worst.layer,
            "call": worst.call,
            "channel": worst.channel,
            "position": worst.position,
            "channels_off": int((worst.errors > ROUNDINGS).sum()),
            "channels": len(worst.errors),
            "input": worst.fed,
            "expected": worst.expected,
            "runtime": worst.came,
            "roundings": worst.error,
            "allowed": ROUNDINGS,
            "dtype": worst.dtype,
            "values": worst.values,
        },
    )


def _rounded(roundings: float) -> str:
    return f"{roundings:,.0f}" if roundings < 1e6 else f"{roundings:.1e}"
