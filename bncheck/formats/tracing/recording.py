"""The wiring of a module of Python code: it is run once on tensors without values, and its operators are followed."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.modules.conv import _ConvNd
from torch.utils._python_dispatch import TorchDispatchMode

from bncheck.core import BATCH_NORM
from bncheck.data import same_random_state
from bncheck.formats.kinds import kind_of_operator
from bncheck.formats.tracing.operators import BROADCASTING, ELEMENTWISE
from bncheck.formats.tracing.tracing import Tracing
from bncheck.formats.tracing.values import Call, Value
from bncheck.formats.wiring.steps import Fed, Wiring
from bncheck.user_code import user_output_to_stderr

_SAMPLES = 2
_SIDES = {
    1: (4096, 1024, 128, 16),
    2: (224, 32, 64, 28, 112, 96, 128, 80, 256, 299, 48, 16, 12, 8, 160, 40, 24, 20),
    3: (32, 64, 16),
}
"""Sizes that are tried, by the axes of positions: what the first weight of a module takes says nothing of them."""


def wiring_of_module(module: torch.nn.Module, names: Mapping[int, str], layers: Sequence[str]) -> Wiring | None:
    """What feeds what, by one forward on the meta device of a copy; `None` where it cannot be run so.

    The copy shares nothing that could be written to: its tensors have no values.

    Args:
        module: in eval mode; it is left as it is.
        names: its tensors' names by storage address.
        layers: names of those that are to be reached: a forward that fails behind all of them will do.
    """
    if _is_hooked(module):
        return None
    for shape in _shapes(module):
        found = _followed(module, names, shape)
        if found is None:
            continue
        wiring, complete = found
        if complete or set(layers) <= wiring.sites().keys():
            return wiring
    return None


def _is_hooked(module: torch.nn.Module) -> bool:
    """Whether somebody's own code is called beside a layer's: what it does is not for an audit to set off."""
    hooks = (
        hook for part in module.modules() for hook in (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
    )
    return any(not (getattr(hook, "__module__", None) or "").startswith("torch.") for hook in hooks)


def _shapes(module: torch.nn.Module) -> Iterator[tuple[int, ...]]:
    """Shapes of what it may be given, by its first weight."""
    first = next((one for one in module.modules() if isinstance(one, _ConvNd | torch.nn.Linear)), None)
    if isinstance(first, torch.nn.Linear):
        yield _SAMPLES, first.in_features
    elif first is not None:
        for side in _SIDES.get(len(first.kernel_size), ()):
            yield (_SAMPLES, first.in_channels, *(side,) * len(first.kernel_size))


def _followed(module: torch.nn.Module, names: Mapping[int, str], shape: tuple[int, ...]) -> tuple[Wiring, bool] | None:
    """The wiring, and whether the forward came to its end; `None` where it did not begin."""
    tracing = Tracing(dict(names))
    with warnings.catch_warnings(), user_output_to_stderr(), same_random_state([]), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            twin, originals = _without_values(module)
            given = torch.empty(shape, device="meta")
            recorder = _Recorder(tracing, originals)
            tracing.hold(id(given), Value(tracing.drawing.put(Fed(), shape[1])))
            with torch.device("meta"), recorder:
                twin(given)
        except Exception:  # noqa: BLE001  # the user's code may raise anything on what is no data
            return tracing.drawing.finished(), False
    return tracing.drawing.finished(), True


def _without_values(module: torch.nn.Module) -> tuple[torch.nn.Module, Mapping[int, torch.Tensor]]:
    """A copy whose tensors are on the meta device, and the module's own by the identity of these."""
    memo: dict[int, Any] = {}
    originals: dict[int, torch.Tensor] = {}
    for tensor in _all_tensors(module):
        if id(tensor) not in memo:
            empty = torch.empty_like(tensor, device="meta").detach()
            if isinstance(tensor, torch.nn.Parameter):
                empty = torch.nn.Parameter(empty, requires_grad=False)
            memo[id(tensor)] = empty
            originals[id(empty)] = tensor.detach()
    return copy.deepcopy(module, memo), originals


def _all_tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()
    for part in module.modules():
        yield from (value for value in vars(part).values() if isinstance(value, torch.Tensor))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every operator that is dispatched."""

    def __init__(self, tracing: Tracing, originals: Mapping[int, torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tracing, self._originals = tracing, originals
        self._kept: list[Any] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: see the tap's."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operator on tensors without values, and follow what it gives."""
        kwargs = kwargs or {}
        declared = [argument.name for argument in func._schema.arguments]
        given = {**dict(zip(declared, args, strict=False)), **kwargs}
        keys = {name: id(value) for name, value in given.items() if isinstance(value, torch.Tensor)}
        first = next((value for value in given.values() if isinstance(value, torch.Tensor)), None)
        before = None if first is None else tuple(first.shape)
        result = _answered(func, given)
        if result is None:
            result = func(*args, **kwargs)
        leading = result[0] if isinstance(result, list | tuple) and result else result
        after = tuple(leading.shape) if isinstance(leading, torch.Tensor) else None
        meant = self._tracing.call(func, {name: self._meant(one) for name, one in given.items()}, keys, (before, after))
        self._hold(result, meant, self._tracing.viewed(func, keys))
        return result

    def _meant(self, one: Any) -> Any:
        if isinstance(one, list | tuple):
            return [self._meant(inner) for inner in one]
        if not isinstance(one, torch.Tensor):
            return one
        held = self._tracing.what(id(one))
        if held is not None:
            return held
        return self._originals.get(id(one), Value(self._tracing.drawing.lost()))

    def _hold(self, result: Any, meant: Any, base: Any) -> None:
        parts = list(result) if isinstance(result, list | tuple) else [result]
        means = list(meant) if isinstance(meant, list | tuple) else [meant]
        for place, part in enumerate(parts):
            if not isinstance(part, torch.Tensor) or id(part) == base:
                continue
            meaning = means[place] if place < len(means) else Value(self._tracing.drawing.lost())
            self._kept.append(part)  # an identity is taken again
            # parts of a split share memory, but none of it with each other
            self._tracing.hold(id(part), meaning, base if len(parts) == 1 else None)


def _answered(operator: Any, given: Mapping[str, Any]) -> Any:
    """What an operator gives whose result has the shape of its arguments; `None` of others.

    PyTorch's own answer loads its compiler first, which takes longer than most audits.
    """
    name = Call(operator._schema.name, {}, {}).plain_name
    if kind_of_operator(name) != BATCH_NORM and name not in ELEMENTWISE:
        return None
    tensors = [one for one in given.values() if isinstance(one, torch.Tensor)]
    first = next(iter(given.values()), None)
    writes = [one.name for one in operator._schema.arguments if one.alias_info is not None and one.alias_info.is_write]
    if writes == ["self"]:
        return first
    if not isinstance(first, torch.Tensor) or writes or "out" in given:
        return None
    shapes = [one.shape for one in tensors] if name in BROADCASTING else [first.shape]
    kind = given.get("dtype") or (torch.result_type(*tensors[:2]) if len(tensors) == 2 == len(shapes) else first.dtype)
    like = torch.empty(np.broadcast_shapes(*map(tuple, shapes)), dtype=kind, device="meta")
    others = [torch.empty(0, device="meta") for _ in range(len(operator._schema.returns) - 1)]
    return (like, *others) if others else like
