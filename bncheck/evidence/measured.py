"""A layer as measured, and what the weights of a file show by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bncheck.core import FloatArray, Gap, NormLayer, rms
from bncheck.evidence.outputs import EffectEvidence


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredLayer:
    """A layer's stored statistics beside those of the data; arrays have shape (C,).

    Attributes:
        layer: as the file declares it, with the eps and momentum the call used.
        calls: calls in one forward.
        call_gaps: the layer's gap at each call, `None` for a single call.
        mean, var: measured in the stored pass over all calls (divisor n).
        inherited: gap against them: what inference sees, upstream errors included.
        own: gap measured while every layer normalizes by the batch: the layer's own; `None` without that pass.
        noise: per channel, what sampling alone would show.
        lower: lower 95 % confidence bound of the inherited gap (RMS over channels), noise taken off.
        p_value: probability that sampling alone shows as large an inherited gap.
        hidden: channels of a folded layer whose gamma is too small for their input to be seen; they count
            nowhere, and their arrays hold the stored values. `None` where all are seen.
        positions: values of a channel in a sample: height x width of a feature map, 1 behind a Linear.
    """

    layer: NormLayer
    calls: int
    call_gaps: tuple[float, ...] | None
    mean: FloatArray
    var: FloatArray
    inherited: Gap
    own: Gap | None
    noise: FloatArray
    lower: float
    p_value: float
    hidden: npt.NDArray[np.bool_] | None = None
    positions: float = 1.0

    @property
    def visible(self) -> npt.NDArray[np.bool_]:
        """Channels that were measured."""
        return np.ones(self.layer.channels, dtype=bool) if self.hidden is None else ~self.hidden

    @property
    def gap(self) -> float:
        """RMS of the inherited gap over channels."""
        return rms(self.inherited.gap[self.visible])

    @property
    def own_gap(self) -> float | None:
        """RMS of the own gap over channels."""
        return None if self.own is None else rms(self.own.gap[self.visible])


@dataclass(frozen=True, slots=True)
class ZeroedWeights:
    """Weights that are exactly 0, which training leaves nowhere and pruning does.

    Attributes:
        filters: rows of weights (the filters of convolutions, the units of linear layers) that are 0 as a whole.
        share: of the weights in all other rows, those that are 0.
    """

    filters: int
    share: float


@dataclass(frozen=True, slots=True)
class SlicedLayer:
    """A layer as the samples of one slice see it; units are those of the gap.

    Attributes:
        name: of the layer.
        gap: RMS over the channels, from what is stored.
        noise: what sampling alone would show, RMS; infinite below two samples.
        sure: by how much the gap exceeds what noise may show, for all slices together; below 0 where it does not.
        shift_max: the largest shift of a channel.
        scale_min, scale_max: the smallest and the largest scale.
    """

    name: str
    gap: float
    noise: float
    sure: float
    shift_max: float
    scale_min: float
    scale_max: float


@dataclass(frozen=True, slots=True, eq=False)
class SliceEvidence:
    """A slice of the data: a site, a camera, a class.

    Attributes:
        name: of the slice.
        samples: in it.
        gap, noise, sure: RMS over the layers, as of `SlicedLayer`.
        layers: in the order of the network.
        accuracy: share of right predictions as shipped, of all its samples; `None` where there are no such.
        effect: what recalibrated statistics would change, as far as outputs were compared.
    """

    name: str
    samples: int
    gap: float
    noise: float
    sure: float
    layers: tuple[SlicedLayer, ...]
    accuracy: float | None = None
    effect: EffectEvidence | None = None


@dataclass(frozen=True, slots=True)
class LayerDrift:
    """How far what one layer sees has moved since an earlier run, in that run's standard deviations.

    Attributes:
        gap: RMS over the channels.
        noise: what sampling alone would show in the two runs, RMS; infinite below two samples.
        lower: lower bound of the gap, noise taken off, with 95 % confidence for all layers together.
        shift_max: the largest shift of a channel.
        scale_min, scale_max: the smallest and the largest scale.
    """

    gap: float
    noise: float
    lower: float
    shift_max: float
    scale_min: float
    scale_max: float


@dataclass(frozen=True, slots=True, eq=False)
class DriftEvidence:
    """How far what layers see has moved since an earlier run.

    Attributes:
        since: the file that the earlier run was kept in.
        then, now: samples of that run, and of this.
        gap, noise: RMS over the layers.
        layers: by name, in the order of the network.
    """

    since: str
    then: int
    now: int
    gap: float
    noise: float
    layers: Mapping[str, LayerDrift]
