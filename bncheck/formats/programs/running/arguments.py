"""How a program is called with a batch: by which names, or with the whole as one argument."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from bncheck.data import Carrier, Inputs

Call = tuple[tuple[Any, ...], dict[str, Any]]
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def call_of(program: torch.nn.Module, inputs: Inputs) -> tuple[Call, tuple[str, ...]]:
    """Positional and named arguments, and the names of inputs that the program does not take.

    A tuple is positional, a dict is by name; one whose keys are no parameters of a program with one required parameter
    is that parameter itself, as `forward(self, batch)` takes it. An object that carries tensors is itself where one is
    required, and its tensors by name otherwise.
    """
    if isinstance(inputs, Carrier):
        known = _parameters(program) or {}
        if len(required := _required(known)) > 1 and set(required) <= set(inputs.values):
            return ((), {name: value for name, value in inputs.values.items() if name in known}), ()
        return ((inputs.rebuilt(),), {}), ()
    if isinstance(inputs, tuple) and not hasattr(inputs, "_fields"):
        return (inputs, {}), ()
    if not isinstance(inputs, dict):
        return ((inputs,), {}), ()
    parameters = _parameters(program)
    if parameters is None or set(inputs) <= set(parameters):
        return ((), inputs), ()
    required = _required(parameters)
    if required and set(required) <= set(inputs):
        taken = {name: value for name, value in inputs.items() if name in parameters}
        return ((), taken), tuple(name for name in inputs if name not in taken)
    if len(required) == 1:
        return ((inputs,), {}), ()
    return ((), inputs), ()


def _parameters(program: torch.nn.Module) -> Mapping[str, inspect.Parameter] | None:
    """What `forward` can be given by name; `None` where it takes any name, or does not tell."""
    try:
        found = inspect.signature(program.forward).parameters
    except (TypeError, ValueError):
        return None
    if any(one.kind == inspect.Parameter.VAR_KEYWORD for one in found.values()):
        return None
    return {name: one for name, one in found.items() if one.kind in _NAMED}


def _required(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    return [name for name, one in parameters.items() if one.default is inspect.Parameter.empty]
