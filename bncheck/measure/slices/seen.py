"""What a pass adds up of every slice of the data; of two shards it merges, by the slices' names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bncheck.data import Batch, Labels, Slicing, map_labels, map_tensors
from bncheck.errors import UsageError
from bncheck.predictions import PredictionEffect, RememberedEffect
from bncheck.tensors import torch
from bncheck.vocabulary import argument
from bncheck.watch import RememberedSlicedCall, SlicedCalls


@dataclass(frozen=True, slots=True, eq=False)
class RememberedSlices:
    """What `Slices` holds, to be kept in a file.

    Attributes:
        names: of the slices.
        samples: of each.
        calls: moments by slice.
        shipped: outputs as shipped, of all samples, by slice.
        compared: outputs compared with those by recalibrated statistics, by slice.
        left_out: names that have no slice of their own.
        overflowed: whether that is for want of room, in the order in which samples came.
    """

    names: tuple[str, ...]
    samples: tuple[int, ...]
    calls: tuple[RememberedSlicedCall, ...]
    shipped: Mapping[str, RememberedEffect]
    compared: Mapping[str, RememberedEffect]
    left_out: int
    overflowed: bool


class Slices:
    """Moments and outputs of every slice.

    Attributes:
        names: of the slices, by number.
        samples: of each slice, by name.
        calls: moments of every call, by slice.
        shipped: outputs as shipped, of all samples, by the slice's name.
        compared: outputs beside those by recalibrated statistics, of the samples of a look, by the slice's name.
        left_out: names that were too rare for a slice of their own.
        overflowed: whether there were more names than slices, in the order in which samples came.
    """

    def __init__(self, names: Sequence[str] = (), left_out: int = 0) -> None:
        self.names = list(names)
        self.samples: dict[str, int] = {}
        self.calls = SlicedCalls()
        self.shipped: dict[str, PredictionEffect] = {}
        self.compared: dict[str, PredictionEffect] = {}
        self.left_out = left_out
        self.overflowed = False

    def add_shipped(self, codes: torch.Tensor, whole: PredictionEffect, output: Any, batch: Batch) -> None:
        """Count samples, and take in their outputs as shipped.

        Args:
            codes: the slice of each sample, (n,).
            whole: of all slices, which has settled how outputs are judged.
            output: what the model returned.
            batch: the samples.
        """
        for name, chosen in self._present(codes):
            self.samples[name] = self.samples.get(name, 0) + len(chosen)
            if batch.targets is not None:
                meter = self.shipped.setdefault(name, whole.alike())
                meter.add_stored(_some(output, chosen, batch.size), _labels(batch.targets, chosen))

    def add_compared(
        self, codes: torch.Tensor, whole: PredictionEffect, outputs: tuple[Any, Any], batch: Batch
    ) -> None:
        """Take in outputs as shipped, and under the other fold's statistics; see `add_shipped`."""
        for name, chosen in self._present(codes):
            labels = None if batch.targets is None else _labels(batch.targets, chosen)
            stored, other = (_some(output, chosen, batch.size) for output in outputs)
            self.compared.setdefault(name, whole.alike()).add_recalibrated(stored, other, labels)

    def settled(self, known: Slicing) -> Slices:
        """The slices themselves, after a pass over data whose slices are `known`."""
        self.names, self.left_out, self.overflowed = list(known.known.names), known.left_out, known.known.overflowed
        return self

    def naming(self, known: Slicing) -> Slices:
        """The slices themselves, which go by the names of `known`, those to come too."""
        self.names = known.known.names
        return self

    def merge(self, other: Slices) -> Slices:
        """What both saw of different samples; neither is changed.

        Raises:
            UsageError: one of them met more names than there is room for: which are the other's nobody can tell.
        """
        if (self.overflowed or other.overflowed) and self.samples and other.samples:
            raise UsageError(
                f"{argument('by')}: there are more slices than can be told apart ({len(self.names)} in one process), "
                "and those of several processes do not merge. Name fewer: a coarser column, or FILE.py:CALLABLE that "
                "groups them."
            )
        merged = Slices(list(dict.fromkeys((*self.names, *other.names))), max(self.left_out, other.left_out))
        merged.overflowed = self.overflowed or other.overflowed
        places = {name: number for number, name in enumerate(merged.names)}
        for part in (self, other):
            merged.calls.merge(part.calls, part.names, places)
            for name, samples in part.samples.items():
                merged.samples[name] = merged.samples.get(name, 0) + samples
            for own, mine in ((part.shipped, merged.shipped), (part.compared, merged.compared)):
                for name, effect in own.items():
                    if name in mine:
                        mine[name].merge(effect.copy())
                    else:
                        mine[name] = effect.copy()
        return merged

    def remembered(self) -> RememberedSlices:
        """What it holds, to be kept in a file."""
        return RememberedSlices(
            tuple(self.names),
            tuple(self.samples.get(name, 0) for name in self.names),
            self.calls.remembered(len(self.names)),
            {name: effect.remembered() for name, effect in self.shipped.items()},
            {name: effect.remembered() for name, effect in self.compared.items()},
            self.left_out,
            self.overflowed,
        )

    @classmethod
    def of(cls, kept: RememberedSlices) -> Slices:
        """What held that."""
        slices = cls(kept.names, kept.left_out)
        slices.samples = {name: count for name, count in zip(kept.names, kept.samples, strict=True) if count}
        slices.calls = SlicedCalls.of(kept.calls)
        slices.shipped = {name: PredictionEffect.of(effect) for name, effect in kept.shipped.items()}
        slices.compared = {name: PredictionEffect.of(effect) for name, effect in kept.compared.items()}
        slices.overflowed = kept.overflowed
        return slices

    def _present(self, codes: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """The slices that these samples are of, by name, and which are."""
        for code in torch.unique(codes).tolist():
            yield self.names[code], torch.nonzero(codes == code).flatten()


def merged_slices(one: Slices | None, other: Slices | None) -> Slices | None:
    """What both saw of different samples; `None` where nobody has asked."""
    return one or other if one is None or other is None else one.merge(other)


def _some(output: Any, chosen: torch.Tensor, size: int) -> Any:
    """The outputs of some samples; what has no entry for each sample stays as it is."""
    if isinstance(output, list) and len(output) == size:
        return [output[place] for place in chosen.tolist()]
    return map_tensors(output, lambda one: one[chosen.to(one.device)] if one.dim() and len(one) == size else one)


def _labels(labels: Labels, chosen: torch.Tensor) -> Labels:
    return map_labels(labels, lambda one: one[chosen])
