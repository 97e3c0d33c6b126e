"""A normalization layer as an inspection found it, and its channels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bncheck.results.codec import Written
from bncheck.vocabulary import Kind, Reason, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ChannelTable:
    """A measured layer's channels; every array has shape (C,), NaN where not measured."""

    stored_mean: FloatArray
    stored_var: FloatArray
    measured_mean: FloatArray
    measured_var: FloatArray
    shift: FloatArray
    scale: FloatArray
    gap: FloatArray
    own_gap: FloatArray
    noise: FloatArray


def _with_nan(layer: LayerReport) -> LayerReport:
    """Numbers of a measured layer that are null in the JSON were not finite; those of others were not measured."""
    if layer.status is not Status.MEASURED:
        return layer
    return replace(
        layer,
        gap=_number(layer.gap),
        gap_max=_number(layer.gap_max),
        noise=_number(layer.noise),
        shift_max=_number(layer.shift_max),
        scale_min=_number(layer.scale_min),
        scale_max=_number(layer.scale_max),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass(frozen=True, slots=True, eq=False)
class LayerReport:
    """One normalization layer: measured, audited only, or skipped for a reason. Units are those of the gap."""

    name: str
    kind: Kind
    channels: int
    status: Status
    reason: Reason | None = None
    calls: int | None = None
    call_gaps: tuple[float, ...] | None = None
    stored_eps: float | None = None
    stored_momentum: float | None = None
    stored_updates: int | None = None
    gap: float | None = None
    gap_max: float | None = None
    worst_channel: int | None = None
    own_gap: float | None = None
    noise: float | None = None
    shift_max: float | None = None
    scale_min: float | None = None
    scale_max: float | None = None
    codes: tuple[str, ...] = ()
    table: ChannelTable | None = None

    __json__: ClassVar = Written(
        places={
            "stored_eps": ("stored", "eps"),
            "stored_momentum": ("stored", "momentum"),
            "stored_updates": ("stored", "updates"),
        },
        left_out=frozenset({"table"}),
        settled=_with_nan,
    )


CHANNEL_ARRAYS = tuple(ChannelTable.__dataclass_fields__)
