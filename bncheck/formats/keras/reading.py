"""A Keras file as values: its tensors by name, its layers, its configuration."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.core import NormLayer
from bncheck.errors import ModelError
from bncheck.formats.format import Container
from bncheck.formats.keras import KERAS_ARCHIVE
from bncheck.formats.keras.archive import parsed, read_archive
from bncheck.formats.keras.config import Node, nodes_of
from bncheck.formats.keras.hdf5 import Tree, checked_tree, tensor_of, text_at
from bncheck.formats.keras.layers import layer_of, leaves_of
from bncheck.formats.keras.places import Owner, is_legacy, is_numbered, legacy_groups, legacy_owners, numbered_owners
from bncheck.formats.messages import first_line
from bncheck.formats.tensors import whole_number
from bncheck.tensors import torch

_STEPS = ("optimizer/vars/0", "optimizer_weights/iteration", "optimizer_weights/iter")


@dataclass(frozen=True, slots=True, eq=False)
class KerasFile:
    """What a file holds.

    Attributes:
        config: the configuration of the model; `None` for weights alone.
        nodes: its layers.
        owners: the layers that the weights are filed under.
        layers: those that normalize.
        tensors: by their names, `stem_bn.running_mean`.
        places: the path of each in the HDF5 file.
        legacy: of a file of Keras 1 or 2, paths of the weights of each layer of the whole model, in order.
        optimizer_steps: how often the optimizer has stepped; `None` where the file does not say.
        size: bytes of the HDF5 file.
    """

    config: Any
    nodes: tuple[Node, ...]
    owners: tuple[Owner, ...]
    layers: tuple[NormLayer, ...]
    tensors: Mapping[str, torch.Tensor]
    places: Mapping[str, str]
    legacy: Mapping[str, tuple[str, ...]] | None
    optimizer_steps: int | None
    size: int


def read_keras(path: Path, container: Container, nodes: tuple[Node, ...] | None = None) -> KerasFile:
    """Read a file; nothing that it names is imported, followed or run.

    Args:
        path: the file.
        container: what it is.
        nodes: its layers, where they are known from elsewhere than its configuration.

    Raises:
        UsageError: h5py is not installed.
        ModelError: the file is damaged, hostile, or HDF5 of another program.
    """
    try:
        if container == KERAS_ARCHIVE:
            config, weights = read_archive(path)
            return _read(io.BytesIO(weights), len(weights), config, path, nodes)
        with path.open("rb") as file:
            return _read(file, path.stat().st_size, None, path, nodes)
    except (RuntimeError, OSError, KeyError, ValueError, TypeError, OverflowError) as error:  # of HDF5's own
        raise ModelError(
            f"{path} cannot be read as HDF5: {first_line(error)}. Is it complete? Copy or download it again."
        ) from error


def _read(file: Any, size: int, config: Any, path: Path, nodes: tuple[Node, ...] | None) -> KerasFile:
    tree = checked_tree(file, size, path)
    with tree.root:
        legacy = is_legacy(tree)
        if not legacy and not is_numbered(tree):
            raise ModelError(f"{path} is an HDF5 file, and not one that Keras wrote; bncheck knows no other.")
        said = text_at(tree.root, "model_config") if config is None else None
        config = parsed(said, path) if said is not None else config
        if nodes is None:
            nodes = () if config is None else nodes_of(config, path)
        owners = legacy_owners(tree, nodes) if legacy else numbered_owners(tree, nodes)
        held = {at: tensor_of(tree.datasets[at], path) for owner in owners for at in owner.datasets}
        places = {
            f"{owner.dotted}.{leaf}".lstrip("."): at
            for owner in owners
            for leaf, at in zip(leaves_of(owner, held), owner.datasets, strict=True)
        }
        return KerasFile(
            config=config,
            nodes=nodes,
            owners=owners,
            layers=tuple(layer for owner in owners if (layer := layer_of(owner, held)) is not None),
            tensors={name: held[at] for name, at in places.items()},
            places=places,
            legacy=legacy_groups(tree) if legacy else None,
            optimizer_steps=_steps(tree, path),
            size=size,
        )


def _steps(tree: Tree, path: Path) -> int | None:
    """The optimizer's count of its steps, wherever the version that wrote the file has it."""
    named = (at for at in tree.datasets if at.startswith("optimizer_weights/") and at.split("/")[-1].startswith("iter"))
    at = next((at for at in (*_STEPS, *named) if at in tree.datasets), None)
    if at is None or tree.datasets[at].shape != ():
        return None
    return whole_number(tensor_of(tree.datasets[at], path))
