"""What the weights of a file say of statistics in it: whose they are, and what they would be instead."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, SiblingCopy
from bncheck.evidence import CopyFit, Evidence, PredictedMoments
from bncheck.rules.judging.naming import NAMED


def fit_of(evidence: Evidence, copy: SiblingCopy) -> CopyFit | None:
    """Give how the copy and the inspected model were compared; `None` where nothing could be predicted."""
    return next((fit for fit in evidence.copies if fit.copy == copy.name), None)


def are_raw(fit: CopyFit) -> bool:
    """Tell whether the averaged copy's statistics fit the raw weights clearly better than its own.

    The other way round nothing is told: running statistics lag, so those of a raw model may fit an average of its
    weights better than the last of them.
    """
    own, under_raw, _ = fit.typical()
    nearer = float(np.mean(fit.own > fit.under_raw))
    return own >= THRESHOLDS.copy_better * under_raw and nearer >= THRESHOLDS.copy_most


def are_of_none(fit: CopyFit) -> bool:
    """Tell whether they do not fit its own weights where the raw model's fit, whatever else they fit."""
    return _are_far(fit, fit.of_raw)


def is_certain(fit: CopyFit) -> bool:
    """Tell whether they cannot be its own: the better fit alone may be of two sets of weights that are close."""
    return _are_far(fit, fit.under_raw) or are_of_none(fit)


def said_of_copies(fit: CopyFit, raw: str) -> str:
    """Say how far they lie from what is predicted, and from what else they lie less far."""
    own, under_raw, of_raw = fit.typical()
    begin = f"in the typical of {len(fit.layers)} layers the means lie {own:.2f} stored deviations from those that"
    if are_raw(fit):
        return f"{begin} the averaged weights predict, and {under_raw:.2f} from those that the weights of {raw} do"
    return f"{begin} the averaged weights predict, where those of {raw} lie within {of_raw:.2f} of its own"


def agreeing(fit: CopyFit | None) -> str:
    """Say, behind a sentence, that the weights do not speak against it; nothing where they say nothing."""
    if fit is None:
        return ""
    own, under_raw, _ = fit.typical()
    return (
        f": as far as {len(fit.layers)} layers tell, the means lie {own:.2f} stored deviations from those that the "
        f"averaged weights predict, and {under_raw:.2f} from those that the raw ones do"
    )


def copies_in_evidence(fit: CopyFit | None) -> dict[str, Any]:
    """Give the numbers, by layer; nothing where nothing could be predicted."""
    if fit is None:
        return {}
    return {
        "layers_predicted": list(fit.layers),
        "distances_by_own_weights": [float(one) for one in fit.own],
        "distances_by_raw_weights": [float(one) for one in fit.under_raw],
        "distances_in_raw_model": [float(one) for one in fit.of_raw],
    }


def own_fit(evidence: Evidence, names: Collection[str]) -> tuple[int, float] | None:
    """Give how many of these layers' means the weights predict, and how far the typical one lies from that."""
    known = () if evidence.predicted is None else evidence.predicted.layers
    found = [layer.distance for layer in known if layer.name in names]
    return (len(found), float(np.median(found))) if found else None


def predicted_of(evidence: Evidence, names: Iterable[str]) -> dict[str, PredictedMoments]:
    """Give what is predicted of these layers, by name; nothing of those that no other layer feeds."""
    known = {} if evidence.predicted is None else evidence.predicted.instead
    return {name: known[name] for name in names if name in known}


def said_instead(found: dict[str, PredictedMoments]) -> str:
    """Say, as a sentence behind another, what is predicted; nothing where nothing is."""
    if not found:
        return ""
    means = np.array([np.sqrt(np.mean(one.mean**2)) for one in found.values()])
    variances = np.array([np.median(one.var) for one in found.values()])
    if not (np.isfinite(means).all() and np.isfinite(variances).all()):
        return ""
    where = f"the typical of {len(found)} layers" if len(found) > 1 else next(iter(found)) or "the model itself"
    return (
        f" If training normalized by the batch, the weights predict others: in {where} means of "
        f"{np.median(means):.2g} (RMS) and variances of about {np.median(variances):.2g}."
    )


def instead_in_evidence(found: dict[str, PredictedMoments]) -> dict[str, Any]:
    """Give the numbers of the first layers."""
    if not found:
        return {}
    return {
        "predicted": {
            name: {
                "source": one.source,
                "weight": one.weight,
                "activation_assumed": one.activation,
                "mean_rms": float(np.sqrt(np.mean(one.mean**2))),
                "mean_min_max": [float(one.mean.min()), float(one.mean.max())],
                "variance_median": float(np.median(one.var)),
            }
            for name, one in list(found.items())[:NAMED]
        },
        "layers_predicted": len(found),
    }


def _are_far(fit: CopyFit, otherwise: FloatArray) -> bool:
    own = float(np.median(fit.own))
    saying = float(np.mean(fit.own >= THRESHOLDS.copy_layer_far * otherwise))
    far = own >= THRESHOLDS.predicted_fits and own >= THRESHOLDS.copy_far * float(np.median(otherwise))
    return far and saying >= THRESHOLDS.copy_layers
