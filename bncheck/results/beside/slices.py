"""Slices of the data in a report, and the rows of their CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from bncheck.results.codec import Json, encoded
from bncheck.results.scores import Effect


@dataclass(frozen=True, slots=True)
class SliceLayer:
    """A layer as the samples of one slice see it; units are those of the gap.

    Attributes:
        name: of the layer.
        gap: from what is stored.
        noise: the gap that sampling alone would show; `None` below two samples.
        sure_gap: by how much the gap exceeds what noise may show, with 95 % confidence for all slices together; 0 where
            it does not.
        shift_max: the largest shift of a channel.
        scale_min, scale_max: the smallest and the largest scale.
    """

    name: str
    gap: float | None
    noise: float | None
    sure_gap: float
    shift_max: float | None
    scale_min: float | None
    scale_max: float | None


@dataclass(frozen=True, slots=True)
class SliceReport:
    """A slice of the data: a site, a camera, a class.

    Attributes:
        name: of the slice.
        samples: in it.
        gap, noise, sure_gap: root mean square over the layers; see `SliceLayer`.
        worst_layer: whose gap is surest; `None` where no layer was measured.
        accuracy: share of right predictions as shipped, of all its samples; `None` where there are no such.
        effect: what recalibrated statistics would change in it, of the samples whose outputs were compared.
        layers: in the order of the network.
    """

    name: str
    samples: int
    gap: float | None
    noise: float | None
    sure_gap: float
    worst_layer: str | None
    accuracy: float | None
    effect: Effect | None
    layers: tuple[SliceLayer, ...]

    @property
    def score(self) -> tuple[str, float] | None:
        """The score as shipped and its name: of all samples the accuracy, of those compared any other."""
        if self.accuracy is not None:
            return "accuracy", self.accuracy
        known = None if self.effect is None else self.effect.score
        return None if known is None or known.stored is None else (known.name, known.stored)


_OF_LAYER = [each.name for each in fields(SliceLayer) if each.name != "name"]
SLICE_COLUMNS = [
    *("slice", "rank", "samples", "slice_gap", "slice_noise", "slice_sure_gap"),
    *("score_name", "score", "predictions_changed", "output_change"),
    *("layer", *_OF_LAYER),
]


def slice_rows(slices: Iterable[SliceReport]) -> Iterator[Json]:
    """One row for every slice and layer; what is of the slice stands in each of its rows."""
    for rank, part in enumerate(slices, start=1):
        score, effect = part.score or (None, None), part.effect
        own = {
            "slice": part.name,
            "rank": rank,
            "samples": part.samples,
            "slice_gap": encoded(part.gap),
            "slice_noise": encoded(part.noise),
            "slice_sure_gap": encoded(part.sure_gap),
            "score_name": score[0],
            "score": encoded(score[1]),
            "predictions_changed": None if effect is None else encoded(effect.predictions_changed),
            "output_change": None if effect is None else encoded(effect.output_change),
        }
        for layer in part.layers or (None,):
            of_layer = {} if layer is None else {name: encoded(getattr(layer, name)) for name in _OF_LAYER}
            yield {**own, "layer": None if layer is None else layer.name, **of_layer}
