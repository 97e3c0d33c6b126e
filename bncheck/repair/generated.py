"""Pictures of noise that has the colours of photographs, fed as a network was fed in training: of no data at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from bncheck.data import Source, array_source
from bncheck.errors import UsageError
from bncheck.formats import Backend
from bncheck.settings import DataSettings
from bncheck.vocabulary import argument
from bncheck.weights import training_input_of

PICTURES = 256
"""Pictures that are generated: the means of noise are known to 0.02 standard deviations by then."""
NAME = "generated pictures (coloured noise)"
MEAN, STD = 0.45, 0.25
"""Mean and standard deviation of photographs in 0..1, over all channels (ImageNet 0.45, 0.27; CIFAR-10 0.47, 0.25)."""
_ALIKE = 0.9
"""Correlation of two colours at a pixel, in photographs."""
_CHANNELS = (1, 3)


def generated_source(model: Backend, reading: DataSettings, seed: int) -> Source:
    """Pictures as the model takes them, of the size that `resize` or `crop` says.

    They have the amplitude spectrum of natural images, 1/f (Field 1987), and colours that hang together. What the
    first layer of the model tells of its training input is their mean and spread; where its statistics are lost,
    `mean`, `std`, `scale` or a preset say how pixels in 0..1 are to be fed.

    Raises:
        UsageError: the model takes no pictures, or nobody says how large they are or how they are fed.
    """
    first = model.first_operation()
    channels = None if first is None or first.weight.ndim != 4 or first.transposed else first.weight.shape[1]
    if channels not in _CHANNELS:
        raise UsageError(
            f"{argument('data_free')} generates pictures in gray or in colour, and the first operation of {model.path} "
            f"takes none. Give data of any kind that it takes instead ({argument('data')})."
        )
    size = reading.crop if reading.crop is not None else reading.resize
    if size is None:
        raise UsageError(
            f"{argument('data_free')}: say how large the pictures are that the model is fed ({argument('resize')} 224, "
            f"or {argument('resize')} H,W)."
        )
    height, width = (size, size) if isinstance(size, int) else size
    noise = coloured_noise(PICTURES, (channels, height, width), seed)
    how = replace(reading, resize=None, crop=None, channels=None, preset=None, layout="auto")
    said = reading.with_preset()
    if said.normalizing:
        how = replace(how, mean=said.mean, std=said.std, scale=said.scale)
        return array_source(NAME, _as_fed(np.clip(MEAN + STD * noise, 0.0, 1.0)), how)
    fed = training_input_of(model)
    if fed is None:
        raise UsageError(
            f"{argument('data_free')}: how pictures were fed in training is not known from the weights of {model.path} "
            f"(the statistics of its first layer are lost, or tell too little). Say it with {argument('mean')}, "
            f"{argument('std')} and {argument('scale')}, or {argument('preset')} imagenet."
        )
    return array_source(NAME, _as_fed(_per_channel(fed.seen_mean) + fed.seen_std * noise), how)


def coloured_noise(number: int, shape: tuple[int, int, int], seed: int) -> npt.NDArray[np.float64]:
    """Pictures (N, C, H, W) of mean 0 and variance 1 over all, whose amplitudes fall as one over the frequency.

    Numerics: float64.
    """
    channels, height, width = shape
    random = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1.0 / max(height, width)  # the mean of a picture varies as its slowest wave does
    bright, apart = (
        np.fft.irfft2(np.fft.rfft2(random.standard_normal((number, count, height, width))) / frequency, (height, width))
        for count in (1, channels)
    )
    mixed = np.sqrt(_ALIKE) * bright + np.sqrt(1 - _ALIKE) * apart if channels > 1 else bright
    return np.asarray(mixed / max(float(mixed.std()), np.finfo(np.float64).tiny))


def _per_channel(values: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)[:, None, None]


def _as_fed(values: npt.NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
