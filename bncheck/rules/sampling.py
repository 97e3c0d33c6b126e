"""How training samples: batches that are no random draws (BN605), or too small (BN609, BN612)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.core import Exchangeability, rms
from bncheck.core.thresholds import BATCH_NOISE, BESSEL, BEYOND_CHANCE, CORRELATION, RATIO
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import INFO, WARNING
from bncheck.rules.absent import some_names


def not_exchangeable(evidence: Evidence) -> Iterator[Finding]:
    """BN605: batches in the source's own order differ far more from one another than random ones would."""
    training, order = evidence.training, evidence.closer.order
    if training is not None and training.order is not None and is_grouped(training.order):
        if training.own_batches:
            yield _grouped(training.order, training.source, loader=True)
        elif order is None or not is_grouped(order):
            yield _in_order(training.order, training.source)
    if order is not None and evidence.data is not None and is_grouped(order):
        yield _in_order(order, evidence.data.source)


def is_grouped(order: Exchangeability) -> bool:
    """Whether batches vary far more than chance allows, and by enough to matter."""
    beyond = order.ratio > order.chance + BEYOND_CHANCE * order.chance_spread
    return beyond and order.ratio > RATIO and order.correlation > CORRELATION


def _grouped(order: Exchangeability, source: str, *, loader: bool) -> Finding:
    return Finding(
        code="BN605",
        severity=WARNING,
        layers=(),
        message=(
            f"The batches of the training loader {source} are no random draws: their means vary {order.ratio:.1f} "
            f"times as much as those of random batches (most in {order.layer}), so that {order.batch_size} samples "
            f"are worth {max(order.effective_size, 1):.0f}."
        ),
        fix=(
            "Shuffle the samples, not the batches (shuffle=True, a larger shuffle buffer, several sources in every "
            "batch). Where batches must stay grouped, train with Batch Renormalization, or normalize without batches."
        ),
        evidence=_numbers(order, source, loader=loader),
    )


def _in_order(order: Exchangeability, source: str) -> Finding:
    return Finding(
        code="BN605",
        severity=INFO,
        layers=(),
        message=(
            f"The samples of {source} come sorted or grouped: neighbours are alike (most in {order.layer}, where "
            f"{order.correlation:.0%} of the variance lies between groups of {order.batch_size})."
        ),
        fix="Nothing for this report, which draws at random. Shuffle them before you train or recalibrate on them.",
        evidence=_numbers(order, source, loader=False),
    )


def _numbers(order: Exchangeability, source: str, *, loader: bool) -> dict[str, object]:
    return {
        "source": source,
        "loader": loader,
        "variance_ratio": order.ratio,
        "by_chance": order.chance,
        "by_chance_spread": order.chance_spread,
        "correlation": order.correlation,
        "effective_batch_size": order.effective_size,
        "batches": order.batches,
        "batch_size": order.batch_size,
        "worst_layer": order.layer,
    }


def noisy_batches(evidence: Evidence) -> Iterator[Finding]:
    """BN609: statistics of a training batch lie far from those of all batches, by chance alone."""
    training = evidence.training
    if training is None or not training.noise or (training.order is not None and is_grouped(training.order)):
        return
    noise = rms(list(training.noise.values()))
    if not noise > BATCH_NOISE:
        return
    # The noise falls with the root of the batch size; sizes are told in powers of two.
    needed = training.batch_size * (noise / BATCH_NOISE) ** 2
    enough = 2 ** math.ceil(math.log2(needed))
    worst = max(training.noise, key=training.noise.__getitem__)
    yield Finding(
        code="BN609",
        severity=INFO,
        layers=(),
        message=(
            f"In batches of {training.batch_size} the statistics are noisy: they lie {noise:.2f} from those of all "
            f"batches (most in {worst}, {training.noise[worst]:.2f}); batches of {enough} would bring that below "
            f"{BATCH_NOISE}."
        ),
        fix=(
            f"Train with batches of {enough} or more (gradient accumulation does not count, SyncBatchNorm does), with "
            "Batch Renormalization, or with frozen statistics where the network was pretrained."
        ),
        evidence={
            "batch_size": training.batch_size,
            "noise": noise,
            "enough": enough,
            "worst_layer": worst,
            "worst_noise": training.noise[worst],
        },
    )


def tiny_batches(evidence: Evidence) -> Iterator[Finding]:
    """BN612: so few values per channel that the divisor n against n - 1 alone tells train mode from eval mode."""
    training = evidence.training
    if training is None:
        return
    factors = {name: math.sqrt(n / (n - 1)) for name, n in training.values.items() if n > 1}
    tiny = {name: factor for name, factor in factors.items() if factor - 1 > BESSEL}
    if not tiny:
        return
    worst = max(tiny, key=tiny.__getitem__)
    names = list(tiny)
    yield Finding(
        code="BN612",
        severity=INFO,
        layers=tuple(names),
        message=(
            f"In training batches of {training.batch_size} a channel of {worst} has {training.values[worst]} values: "
            f"train mode divides by the standard deviation of n, eval mode by the stored one of n - 1, which is "
            f"{tiny[worst]:.3f} times larger even when both are right"
            + (f" ({len(names)} layers: {some_names(names)})." if len(names) > 1 else ".")
        ),
        fix=(
            "Nothing where the next layer learns the scale; where train and eval must agree, use larger batches, or "
            "multiply the stored variances by (n - 1)/n."
        ),
        evidence={
            "layers": names,
            "values": [training.values[name] for name in names],
            "factors": [tiny[name] for name in names],
            "batch_size": training.batch_size,
        },
    )
