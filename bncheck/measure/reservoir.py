"""A random draw of samples from the stored pass, so that probes need not read the data again."""

from __future__ import annotations

from collections import Counter

import numpy as np

from bncheck.data import Batch
from bncheck.predictions import class_of_each
from bncheck.watch import sample_keys

SAMPLES = 256
"""Samples a probe runs at the most."""
VALUES = 2**24
"""Input values kept (64 MiB in float32), a bound on memory: there are fewer samples where they are large."""
FEWEST = 8
"""Samples that are kept however large they are."""
GROUP = 16
"""Samples of one label that make a grouped batch."""
GROUPED_SAMPLES = 320
"""Samples in all grouped batches: two batches for each of ten labels, which tells luck from a label's own ease."""

Drawn = dict[int, Batch]
"""Single samples by their key."""


class Reservoir:
    """Holds the samples with the smallest keys, and a group or two of those of some labels; two of them `merge`.

    Which samples and labels they are depends on the seed and on where the samples stand in their source, not on who
    read them first.

    Args:
        seed: of the draw.
        least: samples that are kept however large they are: those of a batch, where its size is fixed.
    """

    def __init__(self, seed: int = 0, least: int = FEWEST) -> None:
        self._seed = seed
        self._least = max(least, FEWEST)
        self._values = 1
        self._drawn: Drawn = {}
        self._by_label: dict[int, Drawn] = {}
        self._seen = 0
        self._joined: Batch | None = None

    @property
    def room(self) -> int:
        """Samples that there is room for."""
        return max(min(SAMPLES, VALUES // self._values), self._least)

    def add(self, batch: Batch) -> None:
        """Take in what is drawn; samples are copied, since a view would keep its whole batch alive."""
        first, self._seen = self._seen, self._seen + batch.size
        if not batch.is_in_step or not batch.size:
            return
        self._values = max(self._values, sum(tensor[0].numel() for tensor in batch.tensors))
        positions = np.arange(first, first + batch.size) if batch.positions is None else batch.positions.numpy()
        keys = [int(key) for key in sample_keys(self._seed, positions)]
        self._add_drawn(batch, keys)
        self._add_groups(batch, keys)
        self._let_go()

    def merge(self, other: Reservoir) -> Reservoir:
        """What one reservoir over all the samples of both would hold; neither is changed."""
        merged = Reservoir(self._seed, max(self._least, other._least))
        merged._values = max(self._values, other._values)
        merged._drawn = self._drawn | other._drawn
        merged._by_label = {
            label: self._by_label.get(label, {}) | other._by_label.get(label, {})
            for label in {**self._by_label, **other._by_label}
        }
        merged._seen = self._seen + other._seen
        merged._let_go()
        return merged

    def samples(self) -> Batch | None:
        """The samples drawn, in the order of their keys; where they have several forms, those of the commonest."""
        if self._joined is None:  # put together once: every question asks for them
            chosen = _of_form(self._drawn, self._commonest_form())
            self._joined = Batch.join(chosen) if chosen else None
        return self._joined

    def singles(self) -> list[Batch]:
        """All samples drawn, whatever their form, each by itself, in the order of their keys."""
        return [self._drawn[key] for key in sorted(self._drawn)]

    def groups(self) -> list[Batch]:
        """Groups of equal size, a power of two, of one label each; none where hardly any label has so many samples."""
        form = self._commonest_form()
        by_label = [_of_form(self._by_label[label], form) for label in self._labels()]
        size = 2 * GROUP if 2 * GROUP * len(by_label) <= GROUPED_SAMPLES else GROUP
        while size >= GROUP // 2:
            whole = [samples[:size] for samples in by_label if len(samples) >= size]
            if len(whole) > max(1, len(by_label) // 2):
                return [Batch.join(samples) for samples in whole]
            size //= 2
        return []

    def _add_drawn(self, batch: Batch, keys: list[int]) -> None:
        last = _last(self._drawn, self.room)
        for place, key in enumerate(keys):
            if last is None or key < last:
                self._drawn[key] = batch.between(place, place + 1).copy()

    def _add_groups(self, batch: Batch, keys: list[int]) -> None:
        classes = class_of_each(batch.labels)
        if classes is None:
            return
        labels = classes.tolist()
        for label in dict.fromkeys(labels):
            self._by_label.setdefault(label, {})
        chosen = {label: _last(self._by_label[label], 2 * GROUP) for label in self._labels()}
        for place, (label, key) in enumerate(zip(labels, keys, strict=True)):
            if label in chosen and ((last := chosen[label]) is None or key < last):
                self._by_label[label][key] = batch.between(place, place + 1).copy()

    def _labels(self) -> list[int]:
        """The labels that there are groups of, by the keys that they themselves have."""
        labels = list(self._by_label)
        keys = sample_keys(self._seed, labels)
        most = min(SAMPLES, VALUES // self._values) // GROUP
        return [labels[place] for place in np.argsort(keys)[: most if most >= 2 else 0]]

    def _let_go(self) -> None:
        """Keep what there is room for."""
        self._joined = None
        self._drawn = _first(self._drawn, self.room)
        self._by_label = {label: _first(self._by_label[label], 2 * GROUP) for label in self._labels()}

    def _commonest_form(self) -> object:
        """The form that most of the samples have; among equals that of the smallest key."""
        forms = [self._drawn[key].form for key in sorted(self._drawn)]
        counted = Counter(forms)
        return max(forms, key=counted.__getitem__, default=None)


def _of_form(drawn: Drawn, form: object) -> list[Batch]:
    """Those that can be joined, in the order of their keys."""
    return [drawn[key] for key in sorted(drawn) if drawn[key].form == form]


def _first(drawn: Drawn, most: int) -> Drawn:
    return drawn if len(drawn) <= most else {key: drawn[key] for key in sorted(drawn)[:most]}


def _last(drawn: Drawn, most: int) -> int | None:
    """The key that a sample must be below to be drawn; `None` while there is room."""
    return None if len(drawn) < most else max(drawn)
