"""Samples kept from the stored pass, so that probes need not read the data again."""

from __future__ import annotations

from bncheck.data.batches import Batch

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
        if not batch.is_in_step:
            return
        if self._room is None:
            values = sum(tensor[0].numel() for tensor in batch.tensors if len(tensor))
            self._room = min(SAMPLES, VALUES // max(values, 1))
        if self._size < self._room and (not self._parts or batch.form == self._parts[0].form):
            taken = batch.between(0, self._room - self._size).copy()
            self._parts.append(taken)
            self._size += taken.size
        self._add_groups(batch, self._room // GROUP)

    def samples(self) -> Batch | None:
        """The samples kept, in the order they came."""
        return Batch.join(self._parts) if self._parts else None

    def groups(self) -> list[Batch]:
        """Groups of equal size, a power of two, of one label each; none where hardly any label has so many samples."""
        size = 2 * GROUP if 2 * GROUP * len(self._by_label) <= GROUPED_SAMPLES else GROUP
        while size >= GROUP // 2:
            whole = [samples[:size] for samples in self._by_label.values() if len(samples) >= size]
            if len(whole) > max(1, len(self._by_label) // 2):
                return [Batch.join(samples) for samples in whole]
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
                if len(group) < 2 * GROUP and (not group or batch.form == group[0].form):
                    group.append(batch.between(index, index + 1).copy())
