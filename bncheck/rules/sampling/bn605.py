"""BN605: batches in the source's own order differ far more from one another than random ones would."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import THRESHOLDS, Exchangeability
from bncheck.evidence import Evidence
from bncheck.results import Finding, Measure
from bncheck.rules.judging.measures import single
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning of a training loader's own batches, and a remark on a file that comes in an order."""
    training, order = evidence.training, evidence.closer.order
    if training is not None and training.order is not None and training.order.is_grouped:
        if training.own_batches:
            yield _grouped(training.order, training.source, loader=True)
        elif order is None or not order.is_grouped:
            yield _in_order(training.order, training.source)
    if order is not None and evidence.data is not None and order.is_grouped:
        yield _in_order(order, evidence.data.source)


def _grouped(order: Exchangeability, source: str, *, loader: bool) -> Finding:
    return Finding(
        code="BN605",
        severity=Severity.WARNING,
        layers=(),
        message=(
            f"The batches of the training loader {source} are no random draws: {order.correlation:.0%} of the variance "
            f"of the samples' means lies between batches (most in {order.layer}; F = {order.ratio:.3g}, where random "
            f"batches give {order.random:.2g}), so that {order.batch_size} samples are worth "
            f"{order.effective_size:.2g}."
        ),
        fix=(
            "Shuffle the samples, not the batches (shuffle=True, a larger shuffle buffer, several sources in every "
            "batch). Where batches must stay grouped, train with Batch Renormalization, or normalize without batches."
        ),
        measure=_measure(order),
        evidence=_numbers(order, source, loader=loader),
    )


def _in_order(order: Exchangeability, source: str) -> Finding:
    return Finding(
        code="BN605",
        severity=Severity.INFO,
        layers=(),
        message=(
            f"The samples of {source} come sorted or grouped: neighbours are alike (most in {order.layer}, where "
            f"{order.correlation:.0%} of the variance lies between groups of {order.batch_size}; F = "
            f"{order.ratio:.3g}, where random groups give {order.random:.2g})."
        ),
        fix="Nothing for this report, which draws at random. Shuffle them before you train or recalibrate on them.",
        measure=_measure(order),
        evidence=_numbers(order, source, loader=False),
    )


def _measure(order: Exchangeability) -> Measure:
    return single("variance ratio", order.ratio, noise=order.random_spread, limit=THRESHOLDS.ratio)


def _numbers(order: Exchangeability, source: str, *, loader: bool) -> dict[str, object]:
    return {
        "source": source,
        "loader": loader,
        "variance_ratio": order.ratio,
        "random_batches": order.random,
        "random_batches_spread": order.random_spread,
        "correlation": order.correlation,
        "effective_batch_size": order.effective_size,
        "batches": order.batches,
        "batch_size": order.batch_size,
        "worst_layer": order.layer,
    }
