"""Wrong batch norm kernels, registered with torch's own dispatcher, below anything that bncheck watches."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator

import torch

Kernel = Callable[..., torch.Tensor]


def right(x, weight, bias, mean, var, eps):
    """The formula itself."""
    shape = (1, -1, *[1] * (x.dim() - 2))
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
    scale = weight / torch.sqrt(var + eps)
    return ((x - mean.view(shape)) * scale.view(shape) + bias.view(shape)).to(x.dtype)


def one_channel_off(x, weight, bias, mean, var, eps):
    y = right(x, weight, bias, mean, var, eps)
    y[:, 1] += 1e-3
    return y


def last_position_off(x, weight, bias, mean, var, eps):
    """As where the end of a vector is not full."""
    y = right(x, weight, bias, mean, var, eps).contiguous()
    y.view(*y.shape[:2], -1)[:, :, -1] = 0
    return y


def last_sample_off(x, weight, bias, mean, var, eps):
    y = right(x, weight, bias, mean, var, eps)
    y[-1] *= 1.001
    return y


def eps_outside_the_root(x, weight, bias, mean, var, eps):
    return right(x, weight, bias, mean, (torch.sqrt(var) + eps) ** 2, 0.0)


def without_bias(x, weight, bias, mean, var, eps):
    return right(x, weight, None, mean, var, eps)


def channels_swapped(x, weight, bias, mean, var, eps):
    return right(x, weight, bias, mean.flip(0), var, eps)


def parameters_in_half(x, weight, bias, mean, var, eps):
    """In float32 layers: rounded on the way."""
    return right(x, weight, bias, mean.half().float(), var, eps)


WRONG = [
    one_channel_off,
    last_position_off,
    last_sample_off,
    eps_outside_the_root,
    without_bias,
    channels_swapped,
    parameters_in_half,
]


@contextlib.contextmanager
def installed(kernel: Kernel) -> Iterator[list[torch.Size]]:
    """Batch norm by stored statistics goes through `kernel` on the CPU; gives the shapes of what it was fed."""
    fed = []

    def native_batch_norm(x, weight, bias, mean, var, training, momentum, eps):
        fed.append(x.shape)
        if training:
            y = right(x, weight, bias, x.mean((0, *range(2, x.dim()))), x.var((0, *range(2, x.dim()))), eps)
        else:
            y = kernel(x, weight, bias, mean, var, eps)
        return y, x.new_empty(0), x.new_empty(0)

    def decomposed(x, weight, bias, mean, var, momentum, eps):
        return native_batch_norm(x, weight, bias, mean, var, False, momentum, eps)

    with torch.library._scoped_library("aten", "IMPL") as library:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a kernel is being replaced, on purpose
            library.impl("native_batch_norm", native_batch_norm, "CPU")
            library.impl("_native_batch_norm_legit_no_training", decomposed, "CPU")
        yield fed
