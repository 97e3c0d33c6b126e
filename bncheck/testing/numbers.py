"""What a network's normalization layers are fed, by plain PyTorch in float64: nothing here is shared with a session."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LayerNumbers:
    """What one layer is fed, mean and population variance per channel, shape (C,).

    Attributes:
        name: of the layer.
        mean, var: as the network is shipped.
        batch_mean, batch_var: while every layer normalizes by the batch.
    """

    name: str
    mean: FloatArray
    var: FloatArray
    batch_mean: FloatArray
    batch_var: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceNumbers:
    """What a network does with one batch.

    Attributes:
        inputs: the batch, shape (N, ...), float32.
        outputs: what it gives as shipped.
        batch_outputs: what it gives while every layer normalizes by the batch.
        layers: its layers with statistics, in the order in which they run.
    """

    inputs: npt.NDArray[np.float32]
    outputs: FloatArray
    batch_outputs: FloatArray
    layers: tuple[LayerNumbers, ...]


def reference_numbers(network: nn.Module, inputs: npt.ArrayLike) -> ReferenceNumbers:
    """The numbers of a network whose normalization layers are PyTorch's own BatchNorm, each called once.

    Args:
        network: is left as it is; a copy is run in float64.
        inputs: one batch, shape (N, ...).
    """
    batch = np.asarray(inputs, dtype=np.float32)
    outputs, fed = _forward(network, batch, by_batch=False)
    batch_outputs, batch_fed = _forward(network, batch, by_batch=True)
    layers = (LayerNumbers(name, *_moments(fed[name]), *_moments(batch_fed[name])) for name in fed)
    return ReferenceNumbers(batch, outputs, batch_outputs, tuple(layers))


def _forward(
    network: nn.Module, batch: npt.NDArray[np.float32], *, by_batch: bool
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """What a copy gives, and what each of its layers is fed, in running order."""
    own = copy.deepcopy(network).eval().double()
    fed: dict[str, FloatArray] = {}
    for name, layer in _norms(own):
        layer.train(by_batch)
        layer.register_forward_pre_hook(partial(_keep, fed, name))
    with torch.no_grad():
        output = own(torch.from_numpy(batch).double())
    return output.numpy(), fed


def _keep(fed: dict[str, FloatArray], name: str, layer: nn.Module, args: tuple[Any, ...]) -> None:
    fed[name] = args[0].numpy().copy()


def _norms(network: nn.Module) -> Iterator[tuple[str, _BatchNorm]]:
    yield from ((name, layer) for name, layer in network.named_modules() if isinstance(layer, _BatchNorm))


def _moments(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    axes = (0, *range(2, x.ndim))
    return x.mean(axes), x.var(axes)
