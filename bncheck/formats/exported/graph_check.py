"""Whether the JSON of an exported program is a graph of operators and nothing else.

When torch loads it, sizes are evaluated (by sympy, so by `eval`), names become Python source, and operators
are looked up from `torch` downwards, where `torch.os.system` would be found too. So names must be names,
operators operators, and sizes arithmetic.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
from collections.abc import Iterator
from typing import Any

# No brackets, quotes or signs with which a name would become a call or an assignment.
_NAME = re.compile(r"[\w .:/@<>\[\]-]*")
_OPERATOR = re.compile(
    r"torch\.ops\.higher_order\.\w+|torch\.ops\.\w+\.\w+(\.(?!__)\w+)?|torch\._?sym_\w+|math\.\w+|#\w+:[\w.:]+"
    r"|_operator\.(?!attrgetter$|itemgetter$|methodcaller$|call$)\w+"
)
_OPERATOR_KEYS = ("target", "as_operator")
# PyTorch's, and what other libraries register with its serializer under a namespace of their own.
_CALLED = re.compile(r"(?:torch\.ops\.|#)(\w+)[.:](\w+)")
_FUNCTION = re.compile(r"[A-Z]\w*|floor|ceiling|sqrt|log|exp|sin|cos|tan|tanh|atan|asin|acos|sinh|cosh")
_SYMBOL = re.compile(r"[A-Za-z]\w*")
_ARITHMETIC = (
    *(ast.Expression, ast.keyword, ast.expr_context, ast.Tuple),
    *(ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop),
)


def complaints(content: Any) -> Iterator[str]:
    """What in the JSON is more than a graph, in words."""
    for key, text in _strings(content, ""):
        if (key in ("name", "forward_arg_names", "context") or key.endswith("_name")) and not _NAME.fullmatch(text):
            yield f"the name {text!r}, which is not a name"
        elif key in _OPERATOR_KEYS and not _OPERATOR.fullmatch(text):
            yield f"the operator {text!r}, which is not an operator"
        elif key == "expr_str" and not is_arithmetic(text):
            yield f"the size {text!r}, which is not arithmetic"
        elif key == "default_factory_module" and text not in ("builtins", "collections"):
            yield f"a reference to the module {text!r}"


def operators_of(content: Any) -> Iterator[str]:
    """The operators that the JSON's graphs call, those in their branches and bodies too, as `aten::add`."""
    for key, text in _strings(content, ""):
        if key in _OPERATOR_KEYS and (match := _CALLED.match(text)):
            yield f"{match[1]}::{match[2]}"


def is_arithmetic(expression: str) -> bool:
    """Whether a size is only that.

    >>> is_arithmetic("Mul(Integer(2), Symbol('s0', positive=True))")
    True
    >>> is_arithmetic("__import__('os').getcwd()")
    False
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_arithmetic_node(node) for node in ast.walk(tree))


def _is_arithmetic_node(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return not node.id.startswith("_") and not hasattr(builtins, node.id)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and _FUNCTION.fullmatch(node.func.id) is not None
    if isinstance(node, ast.Constant):
        return not isinstance(node.value, str) or _SYMBOL.fullmatch(node.value) is not None
    return isinstance(node, _ARITHMETIC)


def _strings(content: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every string with the key it stands under; what lies in a list stands under the list's key."""
    if isinstance(content, dict):
        for inner_key, value in content.items():
            yield from _strings(value, inner_key)
    elif isinstance(content, list):
        for value in content:
            yield from _strings(value, key)
    elif isinstance(content, str):
        nested = _nested_json(content) if key in ("in_spec", "out_spec", "context") else None
        if nested is None:
            yield key, content
        else:
            yield from _strings(nested, key)


def _nested_json(text: str) -> Any:
    """The descriptions of inputs and outputs are JSON within a string; `None` for other strings."""
    try:
        nested = json.loads(text)
    except ValueError:
        return None
    return None if isinstance(nested, str) else nested
