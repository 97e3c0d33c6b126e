"""Which operators a model file may call: running a program is running its author's code.

Allowed is what computes on tensors. An operator of PyTorch's own that takes a string could mean a file, a machine or
a library by it, so it is refused unless it was looked at; so are those that are known to reach beyond the program, and
everything that is not PyTorch's own. The user can allow more, by name and for one run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from bncheck.errors import ModelError, UsageError
from bncheck.formats.messages import listed
from bncheck.formats.programs.reviewed_operators import (
    CLASSES,
    HARMLESS_TEXT,
    HIGHER_ORDER,
    LANGUAGE,
    NAMESPACES,
    REACHING,
)
from bncheck.tensors import torch
from bncheck.vocabulary import argument

_TYPED = re.compile(r"(?:torch\.ops\.)?(\w+)(?:::|\.)(\w+)(?:\.\w+)?")
_CLASS = re.compile(r"(?:__torch__\.)?(torch\.classes\.\w+\.\w+)")
_TEXT_TYPE = re.compile(r"\bstr\b")


def is_admitted(name: str) -> bool:
    """Whether every file may use the operator (`aten::add`) or class (`torch.classes.quantized...`) of that name.

    >>> is_admitted("aten::conv2d"), is_admitted("aten::from_file"), is_admitted("mine::conv2d")
    (True, False, False)
    """
    namespace = name.partition("::")[0]
    if namespace == name:
        return name in CLASSES
    if namespace in ("prim", "higher_order"):
        return name in LANGUAGE or name in HIGHER_ORDER
    if namespace not in NAMESPACES or name in REACHING or name.startswith("aten::_test_"):
        return False
    return name in HARMLESS_TEXT or not _takes_text(name)


def require_admitted(names: Iterable[str], path: Path, allow_ops: Collection[str] = ()) -> None:
    """Raise ModelError where a program uses what it may not.

    Args:
        names: what it uses, as `aten::add` or `torch.classes.NAMESPACE.NAME`.
        path: its file.
        allow_ops: what the user allows, as `allowed` gives it.
    """
    refused = [name for name in dict.fromkeys(names) if name not in allow_ops and not is_admitted(name)]
    if refused:
        named = [f"{argument('allow_ops')} {name}" for name in refused[:3]]
        raise ModelError(
            f"{path} was not loaded: it uses {listed(refused)}. Of a file's operators bncheck runs those that compute "
            "on tensors, since others can write files or start programs. If you trust where it comes from, pass "
            f"{' '.join(named)}{' ...' if len(refused) > 3 else ''}."
        )


def allowed(names: Iterable[str]) -> frozenset[str]:
    """The operators and classes that the user allows, spelled as in this module.

    >>> sorted(allowed(["mine::warp", "torch.ops.aten.from_file.default"]))
    ['aten::from_file', 'mine::warp']

    Raises:
        UsageError: it is no name of an operator.
    """
    return frozenset(_spelled(name) for name in names)


def _spelled(name: str) -> str:
    if match := _CLASS.fullmatch(name):
        return match[1]
    if match := _TYPED.fullmatch(name):
        return f"{match[1]}::{match[2]}"
    raise UsageError(
        f"{argument('allow_ops')} {name}: expected NAMESPACE::NAME, as the message names the operator "
        "(torchvision::nms), or torch.classes.NAMESPACE.NAME."
    )


def _takes_text(name: str) -> bool:
    """Whether a form of the operator takes a string, or a collection of them; a library may define it at any time."""
    return any(_TEXT_TYPE.search(str(argument.type)) for schema in _schemas(name) for argument in schema.arguments)


def _schemas(name: str) -> Iterator[Any]:
    """Its forms in the PyTorch installed; none where it has no such operator, and loading the file will say so."""
    yield from torch._C._jit_get_schemas_for_operator(name)
