"""The numbers that decide, in one place; every report prints those that were in force."""

from __future__ import annotations

MARGIN = 0.25
"""A gap below it is what healthy networks show: training augments and evaluation does not (up to 0.22)."""

NEAR_MARGIN = 0.1
"""The margin where accuracy is sure to suffer: a moving average that lags shows gaps no larger than this."""

SURE_GAIN = 0.02
"""Accuracy that recalibration must win, with 95 % confidence, before the nearer margin is taken."""

CHANGED_MARGIN = 0.05
"""Share of predictions, beyond noise, that recalibration must change before drift is said to matter."""

GAIN_MARGIN = 0.01
"""Accuracy that recalibration must win, with 95 % confidence, before drift is said to cost accuracy."""

OUTPUT_MARGIN = 0.25
"""Relative change of outputs that are no class scores, beyond noise, before drift is said to matter."""

INFORMATION_MARGIN = 0.1
"""Share of what the predictions tell about the inputs (mutual information) that recalibration must cost, where
there are no labels, before the stored statistics are said to suit the data better than the data's own."""

OUTPUT_AGREEMENT = 0.01
"""Relative difference between a model's outputs and its reference's, in float32, that is more than rounding."""

COMPOSITION_MARGIN = 0.05
"""Accuracy by which batches grouped by label must be predicted better than by any stored statistics, with 95 %
confidence, before a model is said to depend on the composition of its batches."""

LARGE_EFFECT = 0.2
"""Share of predictions changed (or accuracy won) from which drift is an error rather than a warning."""

ROUNDINGS = 16.0
"""Roundings, each by the size of the terms added, that a runtime's normalization may be off: the fused form a*x + b
with a and b in the layer's own type takes about four, an approximate reciprocal root a few more."""
BURN_IN = 0.05
"""Share of the initial statistics, by the update counter, from which they are said not to be burnt in."""

LARGEST_EPS = 1e-3
"""The largest eps in common use: assumed where a file does not give it and a larger one makes the claim weaker."""

CANCELLING = 1000.0
"""Standard deviations of a channel's mean from 0 beyond which a variance taken in float32 is off by 6 % and more."""

NOTICEABLE_OUTPUT = 1e-3
"""Standard deviation of a channel's output from which its loss counts."""
OUTLIER = 3.0
"""How many times larger a layer's own gap must be than those of all layers that fit, to be wrong by itself."""

LAG_EXPLAINED = 0.9
"""Share of the squared own gaps that one fraction of the way from (0, 1) must explain."""

CORRELATION = 0.1
"""Share of the variance of sample means between batches from which batches are no random draws."""

RATIO = 1.5
"""Variance of the batches' means, in units of what random batches of that size have, that matters."""

BEYOND_CHANCE = 5.0
"""Standard deviations by which that must exceed what random rearrangements give."""

FLAT = 0.5
"""Share of a layer's input that is flat from which padding dominates it."""

LOPSIDED = 0.3
"""How one-sided the rest of it must lie: a plain background is flat on all sides."""

BATCH_NOISE = 0.25
"""RMS gap of a training batch's statistics from those of all batches that is large."""

BESSEL = 0.02
"""Relative difference between train and eval mode by the divisor of the variance alone that is worth knowing."""

DROPOUT_LEFT = 0.5
"""Share of a layer's gap that may be left with dropout on where dropout is what made it."""


def in_force() -> dict[str, float]:
    """All of them by name, for the report."""
    return {
        "margin": MARGIN,
        "near_margin": NEAR_MARGIN,
        "sure_gain": SURE_GAIN,
        "changed_margin": CHANGED_MARGIN,
        "gain_margin": GAIN_MARGIN,
        "output_margin": OUTPUT_MARGIN,
        "information_margin": INFORMATION_MARGIN,
        "output_agreement": OUTPUT_AGREEMENT,
        "composition_margin": COMPOSITION_MARGIN,
        "large_effect": LARGE_EFFECT,
        "roundings": ROUNDINGS,
        "burn_in": BURN_IN,
        "largest_eps": LARGEST_EPS,
        "cancelling": CANCELLING,
        "noticeable_output": NOTICEABLE_OUTPUT,
        "outlier": OUTLIER,
        "lag_explained": LAG_EXPLAINED,
        "correlation": CORRELATION,
        "ratio": RATIO,
        "beyond_chance": BEYOND_CHANCE,
        "flat": FLAT,
        "lopsided": LOPSIDED,
        "batch_noise": BATCH_NOISE,
        "bessel": BESSEL,
        "dropout_left": DROPOUT_LEFT,
    }
