"""Whether a look at some of the samples decides what the rules conclude, so that more of them need not be looked at."""

from __future__ import annotations

import math
from collections.abc import Collection

from bncheck.core import THRESHOLDS
from bncheck.evidence import EffectEvidence, Evidence, TaskEffect
from bncheck.results import Finding
from bncheck.vocabulary import Harm, Severity


def is_decided(evidence: Evidence, findings: Collection[Finding]) -> bool:
    """Tell whether more samples could change no conclusion: no layer is off, or what that costs is beyond doubt.

    The data are looked at several times, and each look could err. So a look ends the matter only at `look_z` standard
    errors, where the final judgement goes by its usual ones: the error of stopping early adds next to nothing to that
    (Haybittle 1971; Peto et al. 1976).

    Args:
        evidence: of the looks so far.
        findings: what it comes to.
    """
    effect = evidence.effect
    if effect is None:
        return True
    costs = (one.cost for one in findings if one.severity != Severity.INFO)
    if any(cost is not None and cost.harm is Harm.UNKNOWN for cost in costs):
        return False
    if not _is_off(evidence, THRESHOLDS.near_margin):
        return True
    if not _is_off(evidence, THRESHOLDS.margin) and not _may_be_sure_to_cost(effect):
        return True
    return _is_known(effect)


def _is_off(evidence: Evidence, margin: float) -> bool:
    """Whether a layer is not surely within the margin; a gap that is not a number is not."""
    for layer in evidence.measured.values():
        gaps = (layer.gap,) if layer.own_gap is None else (layer.gap, layer.own_gap)
        if not all(gap <= margin for gap in gaps):
            return True
    return False


def _may_be_sure_to_cost(effect: EffectEvidence) -> bool:
    """Whether more samples may show so large a cost that the nearer margin counts, see `margin_of`."""
    task = effect.task
    return task is not None and not task.score.high(THRESHOLDS.look_z) <= THRESHOLDS.sure_gain * task.unit


def _is_known(effect: EffectEvidence) -> bool:
    """Whether the effect is sure to be large, or to be less than can matter."""
    if effect.task is not None:
        return _is_known_by_task(effect.task)
    if effect.predictions_changed is None or not effect.predictions:
        return False
    share, samples = effect.predictions_changed, effect.samples or effect.predictions
    reach = THRESHOLDS.look_z * math.sqrt(share * (1 - share) / samples)
    return share - reach > THRESHOLDS.large_effect or max(share + reach, 3 / samples) <= THRESHOLDS.excluded_cost


def _is_known_by_task(task: TaskEffect) -> bool:
    z, score = THRESHOLDS.look_z, task.score
    return score.low(z) > THRESHOLDS.large_cost * task.unit or score.high(z) <= THRESHOLDS.excluded_cost * task.unit
