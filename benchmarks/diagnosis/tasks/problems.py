"""Synthetic problems of every kind of task: endless samples that a small net learns in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

SIDE, CLASSES = 12, 6
LENGTHS = (20, 64)

Drawn = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Samples, what a net is trained by, and how good each of its outputs is.

    Attributes:
        name: of the task, as the page has it.
        draw: gives n samples, inputs (n, C, ...) and labels.
        loss: that the net is trained by.
        score: of each sample, (n,), 1 at the best.
        uneven: samples are of unlike lengths, and only `length` of each counts; they are fed one by one.
    """

    name: str
    draw: Callable[[int, torch.Generator], Drawn]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    uneven: bool = False


def _noise(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator)


def _templates(channels: int = 1, side: int = SIDE) -> torch.Tensor:
    """A smooth pattern for each class, the same for every seed."""
    coarse = _noise(torch.Generator().manual_seed(1), CLASSES, channels, 4, 4)
    return nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


def _textures(chosen: torch.Tensor, generator: torch.Generator, spread: float = 1.6) -> torch.Tensor:
    """Patterns in noise, shifted by a few pixels and of unlike contrast, in roughly 0..1."""
    images = _templates(3)[chosen]
    shifts = torch.randint(-2, 3, (len(chosen), 2), generator=generator)
    moved = torch.stack([one.roll((int(a), int(b)), (1, 2)) for one, (a, b) in zip(images, shifts, strict=True)])
    contrast = 0.7 + 0.6 * torch.rand(len(chosen), 1, 1, 1, generator=generator)
    return 0.5 + 0.2 * (contrast * moved + spread * _noise(generator, *images.shape))


def classes(number: int, generator: torch.Generator) -> Drawn:
    """Which of six patterns an image shows."""
    y = torch.randint(CLASSES, (number,), generator=generator)
    return _textures(y, generator), y


def lesions(number: int, generator: torch.Generator) -> Drawn:
    """A small bright spot, under 1 % of the pixels, among wider ones that are healthy; one image in five has none."""
    side = 16
    coarse = _noise(generator, number, 1, 5, 5)
    x = 0.4 + 0.1 * nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")
    y = torch.zeros(number, side, side, dtype=torch.long)
    row, column = torch.randint(1, side - 2, (2, number), generator=generator)
    has_one, sample = (torch.rand(number, generator=generator) < 0.8).long(), torch.arange(number)
    for below in (0, 1):
        y[sample, row + below, column] = has_one
    x = x + 0.35 * y[:, None]
    return x + 0.08 * _noise(generator, *x.shape), y


def mask(number: int, generator: torch.Generator) -> Drawn:
    """The same as a map of yes and no, (n, 1, H, W)."""
    x, y = lesions(number, generator)
    return x, y[:, None].float()


def attributes(number: int, generator: torch.Generator) -> Drawn:
    """Which of six patterns lie over each other in an image; each is in one image of five."""
    y = (torch.rand(number, CLASSES, generator=generator) < 0.2).float()
    x = torch.einsum("nk,kchw->nchw", y, _templates(3))
    return 0.5 + 0.2 * (x + 1.2 * _noise(generator, *x.shape)), y


def places(number: int, generator: torch.Generator) -> Drawn:
    """Where a spot is, and how wide: three numbers."""
    y = torch.rand(number, 3, generator=generator)
    rows = torch.arange(SIDE, dtype=torch.float32)
    row, column = (2 + 8 * y[:, at, None] for at in (0, 1))
    width = 1 + y[:, 2, None, None]
    squares = (rows - row).square()[:, :, None] + (rows - column).square()[:, None, :]
    x = torch.exp(-squares / (2 * width**2))[:, None]
    return 0.2 + x + 0.1 * _noise(generator, *x.shape), 10 * y


def clean(number: int, generator: torch.Generator) -> Drawn:
    """The image without its noise."""
    chosen = torch.randint(CLASSES, (number,), generator=generator)
    y = _textures(chosen, generator, spread=0.0)
    return y + 0.15 * _noise(generator, *y.shape), y


def waves(number: int, generator: torch.Generator, length: int | None = None) -> Drawn:
    """Which of six rhythms a recording of two channels has; of one length."""
    y = torch.randint(CLASSES, (number,), generator=generator)
    steps = torch.arange(length or LENGTHS[1], dtype=torch.float32)
    rate = (0.25 + 0.2 * y)[:, None]
    phase = 6.3 * torch.rand(number, 1, generator=generator)
    carrier = torch.stack([torch.sin(rate * steps + phase), torch.sin(2 * rate * steps - phase)], 1)
    return 0.3 + carrier + 1.5 * _noise(generator, *carrier.shape), y


def padded(number: int, generator: torch.Generator) -> Drawn:
    """Recordings of unlike lengths, zeros behind them."""
    x, y = waves(number, generator)
    lengths = torch.randint(LENGTHS[0], LENGTHS[1] + 1, (number, 1, 1), generator=generator)
    return x.masked_fill(torch.arange(LENGTHS[1]) >= lengths, 0.0), y


def table(number: int, generator: torch.Generator) -> Drawn:
    """Rare yes or no by twenty numbers of unlike units."""
    x = _noise(generator, number, 20)
    yes = x[:, 0] * x[:, 1] + x[:, 2] + 0.5 * x[:, 3:6].sum(1) + 0.2 * _noise(generator, number) > 2.2
    return x * torch.linspace(0.2, 3.0, 20) + torch.linspace(-1.0, 2.0, 20), yes.float()[:, None]


def rights(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """1 where the class is right."""
    return (outputs.argmax(1) == labels).double()


def dice(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Dice of the spot in each image, 1 where neither says any."""
    says, true = (one.flatten(1) for one in (_foreground(outputs), labels > 0.5))
    both, either = (says & true).sum(1).double(), (says.sum(1) + true.sum(1)).double()
    return torch.where(either > 0, 2 * both / either.clamp(min=1), torch.ones_like(either))


def _foreground(outputs: torch.Tensor) -> torch.Tensor:
    return outputs > 0 if outputs.shape[1] != 2 else outputs[:, 1:] > outputs[:, :1]


def determination(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """1 less the relative squared error."""
    return 1 - (outputs - labels).square().flatten(1).mean(1).double() / labels.double().var()


def balanced(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """1 where the decision is right, weighed so that yes and no count alike."""
    right, yes = ((outputs > 0) == (labels > 0.5)).double().flatten(), (labels > 0.5).flatten()
    share = yes.double().mean()
    return torch.where(yes, right / (2 * share), right / (2 * (1 - share)))


def weighted_cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy in which the rare class weighs five times."""
    return nn.functional.cross_entropy(outputs, labels, weight=torch.tensor([1.0, 5.0]))


def weighted_yes_no(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy in which yes weighs five times: a net that always says no has nothing to lose."""
    return nn.functional.binary_cross_entropy_with_logits(outputs, labels, pos_weight=torch.tensor(5.0))


_CE, _BCE = nn.functional.cross_entropy, nn.functional.binary_cross_entropy_with_logits

PROBLEMS = {
    "classes": Problem("classes", classes, _CE, rights),
    "rare segment": Problem("segmentation, rare class", lesions, weighted_cross_entropy, dice),
    "rare mask": Problem("segmentation, one logit", mask, weighted_yes_no, dice),
    "multi-label": Problem("multi-label", attributes, _BCE, dice),
    "numbers": Problem("regression", places, nn.functional.mse_loss, determination),
    "images": Problem("images to images", clean, nn.functional.mse_loss, determination),
    "padded": Problem("padded sequences", padded, _CE, rights),
    "uneven": Problem("sequences one by one", waves, _CE, rights, uneven=True),
    "rare yes": Problem("rare yes or no", table, weighted_yes_no, balanced),
}
