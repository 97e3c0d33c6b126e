"""What every kind of task answers about outputs and labels."""

from __future__ import annotations

from typing import Protocol

from bncheck.tensors import torch

EMPTY = -1
"""The group of the samples in which there is nothing to find."""


class Task(Protocol):
    """One kind of task: what its outputs and labels look like, and how good each sample's prediction is.

    Outputs are (N, ...) floats, labels (N, ...). Scores and losses are float64 of shape (N,), NaN for a sample of
    which nothing counts (all of its labels are to be ignored); an output that is not a number is scored as the
    worst there is, and never as nothing.

    Attributes:
        name: what chooses it.
        score_name: what the score is called where it is printed.
        larger_is_better: whether a larger score is better; losses are better when smaller.
        unit: what losses are divided by, 1 unless they are relative; two shards of data settle it each by their own.
        has_scale: whether a difference of 0.01 between scores means the same in any model.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  # see Attributes

    @property
    def score_name(self) -> str: ...  # noqa: D102

    @property
    def larger_is_better(self) -> bool: ...  # noqa: D102

    @property
    def unit(self) -> float: ...  # noqa: D102

    @property
    def has_scale(self) -> bool: ...  # noqa: D102

    def fits(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> bool:
        """Whether outputs and labels look like this kind and like no other."""
        ...

    def matches(self, outputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """Whether their shapes alone let this kind score them, as those of a later batch must."""
        ...

    def settled(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> Task:
        """The same task with what the first batch decides: whether outputs are probabilities, the unit of losses."""
        ...

    def groups(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """Numbers (N,) of groups whose mean scores count alike, however many samples are in each; `None` for one.

        A group of `EMPTY` samples may be left out where it is too small to judge by.
        """
        ...

    def scores(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """How good each sample's prediction is, shape (N,)."""
        ...

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """How bad each sample's output is, shape (N,), finite: finer than the score, which only counts."""
        ...

    def predicted(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """What counts as the prediction when asked how many change, (N, ...); `None` where outputs are no decisions."""
        ...


def per_sample(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """The mean over each sample's values that count, (N,) float64; NaN where none does.

    >>> per_sample(torch.tensor([[1.0, 3.0], [5.0, 7.0]]), torch.tensor([[True, True], [False, False]]))
    tensor([2., nan], dtype=torch.float64)
    """
    kept = torch.where(known, values, torch.zeros((), dtype=values.dtype))
    sums, number = (one.reshape(len(one), -1).sum(1, dtype=torch.float64) for one in (kept, known))
    return sums / number  # 0 / 0 is NaN, as it should be


def squeezed(labels: torch.Tensor, shape: torch.Size) -> torch.Tensor | None:
    """`labels` in `shape`, where they differ from it by axes of length 1 alone; else `None`."""
    own, wanted = ([size for size in one if size != 1] for one in (labels.shape, shape))
    return labels.reshape(shape) if labels.shape[:1] == shape[:1] and own == wanted else None
