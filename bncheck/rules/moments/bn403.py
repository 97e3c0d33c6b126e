"""BN403: the export holds other statistics than its reference, or gives other outputs from the same ones."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import THRESHOLDS
from bncheck.evidence import ComparedLayer, Comparison, Evidence, OutputAgreement
from bncheck.results import Cost, Finding
from bncheck.rules.judging.measures import single, worst
from bncheck.rules.judging.naming import shown, some_names
from bncheck.rules.judging.weights import own_fit
from bncheck.vocabulary import Remedy, Severity

_ALSO = " (or gamma and beta: a fold shows them together)"


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error about the statistics, or where they agree about the outputs."""
    comparison = evidence.comparison
    if comparison is None:
        return
    # BN701 names these: none of their statistics are used, and the forwards of the export itself move them.
    by_batch = {layer.name for layer in evidence.layers if layer.by_input and layer.expects_statistics}
    differing = [layer for layer in comparison.layers if not layer.agrees and layer.name not in by_batch]
    if differing:
        yield _other_statistics(comparison, differing, own_fit(evidence, [layer.name for layer in differing]))
    elif not by_batch and evidence.agreement is not None and _outputs_differ(evidence.agreement):
        yield _other_outputs(evidence.agreement, comparison)


def _other_statistics(comparison: Comparison, differing: list[ComparedLayer], own: tuple[int, float] | None) -> Finding:
    farthest = max(differing, key=lambda layer: layer.error)
    source = f"the stamp of {comparison.path}" if comparison.stamped else comparison.path
    folded = all(layer.folded for layer in differing)
    return Finding(
        code="BN403",
        severity=Severity.ERROR,
        layers=tuple(layer.name for layer in differing),
        message=(
            f"{len(differing)} of {len(comparison.layers)} layers were {'folded' if folded else 'exported'} with other "
            f"statistics than {source} holds: {some_names([layer.name for layer in differing])}; the largest gap "
            f"between the two is {farthest.error:.2g}, in {farthest.name or 'the model itself'}.{_by_weights(own)}"
        ),
        fix=(
            "Export again from this checkpoint, or name the one it was exported from: statistics were recalibrated, "
            f"trained on or averaged in between{_ALSO if folded else ''}."
        ),
        measure=worst("gap", {layer.name: layer.error for layer in differing}),
        evidence={
            "reference": comparison.path,
            "layers": [layer.name for layer in differing],
            "gaps": [shown(layer.error) for layer in differing],
            "worst_channel": farthest.worst_channel,
            "compared": len(comparison.layers),
            **({} if own is None else {"layers_predicted": own[0], "distance_by_own_weights": own[1]}),
        },
    )


def _by_weights(own: tuple[int, float] | None) -> str:
    """Say that the export's statistics are those of its weights; where they are not, nothing says whose they are."""
    if own is None or own[1] > THRESHOLDS.predicted_fits:
        return ""
    return (
        f" Those of the export fit its weights: in the typical of {own[0]} layers the means lie {own[1]:.2f} "
        "deviations from those that the weights predict, so the reference may be of another moment."
    )


def _outputs_differ(agreement: OutputAgreement) -> bool:
    if agreement.precision is None:
        return False  # quantization changes outputs by design
    return not agreement.output_change <= _allowed(agreement.precision)


def _allowed(precision: float) -> float:
    """Give the relative difference of outputs that rounding may reach."""
    return max(THRESHOLDS.output_agreement, THRESHOLDS.agreement_roundings * precision)


def _cost(agreement: OutputAgreement) -> Cost | None:
    changed = agreement.predictions_changed
    if changed is None:
        return None
    return Cost("predictions changed", None, changed, remedy=Remedy.REFERENCE, samples=agreement.samples)


def _other_outputs(agreement: OutputAgreement, comparison: Comparison) -> Finding:
    same = "the statistics of the layers found in both" if comparison.unfound else "the statistics"
    where = ""
    if agreement.parts_at is not None:
        after = f", after {agreement.agrees_until}" if agreement.agrees_until is not None else ""
        where = f" They part before {agreement.parts_at or 'the first layer'}{after}."
    elif agreement.agrees_until is not None:
        where = f" Every layer found in both is fed the same: they part after {agreement.agrees_until}, the last one."
    return Finding(
        code="BN403",
        severity=Severity.ERROR,
        layers=(),
        message=(
            f"The outputs differ from those of {agreement.path} by {agreement.output_change:.1%} (relative L2, "
            f"{agreement.samples} samples), although {same} are the same.{where}"
        ),
        fix=(
            "Compare what stands between these layers in both: other weights, another mode (dropout), or an operator "
            "that was exported differently."
        ),
        measure=single("output change", agreement.output_change, limit=_allowed(agreement.precision or 0.0)),
        cost=_cost(agreement),
        evidence={
            "reference": agreement.path,
            "samples": agreement.samples,
            "output_change": agreement.output_change,
            "predictions_changed": agreement.predictions_changed,
            "parts_at": agreement.parts_at,
            "agrees_until": agreement.agrees_until,
        },
    )
