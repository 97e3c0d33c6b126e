"""Pictures in 0..1 of which nets learn something: crops of photographs, noise as in nature, digits, clothes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

SIDE, NUMBER = 32, 2000
SCALES = (1, 2, 3, 4)
"""How often photographs are made smaller before they are cropped."""
COLOURED = 0.93
"""Correlation of the colours of noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Pictures with a class each.

    Attributes:
        name: in the table.
        x: pixels in 0..1, (N, C, H, W), red first.
        y: classes, (N,).
        beside: the name of others with as many channels.
    """

    name: str
    x: torch.Tensor
    y: torch.Tensor
    beside: str

    @property
    def channels(self) -> int:
        """Of each picture."""
        return self.x.shape[1]

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.y.max()) + 1


def pictures_named(name: str, seed: int, fashion: Path | None = None) -> Pictures:
    """The pictures of that name, drawn with that seed."""
    rng = np.random.default_rng(seed)
    if name == "photographs":
        return _photographs(rng)
    if name == "coloured noise":
        return _noise(rng)
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        x = torch.from_numpy(digits.images / 16).float().unsqueeze(1)
        return Pictures(name, x, torch.from_numpy(digits.target), "digits")
    with np.load((fashion or Path()) / "fashion_mnist_test10000.npz") as file:
        x, y = (file[key] for key in file.files[:2])
    chosen = rng.permutation(len(y))[:NUMBER]
    x = torch.from_numpy(x[chosen].reshape(-1, 1, 28, 28) / np.float32(255)).float()
    return Pictures(name, x, torch.from_numpy(y[chosen].astype(np.int64)), "Fashion-MNIST")


def _photographs(rng: np.random.Generator) -> Pictures:
    """Crops of two photographs, upright or upside down: four classes."""
    from sklearn.datasets import load_sample_images

    shots = [torch.from_numpy(shot / np.float32(255)).movedim(2, 0).float() for shot in load_sample_images().images]
    x, y = [], []
    for _ in range(NUMBER):
        which, turned, scale = int(rng.integers(2)), int(rng.integers(2)), int(rng.choice(SCALES))
        shot = torch.nn.functional.avg_pool2d(shots[which], scale) if scale > 1 else shots[which]
        top, left = (int(rng.integers(length - SIDE)) for length in shot.shape[1:])
        crop = shot[:, top : top + SIDE, left : left + SIDE]
        x.append(crop.flip(1) if turned else crop)
        y.append(2 * which + turned)
    return Pictures("photographs", torch.stack(x), torch.tensor(y), "coloured noise")


def _noise(rng: np.random.Generator) -> Pictures:
    """Noise whose power falls with the frequency as in nature, by a class's exponent, reds brighter than blues."""
    frequencies = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    frequencies[0, 0] = 1 / SIDE
    y = rng.integers(4, size=NUMBER)
    spectra = frequencies[None, None] ** -(0.8 + 0.2 * y[:, None, None, None])
    mixed = np.linalg.cholesky(np.full((3, 3), COLOURED) + (1 - COLOURED) * np.eye(3))
    white = np.fft.rfft2(np.einsum("dc,nchw->ndhw", mixed, rng.normal(size=(NUMBER, 3, SIDE, SIDE))))
    values = np.fft.irfft2(white * spectra, s=(SIDE, SIDE))
    values = 0.27 * values / values.std(axis=(1, 2, 3), keepdims=True)
    x = np.clip(values + np.array([0.48, 0.455, 0.41])[None, :, None, None], 0, 1)
    return Pictures("coloured noise", torch.from_numpy(x).float(), torch.from_numpy(y), "photographs")
