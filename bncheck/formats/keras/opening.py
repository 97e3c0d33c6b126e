"""From a Keras file to its backend."""

from __future__ import annotations

from typing import Any

from bncheck.formats.backend import Backend
from bncheck.formats.digest import sha256_of
from bncheck.formats.format import Request
from bncheck.formats.keras.config import Node
from bncheck.formats.keras.model import KerasBackend
from bncheck.formats.keras.reading import KerasFile
from bncheck.formats.keras.running.rebuilt import Rebuilt
from bncheck.formats.keras.writing import KerasOrigin
from bncheck.results import ArgumentIgnored

_CONVOLUTION = "conv"


def open_keras(request: Request) -> Backend:
    """Read a file; with an architecture its model is built at once, otherwise when it is run.

    Raises:
        UsageError: h5py is not installed; the architecture cannot be imported, or is no Keras model.
        ModelError: the file is damaged or hostile, or does not fit the architecture.
    """
    rebuilt = Rebuilt(request)
    content = rebuilt.content
    return KerasBackend(
        path=str(request.path),
        format="keras",
        sha256=sha256_of(request.path),
        layers=rebuilt.layers(),
        origin=KerasOrigin(path=request.path, container=request.container, places=content.places),
        fixed_batch=_fixed_batch(content.nodes),
        has_convolutions=_has_convolutions(content),
        optimizer_steps=content.optimizer_steps,
        notes=(ArgumentIgnored("key", request.container.name),) if request.key else (),
        held=content.tensors,
        rebuilt=rebuilt,
    )


def _fixed_batch(nodes: tuple[Node, ...]) -> int | None:
    """The batch size that the model's own inputs are declared with."""
    for node in nodes:
        shape: Any = node.settings.get("batch_shape", node.settings.get("batch_input_shape"))
        if node.class_name == "InputLayer" and node.dotted == node.top and isinstance(shape, list) and shape:
            size = shape[0]
            return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None
    return None


def _has_convolutions(content: KerasFile) -> bool:
    if content.nodes:
        return any(_CONVOLUTION in node.class_name.lower() for node in content.nodes)
    return any(tensor.dim() in (4, 5) for tensor in content.tensors.values())
