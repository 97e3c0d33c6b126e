"""Was the model trained with another eps?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bncheck.core import BATCH_NORM, NEAR_MARGIN, THRESHOLDS, NormLayer
from bncheck.data import Batch
from bncheck.evidence import Evidence, OtherEps
from bncheck.probes.case import MORE, Case
from bncheck.probes.probe import Needs, Probe
from bncheck.probes.session import ProbeSession, paired, recorded_gap
from bncheck.watch import Given, Recorder, Statistics, together

USUAL = (1e-5, 1e-3)
"""PyTorch's (and ONNX's) default, and that of Keras and TensorFlow's models."""


class Eps(Probe[OtherEps]):
    """Runs samples again as if the layers had a usual eps."""

    title = "usual values of eps"
    needs = Needs(layers=True)

    def cost(self, case: Case) -> int:
        """Count a forward as shipped, and one for each usual eps that the layers do not have."""
        layers = _layers(case.seen.stored)
        tried = sum(bool(dict(with_eps(layers, eps))) for eps in USUAL)
        is_off = recorded_gap(case.seen.stored) > NEAR_MARGIN
        return case.number(MORE) * (1 + tried) if tried and is_off else 0

    def answer(self, case: Case, session: ProbeSession) -> OtherEps | None:
        """The eps that fits, if there is one."""
        samples = case.drawn(MORE)
        return None if samples is None else probe_eps(session, samples, case.seen.stored)

    def told(self, evidence: Evidence, answer: OtherEps) -> Evidence:
        """Put it where settings are judged."""
        return replace(evidence, probed=replace(evidence.probed, eps=answer))


def probe_eps(session: ProbeSession, samples: Batch, stored: Recorder) -> OtherEps | None:
    """The usual eps under which the gap over all layers is smallest; `None` where the layers have it, or fit.

    A variance v with e' in place of e is v + e' - e with e: no layer has to be changed.

    Args:
        session: runs the samples.
        samples: to run again.
        stored: moments of the stored pass.
    """
    layers = _layers(stored)
    if not stored.sites or not recorded_gap(stored) > NEAR_MARGIN:
        return None
    names = tuple(layers)
    best: OtherEps | None = None
    before = None
    for eps in USUAL:
        others = dict(with_eps(layers, eps))
        if not others:
            continue
        before = before or session.stored(samples)
        seen = paired(session, names, samples.size, before, session.stored(samples, Given(others)))
        if seen is not None and (
            best is None or seen.after.model_gap < THRESHOLDS.eps_clearly * best.seen.after.model_gap
        ):
            best = OtherEps(eps, tuple(others), seen)
    return best


def _layers(stored: Recorder) -> dict[str, NormLayer]:
    return {name: together(calls).layer for name, calls in stored.by_layer().items()}


def with_eps(layers: dict[str, NormLayer], eps: float) -> Iterator[tuple[str, Statistics]]:
    """What the layers of another eps would have to store, to normalize as with this one."""
    for name, layer in layers.items():
        if layer.kind != BATCH_NORM or layer.mean is None or layer.var is None or layer.eps is None:
            continue
        own = layer.eps
        if not 0 < own < np.inf or not np.all(np.isfinite(layer.var)):
            continue
        if max(own, eps) < THRESHOLDS.eps_far * min(own, eps) or not np.all(layer.var > 0):
            continue
        if np.median(np.abs(np.sqrt((layer.var + own) / (layer.var + eps)) - 1)) > THRESHOLDS.eps_shows:
            yield name, Statistics(layer.mean.copy(), layer.var + (eps - own))


PROBE = Eps()
