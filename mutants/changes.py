"""The faults: what may be changed in a syntax tree, so small that only a test of that very place sees it."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import cast

Change = tuple[str, ast.AST]
"""What kind of change it is, and what stands in the place afterwards."""

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Div,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.USub: ast.UAdd,
}

_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}


def changes(node: ast.AST) -> Iterator[Change]:
    """Every change of a node itself; those of what stands in it are its children's."""
    for change in _BY_KIND.get(type(node), ()):
        yield from change(node)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """Give the node with other fields, its children shared with the original."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _operator(node: ast.AST) -> Iterator[Change]:
    new = _OPERATORS.get(type(node.op))  # type: ignore[attr-defined]
    if new is not None:
        yield "operator", _with(node, op=new())


def _comparison(node: ast.AST) -> Iterator[Change]:
    operators = cast(ast.Compare, node).ops
    for i, operator in enumerate(operators):
        yield "comparison", _with(node, ops=[*operators[:i], _OPERATORS[type(operator)](), *operators[i + 1 :]])


def _without_not(node: ast.AST) -> Iterator[Change]:
    unary = cast(ast.UnaryOp, node)
    if isinstance(unary.op, ast.Not):
        yield "not", unary.operand


def _constant(node: ast.AST) -> Iterator[Change]:
    value = cast(ast.Constant, node).value
    if isinstance(value, bool):
        yield "truth", ast.Constant(not value)
    elif isinstance(value, int | float):
        yield "number", ast.Constant(value + 1)


def _branches(node: ast.AST) -> Iterator[Change]:
    either = cast(ast.IfExp, node)
    yield "branch", either.body
    yield "branch", either.orelse


def _condition(node: ast.AST) -> Iterator[Change]:
    """Turn round what no other change touches: a name, an attribute or a call that is asked for its truth."""
    test = cast(ast.If, node).test
    if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.NamedExpr):
        yield "condition", _with(node, test=ast.UnaryOp(ast.Not(), test))


def _filter(node: ast.AST) -> Iterator[Change]:
    conditions = cast(ast.comprehension, node).ifs
    for i in range(len(conditions)):
        yield "filter", _with(node, ifs=[*conditions[:i], *conditions[i + 1 :]])


def _call(node: ast.AST) -> Iterator[Change]:
    call = cast(ast.Call, node)
    for i, keyword in enumerate(call.keywords):
        if keyword.arg is not None:
            yield "argument", _with(node, keywords=[*call.keywords[:i], *call.keywords[i + 1 :]])
    function = call.func
    if isinstance(function, ast.Name) and function.id in _NAMES:
        yield "function", _with(node, func=ast.Name(_NAMES[function.id], ast.Load()))
    if isinstance(function, ast.Attribute) and function.attr in _NAMES:
        yield "function", _with(node, func=_with(function, attr=_NAMES[function.attr]))


def _returned(node: ast.AST) -> Iterator[Change]:
    value = cast(ast.Return, node).value
    if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
        yield "result", ast.Return(ast.Constant(None))


def _yielded(node: ast.AST) -> Iterator[Change]:
    if isinstance(cast(ast.Expr, node).value, ast.Yield | ast.YieldFrom | ast.Call):
        yield "statement", ast.Pass()


def _jump(node: ast.AST) -> Iterator[Change]:
    yield "jump", ast.Break() if isinstance(node, ast.Continue) else ast.Continue()


def _added(node: ast.AST) -> Iterator[Change]:
    yield from _operator(node)
    yield "assignment", ast.Assign([cast(ast.AugAssign, node).target], cast(ast.AugAssign, node).value)


_BY_KIND: dict[type[ast.AST], tuple[Callable[[ast.AST], Iterator[Change]], ...]] = {
    ast.BinOp: (_operator,),
    ast.BoolOp: (_operator,),
    ast.UnaryOp: (_without_not, _operator),
    ast.Compare: (_comparison,),
    ast.Constant: (_constant,),
    ast.IfExp: (_branches,),
    ast.If: (_condition,),
    ast.While: (_condition,),
    ast.comprehension: (_filter,),
    ast.Call: (_call,),
    ast.Return: (_returned,),
    ast.Expr: (_yielded,),
    ast.Continue: (_jump,),
    ast.Break: (_jump,),
    ast.AugAssign: (_added,),
}
