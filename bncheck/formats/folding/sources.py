"""The weights that may feed a reference's layers, as its file holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bncheck.formats.folding.reference import Source
from bncheck.formats.tensors import channel_values, plain
from bncheck.tensors import torch


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What may feed a model's layers.

    Attributes:
        sources: its convolutions and linear layers.
        positions: where each name, of a layer or of a weight, stands in the model's own order.
    """

    sources: tuple[Source, ...] = ()
    positions: Mapping[str, int] = field(default_factory=dict)


def sources_of_tensors(tensors: Mapping[str, torch.Tensor]) -> Sources:
    """What among `tensors`, named as in a state dict, may be the weight of a convolution or of a linear layer."""
    positions: dict[str, int] = {}
    sources: list[Source] = []
    for number, (name, tensor) in enumerate(tensors.items()):
        module, _, leaf = name.rpartition(".")
        positions.setdefault(module, number)
        positions[name] = number
        if tensor.dim() >= 2 and tensor.is_floating_point():
            bias = tensors.get(f"{module}.bias" if module else "bias") if leaf == "weight" else None
            offset = None if bias is None or bias.dim() != 1 else channel_values(bias)
            sources.append(Source(name, plain(tensor).cpu().float().numpy(), bias=offset))
    return Sources(tuple(sources), positions)
