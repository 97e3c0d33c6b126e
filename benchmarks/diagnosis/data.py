"""The data: scikit-learn's digits, gray and tinted, and Fashion-MNIST where its folder is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Images (N, C, H, W) in 0..1 with labels: what a net is trained on, and others it is judged on."""

    name: str
    x: torch.Tensor
    y: torch.Tensor
    x_held: torch.Tensor
    y_held: torch.Tensor

    @property
    def channels(self) -> int:
        """C."""
        return int(self.x.shape[1])


def digits() -> Task:
    """1,200 of the 1,797 digits to train on, 597 to judge."""
    from sklearn.datasets import load_digits  # which loads SciPy: most who come by want the names of tasks alone

    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    y = torch.tensor(labels)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(y)))
    x, y = x[order], y[order]
    return Task("digits", x[:1200], y[:1200], x[1200:], y[1200:])


def tinted_digits() -> Task:
    """Digits whose colour goes with the class, as colours of real things do: red is not blue."""
    gray = digits()
    hues = torch.tensor(np.random.default_rng(1).uniform(0.2, 1.0, (10, 3)), dtype=torch.float32)
    hues[:, 0] = 0.9  # reddish, all of them, so that the order of the channels means something
    hues[:, 2] *= 0.4

    def tint(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * hues[y][:, :, None, None]

    return Task("tinted", tint(gray.x, gray.y), gray.y, tint(gray.x_held, gray.y_held), gray.y_held)


def fashion(folder: Path, train: int = 12000, held: int = 10000) -> Task:
    """Fashion-MNIST, a part of its training set and its test set."""
    parts = []
    for name, number in (("fashion_mnist_train60000.npz", train), ("fashion_mnist_test10000.npz", held)):
        with np.load(folder / name) as arrays:
            x = torch.from_numpy(arrays["x"][:number]).float().reshape(-1, 1, 28, 28) / 255
            parts += [x, torch.from_numpy(arrays["y"][:number]).long()]
    return Task("fashion", *parts)


def task_named(name: str, folder: Path | None) -> Task:
    """`digits`, `tinted`, or `fashion` from its folder."""
    if name == "fashion":
        if folder is None:
            raise ValueError("Fashion-MNIST needs its folder")
        return fashion(folder)
    return {"digits": digits, "tinted": tinted_digits}[name]()
