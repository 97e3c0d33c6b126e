"""The rules as data: codes, severities, one line each, and a page each. Neither torch nor numpy is needed for them.

A rule is a page `bn102.md`, whose head says what it is, and beside it a module `bn102.py` with
`judge(evidence) -> Iterator[Finding]`. Both are found by their name in the folders of this room; nothing lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import overload

from bncheck.errors import UsageError
from bncheck.rules.rule import ROOM, Rule, read_rule

__all__ = ["GROUPS", "RULES", "Rule", "find_rule", "load", "matching", "rules_from"]

GROUPS = {
    "BN1": "Absent or never learned",
    "BN2": "Values",
    "BN3": "Settings",
    "BN4": "Weights and statistics from different moments",
    "BN5": "Updates",
    "BN6": "Data against statistics",
    "BN7": "Mode and runtime",
}
_PAGES = "bn[0-9][0-9][0-9].md"
_MORE: ContextVar[tuple[Path, ...]] = ContextVar("folders of further rules", default=())


def load(*folders: Path) -> tuple[Rule, ...]:
    """Read the rules in some folders and the folders in these, in the order of their codes.

    Raises:
        UsageError: a page does not describe a rule, or two have the same code.
    """
    rules: dict[str, Rule] = {}
    for path in (path for folder in folders for path in folder.rglob(_PAGES)):
        rule = read_rule(path)
        if rule.code in rules:
            raise UsageError(f"{path}: {rules[rule.code].path} has the code {rule.code} already.")
        if rule.code[:3] not in GROUPS:
            raise UsageError(f"{path}: codes begin with one of {', '.join(GROUPS)}.")
        rules[rule.code] = rule
    return tuple(rules[code] for code in sorted(rules))


@contextmanager
def rules_from(*folders: str | Path) -> Iterator[tuple[Rule, ...]]:
    """Judge by the rules in these folders too, while it is active; everything that asks for rules knows them then.

    ::

        with bncheck.rules.rules_from("my_rules"):
            report = bncheck.inspect("model.pt", "val.npz")
    """
    more = (*_MORE.get(), *(Path(folder).resolve() for folder in folders))
    rules = _loaded(more)
    token = _MORE.set(more)
    try:
        yield rules
    finally:
        _MORE.reset(token)


@cache
def _loaded(more: tuple[Path, ...]) -> tuple[Rule, ...]:
    return load(ROOM, *more)


class _InForce(Sequence[Rule]):
    """The rules in force, in the order of their codes; they are read when they are first asked for."""

    @overload
    def __getitem__(self, index: int) -> Rule: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Rule]: ...
    def __getitem__(self, index: int | slice) -> Rule | Sequence[Rule]:
        return _loaded(_MORE.get())[index]

    def __len__(self) -> int:
        return len(_loaded(_MORE.get()))


RULES: Sequence[Rule] = _InForce()


def find_rule(code: str) -> Rule:
    """Find the rule of that code; its number alone will do.

    Raises:
        UsageError: there is none.
    """
    for rule in RULES:
        if rule.code in (code.upper(), f"BN{code}"):
            return rule
    raise UsageError(f"there is no rule {code!r}{_suggestion(code)}; `bncheck rules` lists them.")


def matching(selectors: tuple[str, ...], option: str) -> frozenset[str]:
    """Give the codes that `selectors` (whole codes or prefixes, `BN6`) stand for.

    Args:
        selectors: codes and prefixes.
        option: what asked for them, for the message.

    Raises:
        UsageError: a selector matches no rule.
    """
    codes: set[str] = set()
    for selector in selectors:
        matched = {rule.code for rule in RULES if rule.code.startswith(selector.upper())} if selector else set()
        if not matched:
            raise UsageError(
                f"{option} {selector}: no rule matches{_suggestion(selector)}; `bncheck rules` lists them."
            )
        codes |= matched
    return frozenset(codes)


_MISREAD = str.maketrans("OIL", "011")
"""Letters that are typed for digits."""


def _suggestion(code: str) -> str:
    digits = code.upper().translate(_MISREAD)
    if digits in {rule.code for rule in RULES}:
        return f" (did you mean {digits}?)"
    close = get_close_matches(code.upper(), [rule.code for rule in RULES], n=len(RULES))
    if not close:
        return ""
    return f" (did you mean {max(close, key=lambda known: _shared_beginning(known, code.upper()))}?)"


def _shared_beginning(one: str, other: str) -> int:
    return next((at for at in range(len(one)) if one[at] != other[at : at + 1]), len(one))
