"""What is known of the values of an ONNX graph while it is followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from bncheck.core import FloatArray
from bncheck.formats.onnx.constants import Constants
from bncheck.formats.wiring.constants import per_channel
from bncheck.formats.wiring.drawing import Drawing
from bncheck.tensors import torch

_FLOATS = ("float16", "float32", "float64")


@dataclass(slots=True)
class Nodes:
    """A graph while it is followed.

    Attributes:
        drawing: the wiring so far.
        constants: of the graph.
        places: of the values that depend on what the graph is fed, by name.
    """

    drawing: Drawing
    constants: Constants
    places: dict[str, int] = field(default_factory=dict)

    def is_constant(self, node: onnx.NodeProto) -> bool:
        """Whether nothing that it is given depends on what the graph is fed."""
        return not any(name in self.places for name in node.input) and self.constants.value(node.output[0]) is not None

    def place(self, name: str) -> int:
        """Where a value stands in the drawing; a constant is nothing that is followed."""
        found = self.places.get(name)
        return self.drawing.lost() if found is None else found

    def channels(self, name: str) -> int | None:
        """How many channels a value has."""
        return self.drawing.channels[self.place(name)]

    def constant(self, node: onnx.NodeProto, number: int) -> npt.NDArray[Any] | None:
        """An input that is a constant; `None` where it is not, or not given."""
        if number >= len(node.input) or not node.input[number] or node.input[number] in self.places:
            return None
        return self.constants.value(node.input[number])

    def tensor(self, node: onnx.NodeProto, number: int) -> torch.Tensor | None:
        """An input of floats that is a constant, as PyTorch holds it."""
        found = self.constant(node, number)
        if found is None or found.dtype.name not in _FLOATS or not found.size:
            return None
        return torch.from_numpy(found if found.flags.writeable else np.array(found))

    def whole(self, node: onnx.NodeProto, number: int, attribute: str) -> tuple[int, ...] | None:
        """Whole numbers that are a constant input, or an attribute in older operator sets."""
        said = attributes_of(node).get(attribute)
        if isinstance(said, list | tuple):
            return tuple(int(one) for one in said)
        found = self.constant(node, number)
        return None if found is None or found.dtype.kind not in "iu" else tuple(int(one) for one in found.reshape(-1))

    def per_channel(self, node: onnx.NodeProto, number: int, channels: int | None) -> FloatArray | None:
        """An input that is a constant, as one number or one per channel."""
        found = self.constant(node, number)
        return None if found is None else per_channel(found, channels)


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
