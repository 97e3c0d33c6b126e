"""How far what layers see has moved since an earlier run, in a report and in the columns of its CSV."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.results.codec import Json, encoded


@dataclass(frozen=True, slots=True)
class DriftLayer:
    """One layer's drift, in the standard deviations of the earlier run.

    Attributes:
        name: of the layer.
        gap: root mean square over the channels.
        noise: the gap that sampling alone would show in the two runs; `None` below two samples.
        sure_gap: lower bound of the gap, noise taken off, with 95 % confidence for all layers together.
        shift_max: the largest shift of a channel.
        scale_min, scale_max: the smallest and the largest scale.
    """

    name: str
    gap: float | None
    noise: float | None
    sure_gap: float | None
    shift_max: float | None
    scale_min: float | None
    scale_max: float | None


@dataclass(frozen=True, slots=True)
class Drift:
    """Drift since an earlier run.

    Attributes:
        since: the file that the earlier run was kept in.
        samples_then: of that run.
        gap, noise: root mean square over the layers.
        layers: in the order of the network.
    """

    since: str
    samples_then: int
    gap: float | None
    noise: float | None
    layers: tuple[DriftLayer, ...]


DRIFT_COLUMNS = ["drift", "drift_noise", "drift_sure"]


def drift_cells(drift: Drift) -> dict[str, Json]:
    """The cells of each layer, by its name."""
    return {
        layer.name: dict(zip(DRIFT_COLUMNS, map(encoded, (layer.gap, layer.noise, layer.sure_gap)), strict=True))
        for layer in drift.layers
    }
