"""Samples kept from the stored pass, so that probes need not read the data again."""

from __future__ import annotations

import torch

from bncheck.data.batches import Batch, Inputs
from bncheck.data.conversion import map_tensors, tensors
from bncheck.formats.programs.running import part

SAMPLES = 256
"""Samples a probe runs at the most."""
VALUES = 2**24
"""Input values kept (64 MiB in float32), a bound on memory: there are fewer samples where they are large."""
GROUP = 16
"""Samples of one label that make a grouped batch."""
GROUPED_SAMPLES = 320
"""Samples in all grouped batches: two batches for each of ten labels, which tells chance from a label's own ease."""


class Kept:
    """The first samples of the pass, which come in random order, and a group or two of each of the first labels."""

    def __init__(self) -> None:
        self._parts: list[Batch] = []
        self._size = 0
        self._room: int | None = None
        self._by_label: dict[int, list[Batch]] = {}

    def add(self, batch: Batch) -> None:
        """Take in what there is room for; samples are copied, since a view would keep its whole batch alive."""
        if not _in_step(batch):
            return
        if self._room is None:
            values = sum(tensor[0].numel() for tensor in tensors(batch.inputs) if len(tensor))
            self._room = min(SAMPLES, VALUES // max(values, 1))
        if self._size < self._room and (not self._parts or _form(batch) == _form(self._parts[0])):
            taken = copied(part(batch, 0, self._room - self._size))
            self._parts.append(taken)
            self._size += taken.size
        self._add_groups(batch, self._room // GROUP)

    def samples(self) -> Batch | None:
        """The samples kept, in the order they came."""
        return joined(self._parts) if self._parts else None

    def groups(self) -> list[Batch]:
        """Groups of equal size, a power of two, of one label each; none where hardly any label has so many samples."""
        size = 2 * GROUP if 2 * GROUP * len(self._by_label) <= GROUPED_SAMPLES else GROUP
        while size >= GROUP // 2:
            whole = [samples[:size] for samples in self._by_label.values() if len(samples) >= size]
            if len(whole) > max(1, len(self._by_label) // 2):
                return [joined(samples) for samples in whole]
            size //= 2
        return []

    def _add_groups(self, batch: Batch, labels: int) -> None:
        """Sort samples by label, up to so many labels."""
        values = batch.labels
        if values is None or values.dim() != 1 or values.is_complex() or labels < 2:
            return
        if values.is_floating_point() and not bool((values == values.round()).all()):
            return
        for index, label in enumerate(map(int, values.tolist())):
            if label in self._by_label or len(self._by_label) < labels:
                group = self._by_label.setdefault(label, [])
                if len(group) < 2 * GROUP and (not group or _form(batch) == _form(group[0])):
                    group.append(copied(part(batch, index, index + 1)))


def copied(batch: Batch) -> Batch:
    """The same samples in memory of their own."""
    labels = None if batch.labels is None else batch.labels.clone()
    return Batch(map_tensors(batch.inputs, torch.clone), labels, batch.size)


def joined(batches: list[Batch]) -> Batch:
    """The samples of all `batches`, which are of one form, as one batch."""
    columns = iter([torch.cat(column) for column in zip(*(tensors(one.inputs) for one in batches), strict=True)])
    inputs: Inputs = map_tensors(batches[0].inputs, lambda _: next(columns))
    labels = [one.labels for one in batches if one.labels is not None]
    return Batch(inputs, torch.cat(labels) if len(labels) == len(batches) else None, sum(one.size for one in batches))


def chosen(batch: Batch, order: torch.Tensor) -> Batch:
    """The samples at `order`."""
    labels = None if batch.labels is None else batch.labels[order]
    return Batch(map_tensors(batch.inputs, lambda tensor: tensor[order]), labels, len(order))


def _in_step(batch: Batch) -> bool:
    """Whether the first axis of every tensor is the sample."""
    parts = (*tensors(batch.inputs), *(() if batch.labels is None else (batch.labels,)))
    return all(tensor.dim() > 0 and len(tensor) == batch.size for tensor in parts)


def _form(batch: Batch) -> object:
    """What must be equal for two batches to be put together."""
    names = tuple(batch.inputs) if isinstance(batch.inputs, dict) else type(batch.inputs)
    labels = None if batch.labels is None else (batch.labels.dtype, batch.labels.shape[1:])
    return names, labels, [(tensor.dtype, tensor.shape[1:]) for tensor in tensors(batch.inputs)]
