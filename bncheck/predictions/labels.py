"""The one check of labels: as class numbers, which of them count, and whether the model has such classes."""

from __future__ import annotations

from bncheck.errors import DataError
from bncheck.tensors import torch
from bncheck.vocabulary import argument

IGNORED_LABEL = 255
"""The usual label of pixels that are left out (void)."""

LARGEST_CLASS = 2**53
"""Beyond it floats skip whole numbers, and what is converted to one may come out as any other."""


def class_labels(labels: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """`labels` as class numbers where they are that: from whole floats, or from one-hot (soft) rows.

    Raises:
        DataError: beside scores of classes there is one that no class can have, 1e300 or infinity.
    """
    if not labels.is_floating_point():
        return labels
    if labels.shape == scores.shape and labels.dim() > 1 and labels.shape[1] > 1:
        return labels.argmax(1) if are_soft_rows(labels) else labels
    if labels.shape == scores.shape or not are_whole(labels):
        return labels
    beyond = labels[labels.abs() > LARGEST_CLASS]
    if not beyond.numel():
        return labels.long()
    if labels.dim() == 1 and scores.dim() == 2 and scores.shape[1] > 1:
        raise DataError(
            f"a label is {float(beyond[0]):g}, which no class can have: labels are class numbers from 0; give such "
            "labels, or leave them out."
        )
    return labels


def are_whole(labels: torch.Tensor) -> bool:
    """Whether every label is a whole number."""
    if labels.is_complex():
        return False
    return not labels.is_floating_point() or bool((labels == labels.round()).all())


def class_of_each(labels: torch.Tensor | None) -> torch.Tensor | None:
    """One class number per sample, (N,) int64; `None` where the labels are not that."""
    if labels is None or labels.dim() != 1 or not are_whole(labels):
        return None
    if labels.is_floating_point() and bool((labels.abs() > LARGEST_CLASS).any()):
        return None
    return labels.long()


def are_soft_rows(labels: torch.Tensor) -> bool:
    """Whether the labels are a distribution over classes on axis 1, one-hot or soft."""
    if labels.dim() < 2 or labels.shape[1] < 2 or not bool((labels >= 0).all()):
        return False
    sums = labels.sum(1)
    return torch.allclose(sums, torch.ones_like(sums)) if labels.is_floating_point() else bool((sums == 1).all())


def counted(labels: torch.Tensor) -> torch.Tensor:
    """Which class numbers count, in the shape of `labels`: negative ones are void, and on maps 255 is too."""
    known = labels >= 0
    return known & (labels != IGNORED_LABEL) if labels.dim() > 1 else known


def correct(predicted: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Which predictions are right, and which count at all; `None` where the shapes do not match.

    Both have the shape of `labels`; predictions whose label is to be ignored are neither.
    """
    if labels.is_floating_point() or predicted.shape != labels.shape:
        return None
    known = counted(labels)
    return (predicted == labels) & known, known


def require_classes(labels: torch.Tensor, classes: int) -> None:
    """Refuse class numbers, of those that count, which a model of so many classes does not have.

    Raises:
        DataError: there is one.
    """
    highest = highest_class(labels)
    if highest >= classes:
        raise DataError(
            f"the labels run up to {highest} but the model gives {classes} scores: labels are class "
            f"numbers from 0; give labels below {classes}, choose another {argument('output')}, say "
            f"{argument('task')} embeddings where these are no scores, or leave the labels out."
        )


def require_no_void(labels: torch.Tensor) -> None:
    """Refuse negative labels of single predictions, which only maps use, for what is to be left out.

    Raises:
        DataError: there is one.
    """
    if labels.dim() == 1 and labels.numel() and int(labels.min()) < 0:
        raise DataError(
            f"the labels go down to {int(labels.min())}: labels are class numbers from 0; give such labels, or leave "
            "them out."
        )


def highest_class(labels: torch.Tensor) -> int:
    """The highest class number among those that count; -1 without any."""
    known = labels[counted(labels)]
    return int(known.max()) if known.numel() else -1
