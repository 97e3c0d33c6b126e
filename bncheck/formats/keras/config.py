"""The tree of a configuration: each layer's class, name and settings, and where Keras 3 files its weights.

Keras 3 walks the attributes of a model and names what stands in a list by its class and a count: the second Conv2D of a
functional model is `layers/conv2d_1`, whatever it is called.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.errors import ModelError

_DEEPEST = 60
"""Models within models."""
_NO_LAYERS = ("Policy", "Initializer", "Regularizer", "Constraint")
_OF_OTHERS = ("initializers", "regularizers", "constraints", "dtype_policies", "optimizers", "losses", "metrics")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One layer, or model, of a configuration.

    Attributes:
        class_name: of its class.
        is_own: the class is one of Keras' own, by the module that is named.
        name: as its owner knows it.
        dotted: the same behind those of the models around it, `backbone.stem_bn`.
        path: where Keras 3 files its weights, the root as `""`.
        top: the name of the layer of the whole model that it belongs to.
        settings: its constructor's.
    """

    class_name: str
    is_own: bool
    name: str
    dotted: str
    path: str
    top: str
    settings: Mapping[str, Any]


def nodes_of(config: Any, path: Path) -> tuple[Node, ...]:
    """Every layer and model of a configuration, those around others first.

    Raises:
        ModelError: it is no model's.
    """
    if not is_serialized(config):
        raise ModelError(f"{path}: its configuration is no model's. Save the model again.")
    return tuple(_walk(config, "", "", "", 0, path))


def is_serialized(value: Any) -> bool:
    """Whether it is an object as Keras writes one."""
    return isinstance(value, Mapping) and isinstance(value.get("class_name"), str) and "config" in value


def settings_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The constructor's arguments; those of an old Sequential are the list of its layers."""
    settings = config["config"]
    if isinstance(settings, list):
        return {"layers": settings}
    return settings if isinstance(settings, Mapping) else {}


def inner_layers(settings: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The layers of a model; `None` for what has none."""
    found = settings.get("layers")
    return [one for one in found if is_serialized(one)] if isinstance(found, list) else None


def snake_case(class_name: str) -> str:
    """`batch_normalization` for `BatchNormalization`, as Keras spells it in its files."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def counted(name: str, used: Counter[str]) -> str:
    """The name in a list in which `used` have stood before: `conv2d`, then `conv2d_1`."""
    used[name] += 1
    return name if used[name] == 1 else f"{name}_{used[name] - 1}"


def _walk(config: Mapping[str, Any], dotted: str, path: str, top: str, depth: int, file: Path) -> Iterator[Node]:
    if depth > _DEEPEST:
        raise ModelError(f"{file} nests models deeper than {_DEEPEST} levels: it was made up, and was not read.")
    settings = settings_of(config)
    own_name = _name(config, settings)
    yield Node(config["class_name"], _is_own(config), own_name, dotted, path, top, settings)
    for child, where in _children(settings):
        name = _name(child, settings_of(child))
        inner = f"{dotted}.{name}" if dotted else name
        yield from _walk(child, inner, f"{path}/{where}".lstrip("/"), top or name, depth + 1, file)


def _children(settings: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """What stands in it, with the rest of its path."""
    layers = inner_layers(settings)
    if layers is not None:
        yield from _listed(layers, "layers")
        return
    for key, value in settings.items():
        if _is_layer(value):
            yield value, key
        elif isinstance(value, list):
            yield from _listed([one for one in value if _is_layer(one)], key)


def _listed(layers: list[Mapping[str, Any]], key: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    used: Counter[str] = Counter()
    for layer in layers:
        yield layer, f"{key}/{counted(snake_case(layer['class_name']), used)}"


def _is_layer(value: Any) -> bool:
    if not is_serialized(value) or value["class_name"].endswith(_NO_LAYERS):
        return False
    module = value.get("module")
    return "name" in settings_of(value) and not (isinstance(module, str) and module.endswith(_OF_OTHERS))


def _name(config: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    name = settings.get("name", config.get("name"))
    return name if isinstance(name, str) and name else snake_case(config["class_name"])


def _is_own(config: Mapping[str, Any]) -> bool:
    module, registered = config.get("module"), config.get("registered_name")
    by_module = module is None or (isinstance(module, str) and module.partition(".")[0] == "keras")
    return by_module and registered in (None, config["class_name"])
