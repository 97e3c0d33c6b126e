"""TorchScript: scripted, traced and frozen modules."""

from __future__ import annotations

import contextlib
import operator
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bncheck.core.layers import OTHER, NormLayer
from bncheck.encoding import encodable
from bncheck.errors import ModelError
from bncheck.formats.kinds import kind_of_operator
from bncheck.formats.messages import first_line
from bncheck.formats.model import TORCHSCRIPT, Model
from bncheck.formats.programs.operators import require_admitted
from bncheck.formats.tensors import build_layer, same_storage, tensor_names
from bncheck.formats.torch_module.listing import has_convolutions, list_layers
from bncheck.formats.torchscript.checking import check_script
from bncheck.results.notes import Note
from bncheck.talk import ProgramOutput

_INCOMPLETE = (
    "Is the file complete, and made by a PyTorch no newer than this one, without operators of another library?"
)
_ILLEGIBLE = "octal specifier"
_RENAME = (
    "PyTorch writes a module's name with characters other than ASCII and cannot read it back. Rename that module and "
    "export again, or inspect the state dict."
)
_LOST_CONSTANT = "required keyword attribute 'value' is undefined"
_OPTIMIZED = (
    "torch.jit.optimize_for_inference turns weights into MKLDNN tensors, and saving leaves them out of the file. Save "
    "what torch.jit.freeze gives instead, and optimize after loading."
)
_ROLES = ("running_mean", "running_var", "weight", "bias")


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A normalization in the graph: its kind, the dotted names of its tensors, and its constants."""

    kind: str
    names: dict[str, str]
    constants: dict[str, Any]

    def number(self, argument: str) -> float | None:
        """The value of a numeric constant."""
        value = self.constants.get(argument)
        return float(value) if isinstance(value, (int, float)) else None

    @property
    def by_input(self) -> bool:
        """Whether it was traced in training mode; where the mode is read from the module it is no constant."""
        return any(self.constants.get(argument) is True for argument in ("training", "use_input_stats"))


def open_script(
    path: Path, *, device: str, sha256: str, allow_ops: Collection[str] = (), notes: tuple[Note, ...] = ()
) -> Model:
    """Read a TorchScript archive; its own unpickler builds tensors and script objects only, no Python.

    Raises:
        ModelError: the archive is damaged, calls more than computes, or needs operators that are not registered.
    """
    check_script(path, allow_ops)
    try:
        program = load_script(path)
    except Exception as error:
        known = {_LOST_CONSTANT: _OPTIMIZED, _ILLEGIBLE: _RENAME}
        cause = next((told for said, told in known.items() if said in str(error)), _INCOMPLETE)
        raise ModelError(
            f"{path} is a TorchScript archive that cannot be loaded: {first_line(error)}. {cause}"
        ) from error
    # Once more, by what the compiler made of the source.
    require_admitted(operator_kinds(program), path, allow_ops)
    return model_of_script(program, path=str(path), device=device, sha256=sha256, notes=notes)


def load_script(source: Any, extra_files: dict[str, Any] | None = None) -> torch.jit.ScriptModule:
    """`torch.jit.load` from a path or a buffer, without its warning that TorchScript is deprecated.

    Args:
        source: a path or a buffer.
        extra_files: as `torch.jit.load` has it: the files of these names inside the archive are put in.
    """
    # Loading runs the archive's `__setstate__`, which may print, draw at random or turn gradients off.
    gradients = torch.set_grad_enabled(torch.is_grad_enabled())
    with (
        contextlib.ExitStack() as opened,
        warnings.catch_warnings(),
        ProgramOutput().active(),
        torch.random.fork_rng(devices=[]),
        gradients,
    ):
        warnings.simplefilter("ignore")
        if isinstance(source, Path) and encodable(str(source)) != str(source):  # torch cannot spell such a name
            source = opened.enter_context(source.open("rb"))
        load: Any = torch.jit.load  # untyped in torch
        program: torch.jit.ScriptModule = load(
            str(source) if isinstance(source, Path) else source, map_location="cpu", _extra_files=extra_files
        )
        return program


def frozen_constants(program: torch.jit.ScriptModule) -> dict[str, torch.Tensor]:
    """The statistics and parameters that `torch.jit.freeze` made constants of, by the names their layers are given."""
    return {
        f"{layer.name}.{role}": value
        for layer, call in _frozen_layers(list(_calls(program)))
        for role, value in call.constants.items()
        if role in _ROLES and isinstance(value, torch.Tensor)
    }


def model_of_script(
    own: torch.jit.ScriptModule, *, path: str, device: str, sha256: str | None = None, notes: tuple[Note, ...] = ()
) -> Model:
    """The `Model` of a scripted or traced module that is bncheck's own."""
    program = own.eval().to(device)
    calls = list(_calls(program))
    frozen = _frozen_layers(calls)
    names = tensor_names(program)
    for layer, call in frozen:
        for role in _ROLES:
            value = call.constants.get(role)
            address = same_storage(value) if isinstance(value, torch.Tensor) else None
            if address is not None:
                names.setdefault(address[0], f"{layer.name}.{role}")
    listed = (_completed(layer, calls) for layer in list_layers(program))
    return Model(
        path=path,
        format=TORCHSCRIPT,
        sha256=sha256,
        layers=(*listed, *(layer for layer, _ in frozen)),
        program=program,
        tensor_names=names,
        has_convolutions=has_convolutions(program) or _convolves(program),
        notes=notes,
    )


def _completed(layer: NormLayer, calls: list[_Call]) -> NormLayer:
    """The layer with the constants of its call: traced modules keep no attributes such as eps."""
    prefix = f"{layer.name}." if layer.name else ""
    for call in calls:
        owned = (call.names.get(role) for role in _ROLES)
        if any(name is not None and name in (f"{prefix}{role}" for role in _ROLES) for name in owned):
            return replace(
                layer,
                kind=call.kind if layer.kind == OTHER else layer.kind,
                eps=call.number("eps") if layer.eps is None else layer.eps,
                momentum=call.number("momentum") if layer.momentum is None else layer.momentum,
                by_input=call.by_input and layer.has_statistics,
            )
    return layer


def _frozen_layers(calls: list[_Call]) -> list[tuple[NormLayer, _Call]]:
    """Layers whose statistics `torch.jit.freeze` turned into constants; their names are lost, so they are counted."""
    found: list[tuple[NormLayer, _Call]] = []
    seen: set[tuple[int, int] | None] = set()
    for call in calls:
        mean = call.constants.get("running_mean")
        if isinstance(mean, torch.Tensor) and same_storage(mean) not in seen:
            seen.add(same_storage(mean))
            tensors = {role: value for role, value in call.constants.items() if isinstance(value, torch.Tensor)}
            name = f"frozen_{call.kind}_{len(found)}"
            eps, momentum = call.number("eps"), call.number("momentum")
            layer = build_layer(name, call.kind, tensors, eps=eps, momentum=momentum)
            found.append((replace(layer, by_input=call.by_input), call))
    return found


def _calls(program: torch.jit.ScriptModule) -> Iterator[_Call]:
    for node in _nodes(program):
        kind = kind_of_operator(node.kind())
        if kind is not None and node.schema() != "(no schema)":
            yield _Call(kind, *_given(node))


def operator_calls(program: torch.jit.ScriptModule) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every call of an operator: its name, and those of its arguments that are known before it runs, by name."""
    for node in _nodes(program):
        if node.schema() != "(no schema)":
            names, constants = _given(node)
            attributes = {argument: operator.attrgetter(name)(program) for argument, name in names.items()}
            yield node.kind(), constants | attributes


def keeps_mkldnn(program: torch.jit.ScriptModule) -> bool:
    """Whether it holds weights in MKLDNN's own order, as `torch.jit.optimize_for_inference` leaves them."""
    return any("MKLDNN" in kind for kind in operator_kinds(program))


def operator_kinds(program: torch.jit.ScriptModule) -> list[str]:
    """The kind of every node (`aten::conv2d`), also of those that are no operators."""
    return [node.kind() for node in _nodes(program)]


def _given(node: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """By argument: the dotted names of attributes, and the values of constants (`None` for all else)."""
    names: dict[str, str] = {}
    constants: dict[str, Any] = {}
    for argument, value in zip(torch._C.parse_schema(node.schema()).arguments, node.inputs(), strict=False):
        if (dotted := _attribute(value)) is not None:
            names[argument.name] = dotted
        else:
            constants[argument.name] = value.toIValue()
    return names, constants


def _attribute(value: Any) -> str | None:
    """The dotted path of an attribute of the module that was inlined; `None` for other values."""
    parts: list[str] = []
    while value.node().kind() == "prim::GetAttr":
        parts.append(value.node().s("name"))
        value = next(value.node().inputs())
    return ".".join(reversed(parts)) if parts else None


def _convolves(program: torch.jit.ScriptModule) -> bool:
    return any("conv" in node.kind() for node in _nodes(program))


def _nodes(program: torch.jit.ScriptModule) -> Iterator[Any]:
    """Every node of the program, called modules and branches included."""
    try:
        graph = operator.attrgetter("inlined_graph")(program)
    except (RuntimeError, AttributeError):
        return  # a module without a forward method
    pending = list(graph.nodes())
    while pending:
        node = pending.pop(0)
        yield node
        inner = [deeper for part in node.blocks() for deeper in part.nodes()]
        pending = inner + pending
