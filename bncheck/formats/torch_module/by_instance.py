"""InstanceNorm of a module made to normalize by the instance in evaluation too, as `track_running_stats=False` does."""

from __future__ import annotations

from collections.abc import Collection

from bncheck.errors import ModelError
from bncheck.formats.torch_module.listing import class_name
from bncheck.tensors import torch
from bncheck.vocabulary import with_article

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""What such a layer has no use for, and its state dict no place."""


def forget_statistics(module: torch.nn.Module, layers: Collection[str]) -> None:
    """Have these layers of a module that is our own normalize by the instance, as if built so.

    Raises:
        ModelError: one is of a class that PyTorch has not, so that what it does without statistics is not known.
    """
    for name in layers:
        layer = module.get_submodule(name)
        if not isinstance(layer, torch.nn.modules.instancenorm._InstanceNorm):
            raise ModelError(
                f"{name} is {with_article(class_name(layer))}, and what such a class does without statistics is not "
                "known: build it to normalize by instance, leave its running_mean and running_var out of the file, and "
                "inspect that."
            )
        layer.track_running_stats = False
        for role in STATISTICS:
            layer._buffers[role] = None
