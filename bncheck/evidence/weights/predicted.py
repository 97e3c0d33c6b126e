"""What the weights before a layer say that its statistics should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bncheck.core import FloatArray
from bncheck.results import TrainingEps
from bncheck.vocabulary import Unpredicted


@dataclass(frozen=True, slots=True, eq=False)
class PredictedLayer:
    """A layer's stored statistics beside those predicted.

    Attributes:
        name: of the layer.
        source: of the layer before, whose output is taken to be normal, by its gamma and beta.
        weight: of what stands between them.
        activation: what is assumed to stand before the weight, or what a graph says.
        form: how it is fed; layers of the same form are judged by each other.
        alike: how many there are of it.
        at_end: it is the first or the last of them, where features are sparse and further from normal.
        mean: predicted, float64, shape (C,).
        var: predicted within a factor, float64, shape (C,).
        stored_mean, stored_var: shape (C,).
        distance: RMS over channels of the stored mean's distance from the predicted, in stored deviations, under
            whatever explains it best (another activation, a pooling).
        typical: the same of the median channel, as large as of a normal distribution of that spread.
        distance_alike, typical_alike: medians of both over the layers of its form.
        log_factor: logarithm of stored over predicted variance at the median channel, less the median over its form or
            over its neighbours in that, whichever it is nearer to.
        log_spread: robust spread of that logarithm over its form.
        is_known: a graph says what stands before the weight.
        is_summed: branches are added before it, which are taken to be independent.
        is_averaged: neighbouring values are averaged before it, or a weight has no layer behind it, so that its
            variance is not known.
    """

    name: str
    source: str
    weight: str
    activation: str
    form: str
    alike: int
    at_end: bool
    mean: FloatArray
    var: FloatArray
    stored_mean: FloatArray
    stored_var: FloatArray
    distance: float
    typical: float
    distance_alike: float
    typical_alike: float
    log_factor: float
    log_spread: float
    is_known: bool = False
    is_summed: bool = False
    is_averaged: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PredictedMoments:
    """What the weights predict in the place of statistics that a layer has lost, or never learned.

    Attributes:
        source: the layer before.
        weight: of what stands between them.
        activation: what is assumed to stand before the weight.
        mean: without a border, float64, shape (C,).
        var: within a factor, float64, shape (C,).
    """

    source: str
    weight: str
    activation: str
    mean: FloatArray
    var: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What could be predicted, and why the rest could not.

    Attributes:
        layers: those predicted, in the order of the file.
        reasons: by name, why another layer was not.
        eps: that explain the statistics of the layers behind; `None` where it is not known.
        instead: by name, what the weights predict of layers whose own statistics are initial.
    """

    layers: tuple[PredictedLayer, ...] = ()
    reasons: Mapping[str, Unpredicted] = field(default_factory=dict)
    eps: TrainingEps | None = None
    instead: Mapping[str, PredictedMoments] = field(default_factory=dict)
