"""From the placeholder of a module to a module: its names, its tensors, and the facts of each layer.

A class of PyTorch's own whose forward is PyTorch's becomes itself. Every other class becomes a `ForeignModule`, which
has names, tensors and numbers, and cannot be run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bncheck.errors import ModelError
from bncheck.formats.pickles.modules.standard import standard_module
from bncheck.formats.pickles.placeholders import ForeignObject

_DEEPEST = 100
_MOST_NAMES = 500_000
_WRAPPERS = {
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
}
_FACTS = ("eps", "epsilon", "momentum", "num_features", "num_channels", "normalized_shape")
"""Attributes that are kept of a class that nobody knows: numbers, and shapes."""
_OF_BATCH_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")
"""What a class has that PyTorch's own are the base of."""


class ForeignModule(nn.Module):
    """A module of a class that was not imported.

    Attributes:
        original_name: its class.
        full_name: with the module that defines it.
    """

    original_name: str
    full_name: str

    def forward(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: what it computes stands in code that was not imported."""
        raise ModelError(f"{self.full_name} was read as data and cannot be run.")


class ForeignBatchNorm(ForeignModule, _BatchNorm):
    """The same of a class that has every attribute of PyTorch's batch normalization, and so is one."""

    def __init__(self) -> None:
        nn.Module.__init__(self)


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many names a module has in all, and tensors."""

    names: int
    tensors: int


class ModuleBuilder:
    """Builds the modules that a file's placeholders tell of, every part once, however many names and owners it has."""

    def __init__(self) -> None:
        self._built: dict[int, nn.Module] = {}
        self._within: set[int] = set()
        self._counts: dict[int, _Counts] = {}

    def model(self, found: ForeignObject) -> nn.Module | None:
        """The module, with the tensors of the file; `None` where it has none: losses and metrics are no models.

        Raises:
            ModelError: it holds itself, is nested deeper than any network, or has the same parts under many names.
        """
        module = self._part(found, 0)
        counts = self._counted(module)
        if counts.names > _MOST_NAMES:
            raise ModelError(
                f"Its module has more than {_MOST_NAMES} names, the same parts under many: it is not read."
            )
        return module if counts.tensors else None

    def _part(self, found: ForeignObject, depth: int) -> nn.Module:
        if id(found) in self._built:
            return self._built[id(found)]
        if id(found) in self._within or depth > _DEEPEST:
            raise ModelError(f"Its module {found.class_name} holds itself, or parts nested deeper than {_DEEPEST}.")
        self._within.add(id(found))
        module = self._made(found, depth)
        self._within.remove(id(found))
        self._built[id(found)] = module
        return module

    def _counted(self, module: nn.Module) -> _Counts:
        """A part counts as often as it stands there; what it comes to is added up once."""
        if id(module) not in self._counts:
            own = len(module._parameters) + len(module._buffers)
            parts = [self._counted(child) for child in module._modules.values() if child is not None]
            names = 1 + own + sum(part.names for part in parts)
            self._counts[id(module)] = _Counts(names, own + sum(part.tensors for part in parts))
        return self._counts[id(module)]

    def _made(self, found: ForeignObject, depth: int) -> nn.Module:
        attributes = found.attributes
        children = {
            name: self._part(child, depth + 1)
            for name, child in _named(attributes, "_modules")
            if isinstance(child, ForeignObject)
        }
        wrapped = children.get(_WRAPPERS.get(found.class_name, ""))
        if wrapped is not None:
            return wrapped
        standard = standard_module(found.class_name, attributes)
        module = _foreign(found.class_name, attributes) if standard is None else standard
        module.training = attributes.get("training") is True
        module._parameters.update((name, _as_parameter(value)) for name, value in _tensors(attributes, "_parameters"))
        module._buffers.update(_tensors(attributes, "_buffers"))
        if (counter := module._buffers.get("num_batches_tracked")) is not None and counter.is_meta:
            module._buffers["num_batches_tracked"] = None  # of a version that did not count
        unsaved = attributes.get("_non_persistent_buffers_set")
        module._non_persistent_buffers_set = (
            {name for name in unsaved if isinstance(name, str)} if isinstance(unsaved, set) else set()
        )
        module._modules.update(children)
        return module


def _foreign(class_name: str, attributes: Mapping[str, Any]) -> ForeignModule:
    name = class_name.rpartition(".")[2]
    is_batch_norm = all(one in attributes for one in _OF_BATCH_NORM) and "instance" not in name.lower()
    module = ForeignBatchNorm() if is_batch_norm else ForeignModule()
    facts = {fact: attributes[fact] for fact in _FACTS if _is_fact(attributes.get(fact))}
    module.__dict__.update(facts, original_name=name, full_name=class_name)
    return module


def _is_fact(value: Any) -> bool:
    """A number, or a shape; what is too large for either is none."""
    if isinstance(value, (tuple, list)):
        return all(isinstance(part, int) and 0 <= part < sys.maxsize for part in value) and len(value) < _DEEPEST
    return isinstance(value, (int, float))


def _named(attributes: Mapping[str, Any], table: str) -> Iterator[tuple[str, Any]]:
    """Those whose name can stand in a dotted one."""
    entries = attributes.get(table)
    for name, value in entries.items() if isinstance(entries, dict) else ():
        if isinstance(name, str) and name and "." not in name:
            yield name, value


def _tensors(attributes: Mapping[str, Any], table: str) -> Iterable[tuple[str, torch.Tensor]]:
    return ((name, value) for name, value in _named(attributes, table) if isinstance(value, torch.Tensor))


def _as_parameter(value: torch.Tensor) -> nn.Parameter:
    return value if isinstance(value, nn.Parameter) else nn.Parameter(value, requires_grad=False)
