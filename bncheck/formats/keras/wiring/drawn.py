"""The wiring of a Keras model, by its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bncheck.formats.keras.config import inner_layers, is_serialized, settings_of
from bncheck.formats.keras.places import Owner
from bncheck.formats.keras.wiring.layers import Called, meaning_of
from bncheck.formats.wiring.drawing import UNREADABLE, Drawing
from bncheck.formats.wiring.steps import Fed, Wiring
from bncheck.tensors import torch

_DEEPEST = 60
_History = tuple[str, int]
"""A layer's name, and which of its calls."""


def wiring_of_keras(config: Any, owners: Sequence[Owner], tensors: Mapping[str, torch.Tensor]) -> Wiring | None:
    """What feeds what; `None` where the configuration does not say, as that of somebody's own class.

    Args:
        config: of the model.
        owners: the layers that its weights are filed under.
        tensors: by their names.
    """
    if not is_serialized(config) or inner_layers(settings_of(config)) is None:
        return None
    drawing = Drawing()
    named = {owner.node.dotted: owner for owner in owners if owner.node is not None}
    reader = _Reader(drawing, named, tensors)
    try:
        reader.model(config, "", [drawing.put(Fed())], 0)
    except UNREADABLE:  # a configuration that is no Keras's
        return None
    return drawing.finished()


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Follows models through their layers.

    Attributes:
        drawing: the wiring so far.
        owners: layers by their dotted names in the configuration.
        tensors: by their names.
    """

    drawing: Drawing
    owners: Mapping[str, Owner]
    tensors: Mapping[str, torch.Tensor]

    def model(self, config: Mapping[str, Any], dotted: str, given: Sequence[int], depth: int) -> int:
        """Where what a model gives stands, of what it is given."""
        settings = settings_of(config)
        layers = inner_layers(settings) or []
        if depth > _DEEPEST:
            return self.drawing.lost()
        if not any("inbound_nodes" in layer for layer in layers):
            place = given[0]
            for layer in layers:
                place = self._called(layer, dotted, [place], depth)
            return place
        return self._graph(settings, layers, dotted, given, depth)

    def _graph(
        self,
        settings: Mapping[str, Any],
        layers: Sequence[Mapping[str, Any]],
        dotted: str,
        given: Sequence[int],
        depth: int,
    ) -> int:
        """A functional model, whose layers say what they are given."""
        values: dict[_History, int] = {}
        fed = [name for name, _ in _histories(settings.get("input_layers"))]
        for name, place in zip(fed, given, strict=False):
            values[name, 0] = place
        pending = [(layer, number, arguments) for layer in layers for number, arguments in enumerate(_calls(layer))]
        while pending:
            left = []
            for layer, number, arguments in pending:
                sources = list(_histories(arguments))
                if not all(source in values for source in sources):
                    left.append((layer, number, arguments))
                    continue
                name = str(layer.get("name", settings_of(layer).get("name")))
                places = [values[source] for source in sources]
                values[name, number] = self._called(layer, dotted, places, depth, arguments)
            if len(left) == len(pending):
                break
            pending = left
        results = list(_histories(settings.get("output_layers")))
        found = values.get(results[0]) if results else None
        return self.drawing.lost() if found is None else found

    def _called(
        self, layer: Mapping[str, Any], dotted: str, sources: Sequence[int], depth: int, arguments: Any = None
    ) -> int:
        settings = settings_of(layer)
        own = str(layer.get("name", settings.get("name", "")))
        inner = f"{dotted}.{own}" if dotted else own
        if layer["class_name"] == "InputLayer":
            return sources[0] if sources else self.drawing.put(Fed())
        if not sources:
            return self.drawing.lost()
        if inner_layers(settings) is not None:
            return self.model(layer, inner, sources, depth + 1)
        owner = self.owners.get(inner)
        name = inner if owner is None else owner.dotted
        called = Called(layer["class_name"], name, settings, tuple(sources), self.tensors, _is_keras(layer), arguments)
        return meaning_of(self.drawing, called)


def _is_keras(layer: Mapping[str, Any]) -> bool:
    """Whether a layer's class is Keras' own, by the module that is named; older files name none."""
    module, registered = layer.get("module"), layer.get("registered_name")
    by_module = module is None or (isinstance(module, str) and module.partition(".")[0] == "keras")
    return by_module and registered in (None, layer["class_name"])


def _calls(layer: Mapping[str, Any]) -> list[Any]:
    """What a layer is given, by call."""
    found = layer.get("inbound_nodes")
    return found if isinstance(found, list) else []


def _histories(arguments: Any) -> Iterator[_History]:
    """The values that are named in arguments: by Keras 3 as tensors with a history, by Keras 2 as lists."""
    if isinstance(arguments, Mapping):
        if arguments.get("class_name") == "__keras_tensor__":
            name, call, _ = arguments["config"]["keras_history"]
            yield str(name), int(call)
            return
        for value in arguments.values():
            yield from _histories(value)
    elif isinstance(arguments, list | tuple):
        is_one = len(arguments) in (3, 4) and isinstance(arguments[0], str) and isinstance(arguments[1], int)
        if is_one:
            yield arguments[0], arguments[1]
            return
        for value in arguments:
            yield from _histories(value)
