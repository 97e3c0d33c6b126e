"""A random draw of samples from the stored pass, so that probes need not read the data again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from bncheck.data import Batch, Shelf
from bncheck.predictions import class_of_each
from bncheck.results import FewerSamplesKept, Note
from bncheck.settings import SampleMemory
from bncheck.watch import sample_keys

SAMPLES = 256
"""Samples a probe runs at the most."""
FEWEST = 8
"""Samples that are kept however large they are."""
GROUP = 16
"""Samples of one label that make a grouped batch."""
GROUPED_SAMPLES = 320
"""Samples in all grouped batches: two batches for each of ten labels, which tells luck from a label's own ease."""

BLOCK = 8
"""Samples that memory is taken for at once."""
DEFAULT_MEMORY = SampleMemory()

Drawn = dict[int, Batch]
"""Single samples by their key."""


class Reservoir:
    """Holds the samples with the smallest keys, and a group or two of those of some labels; two of them `merge`.

    Which samples and labels they are depends on the seed and on where the samples stand in their source, not on who
    read them first.

    Args:
        seed: of the draw.
        least: samples that are kept however large they are: those of a batch, where its size is fixed.
        memory: that samples may take; there are fewer where they are large.
    """

    def __init__(self, seed: int = 0, least: int = FEWEST, memory: SampleMemory = DEFAULT_MEMORY) -> None:
        self._seed = seed
        self._least = max(least, FEWEST)
        self._memory = memory
        self._bytes = 1
        self._drawn: Drawn = {}
        self._by_label: dict[int, Drawn] = {}
        self._shelf, self._label_shelf = Shelf(BLOCK), Shelf(BLOCK)
        self._seen = 0
        self._joined: Batch | None = None

    @property
    def room(self) -> int:
        """Samples that there is room for."""
        return max(min(SAMPLES, self._memory.kept // self._bytes), self._least)

    def notes(self) -> tuple[Note, ...]:
        """A note where there was no room for as many as a question may want."""
        return (FewerSamplesKept(self.room),) if min(self._seen, SAMPLES) > self.room else ()

    def add(self, batch: Batch) -> None:
        """Take in what is drawn; samples are copied, since a view would keep its whole batch alive."""
        first, self._seen = self._seen, self._seen + batch.size
        if not batch.is_in_step or not batch.size:
            return
        self._bytes = max(self._bytes, sum(tensor[0].nbytes for tensor in batch.tensors))
        positions = np.arange(first, first + batch.size) if batch.positions is None else batch.positions.numpy()
        keys = [int(key) for key in sample_keys(self._seed, positions)]
        self._add_drawn(batch, keys)
        self._add_groups(batch, keys)
        self._let_go()

    def merge(self, other: Reservoir) -> Reservoir:
        """What one reservoir over all the samples of both would hold; neither is changed."""
        merged = Reservoir(self._seed, max(self._least, other._least), self._memory)
        merged._bytes = max(self._bytes, other._bytes)
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
            form = self._commonest_form()
            chosen = _of_form(self._drawn, form)
            self._joined = Batch.join(chosen) if chosen else None
            self._share(form)
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
        _take_in(self._drawn, self._shelf, batch, dict(zip(keys, range(batch.size), strict=True)), self.room)

    def _add_groups(self, batch: Batch, keys: list[int]) -> None:
        classes = class_of_each(batch.labels)
        if classes is None:
            return
        places: dict[int, dict[int, int]] = {}
        for place, (label, key) in enumerate(zip(classes.tolist(), keys, strict=True)):
            places.setdefault(label, {})[key] = place
        for label in places:
            self._by_label.setdefault(label, {})
        self._let_labels_go()
        each = self._each
        for label in places.keys() & self._by_label.keys():
            _take_in(self._by_label[label], self._label_shelf, batch, places[label], each)

    def _labels(self) -> list[int]:
        """The labels that there are groups of, by the keys that they themselves have."""
        labels = list(self._by_label)
        keys = sample_keys(self._seed, labels)
        most = min(SAMPLES, self._memory.grouped // self._bytes) // GROUP
        return [labels[place] for place in np.argsort(keys)[: most if most >= 2 else 0]]

    @property
    def _each(self) -> int:
        """Samples of a label that are kept: of two groups, where all of them together may take so much memory."""
        room = min(GROUPED_SAMPLES, self._memory.grouped // self._bytes)
        return 2 * GROUP if 2 * GROUP * len(self._labels()) <= room else GROUP

    def _share(self, form: object) -> None:
        """Have the single samples of that form lie in the joined ones: they are held once."""
        self._shelf = Shelf(BLOCK)  # what lies there still is held by who has it
        keys = [key for key in sorted(self._drawn) if self._drawn[key].form == form]
        if self._joined is not None:
            self._drawn |= {key: self._joined.between(place, place + 1) for place, key in enumerate(keys)}

    def _let_go(self) -> None:
        """Keep what there is room for."""
        self._joined = None
        _keep(self._drawn, self._shelf, self.room)
        self._let_labels_go()
        each = self._each
        for samples in self._by_label.values():
            _keep(samples, self._label_shelf, each)

    def _let_labels_go(self) -> None:
        """Keep the labels that there are groups of."""
        labels = self._labels()
        for label in self._by_label.keys() - set(labels):
            _keep(self._by_label[label], self._label_shelf, 0)
        self._by_label = {label: self._by_label[label] for label in labels}

    def __getstate__(self) -> dict[str, Any]:
        """As values of their own: pickled views would take all that they are views of along."""
        drawn = {key: sample.copy() for key, sample in self._drawn.items()}
        labels = {label: {key: one.copy() for key, one in some.items()} for label, some in self._by_label.items()}
        fresh = {"_drawn": drawn, "_by_label": labels, "_shelf": Shelf(BLOCK), "_label_shelf": Shelf(BLOCK)}
        return self.__dict__ | fresh | {"_joined": None}

    def _commonest_form(self) -> object:
        """The form that most of the samples have; among equals that of the smallest key."""
        forms = [self._drawn[key].form for key in sorted(self._drawn)]
        counted = Counter(forms)
        return max(forms, key=counted.__getitem__, default=None)


def _of_form(drawn: Drawn, form: object) -> list[Batch]:
    """Those that can be joined, in the order of their keys."""
    return [drawn[key] for key in sorted(drawn) if drawn[key].form == form]


def _take_in(drawn: Drawn, shelf: Shelf, batch: Batch, places: dict[int, int], most: int) -> None:
    """Have `most` samples drawn, those of the smallest keys, of them and of those at `places` of the batch by key."""
    chosen = set(sorted(drawn.keys() | places.keys())[:most])
    for key in drawn.keys() - chosen:
        shelf.let_go(drawn.pop(key))
    for key in chosen - drawn.keys():
        drawn[key] = shelf.put(batch.between(places[key], places[key] + 1))


def _keep(drawn: Drawn, shelf: Shelf, most: int) -> None:
    """Let go of all but `most`."""
    for key in sorted(drawn)[most:]:
        shelf.let_go(drawn.pop(key))
