"""What every data source gives: batches of samples, and a promise of how they were drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bncheck.data.forms.structure import PerSample, columns, is_apart, leaves, map_columns, map_leaves, shape_of
from bncheck.results import Note
from bncheck.tensors import torch

Inputs = Any
"""What a model is called with: a tuple of positional inputs, a dict of named ones, or else the only one. Each is a
tensor, or what holds tensors (`bncheck.data.forms.structure`); a list has one entry for each sample."""
Labels = torch.Tensor | dict[str, torch.Tensor]
"""Labels of the one output that is judged, or of several outputs, by their keys (or indices, as text)."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples to be run together.

    Attributes:
        inputs: what the model is called with; the first axis of every tensor is the sample.
        targets: labels, first axis N, or `None` where the source has none.
        size: N.
        positions: where each sample stands in its source, (N,) int64; `None` where nobody has counted.
        slices: which slice of the data each belongs to, by number, (N,) int64; `None` where nobody has asked.

    A loader whose inputs and labels do not share their first axis (graphs: nodes against graphs) is passed
    on as it is; N is then the first axis of its first input, and the samples are never taken apart.
    """

    inputs: Inputs
    targets: Labels | None
    size: int
    positions: torch.Tensor | None = None
    slices: torch.Tensor | None = None

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """The inputs' tensors, in order."""
        return tensors(self.inputs)

    @property
    def arrays(self) -> tuple[torch.Tensor, ...]:
        """Those of them whose first axis is the sample, or is taken for it."""
        return tuple(column for column in columns(self.inputs) if isinstance(column, torch.Tensor))

    @property
    def labels(self) -> torch.Tensor | None:
        """The labels; of those of several outputs the ones that name one class a sample, else the first."""
        return None if self.targets is None else foremost(self.targets)[1]

    @property
    def all_tensors(self) -> tuple[torch.Tensor, ...]:
        """The same, and the labels where there are any."""
        return self.tensors if self.targets is None else (*self.tensors, *tensors(self.targets))

    @property
    def is_in_step(self) -> bool:
        """Whether the first axis of every tensor is the sample, so that samples can be taken apart."""
        held = [*columns(self.inputs), *(() if self.targets is None else tensors(self.targets))]
        return not is_apart(self.inputs) and all(length(one) == self.size for one in held)

    @property
    def has_one_shape(self) -> bool:
        """Whether all samples of its form have the same shape."""
        return not any(isinstance(column, PerSample) for column in columns(self.inputs))

    @property
    def form(self) -> Hashable:
        """What must be equal for two batches to be joined."""
        return shape_of(self.inputs), shape_of(self.targets)

    def mapped(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        """The same samples with `function` applied to every tensor of the inputs."""
        return replace(self, inputs=map_tensors(self.inputs, function))

    def between(self, start: int, stop: int) -> Batch:
        """Samples `start` to `stop`, as views."""
        if start == 0 and stop >= self.size:
            return self
        return self._of_samples(
            lambda column: _part(column, start, stop), min(stop, self.size) - start, slice(start, stop)
        )

    def split(self, size: int) -> Iterator[Batch]:
        """Batches of `size` samples each, the last smaller where they do not come out even; whole where it must be."""
        if not self.is_in_step:
            return iter((self,))
        return (self.between(start, start + size) for start in range(0, self.size, size))

    def take(self, order: torch.Tensor) -> Batch:
        """The samples at `order`, a tensor of indices."""
        return self._of_samples(lambda column: _chosen(column, order), len(order), order)

    def copy(self) -> Batch:
        """The same samples in memory of their own."""
        targets = None if self.targets is None else map_labels(self.targets, torch.clone)
        return Batch(
            map_tensors(self.inputs, torch.clone), targets, self.size, *self._numbers_of(torch.arange(self.size))
        )

    @staticmethod
    def join(batches: Sequence[Batch]) -> Batch:
        """The samples of all `batches`, of one form, as one batch; labels and numbers only where all have them."""
        parts = iter([_joined(column) for column in zip(*(columns(one.inputs) for one in batches), strict=True)])
        return Batch(
            map_columns(batches[0].inputs, lambda _: next(parts)),
            joined([one.targets for one in batches]),
            sum(one.size for one in batches),
            _numbers([one.positions for one in batches]),
            _numbers([one.slices for one in batches]),
        )

    def _of_samples(self, choose: Callable[[Any], Any], size: int, chosen: torch.Tensor | slice) -> Batch:
        targets = None if self.targets is None else map_labels(self.targets, choose)
        return Batch(map_columns(self.inputs, choose), targets, size, *self._numbers_of(chosen))

    def _numbers_of(self, chosen: torch.Tensor | slice) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """What numbers these samples."""
        return (
            None if self.positions is None else self.positions[chosen],
            None if self.slices is None else self.slices[chosen],
        )


def _numbers(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    known = [one for one in parts if one is not None]
    return torch.cat(known) if len(known) == len(parts) else None


def tensors(inputs: Inputs) -> tuple[torch.Tensor, ...]:
    """The tensors of `inputs`, in order."""
    return tuple(leaves(inputs))


def map_tensors(inputs: Inputs, function: Callable[[torch.Tensor], torch.Tensor]) -> Inputs:
    """`inputs` in the same form, with `function` applied to every tensor."""
    return map_leaves(inputs, function)


def length(column: torch.Tensor | PerSample) -> int | None:
    """How many samples a column has; `None` where it has no axis."""
    if isinstance(column, torch.Tensor):
        return len(column) if column.dim() else None
    return len(column)


def map_labels(labels: Labels, function: Callable[[torch.Tensor], torch.Tensor]) -> Labels:
    """`labels` in the same form, with `function` applied to every tensor."""
    if isinstance(labels, torch.Tensor):
        return function(labels)
    return {head: function(tensor) for head, tensor in labels.items()}


def joined(labels: Sequence[Labels | None]) -> Labels | None:
    """The labels of consecutive batches, of one form, as those of one; `None` where not all have some."""
    known = [one for one in labels if one is not None]
    if not known or len(known) < len(labels):
        return None
    parts = iter([torch.cat(column) for column in zip(*map(tensors, known), strict=True)])
    return map_labels(known[0], lambda _: next(parts))


def foremost(labels: Labels) -> tuple[str | None, torch.Tensor]:
    """The labels that samples are told apart by, and whose they are: one class a sample if there are such, else first.

    >>> foremost({"box": torch.zeros(2, 4), "class": torch.tensor([3, 1])})
    ('class', tensor([3, 1]))
    """
    if isinstance(labels, torch.Tensor):
        return None, labels
    return next(
        (one for one in labels.items() if one[1].dim() == 1 and not one[1].is_floating_point()),
        next(iter(labels.items())),
    )


def _part(column: Any, start: int, stop: int) -> Any:
    return PerSample(column[start:stop]) if isinstance(column, PerSample) else column[start:stop]


def _chosen(column: Any, order: torch.Tensor) -> Any:
    if isinstance(column, PerSample):
        return PerSample(column[place] for place in order.tolist())
    # column[order] wakes all of PyTorch's threads, which takes longer than the copying.
    return column.index_select(0, order.to(column.device))


def _joined(parts: Sequence[Any]) -> Any:
    return (
        PerSample(one for part in parts for one in part) if isinstance(parts[0], PerSample) else torch.cat(list(parts))
    )


class Source(Protocol):
    """Data that can be read more than once, in batches of a chosen size.

    Attributes:
        name: what the user typed, or the type of what the library was handed.
        samples: how many samples there are; `None` for a stream that has not said.
        own_batches: whether it makes its own batches, as a loader does.
        in_order: whether somebody chose its order: class folders are listed one after the other by anybody.
        hint: what to try where a model refuses them; empty where nothing is known.
    """

    name: str
    samples: int | None
    own_batches: bool
    in_order: bool
    hint: str

    @property
    def notes(self) -> tuple[Note, ...]:
        """What the reader of a report should know of them; reading them may add to it."""
        ...

    def batches(self, batch_size: int, *, seed: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """Batches of `batch_size` samples (the last may be smaller), mixed: drawn at random under `seed`.

        With `limit` that many samples are drawn. Sources with random access draw without replacement from
        all samples; streams go through a seeded reservoir or shuffle buffer (`bncheck.data.mixing`). The same
        seed gives the same batches.

        Raises:
            DataError: the data cannot be read, are empty, or the loader raised.
        """
        ...

    def given_batches(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, every: int = 1
    ) -> Iterator[Batch]:
        """Batches in the source's own order and, where it makes its own batches, of its own size.

        A loader that draws at random draws under `seed`. With `limit` they end after that many samples; with
        `every` only each such batch is given, from the first on, and what lies between is not read where there
        is random access.
        """
        ...
