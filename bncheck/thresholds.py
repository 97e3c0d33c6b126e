"""The numbers that decide, in one place; every report prints those that were in force."""

from __future__ import annotations

MARGIN = 0.25
"""A gap below it is what healthy networks show: training augments and evaluation does not (up to 0.22)."""

NEAR_MARGIN = 0.1
"""The margin where accuracy is sure to suffer: a moving average that lags shows gaps no larger than this."""

SURE_GAIN = 0.03
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
    }
