"""Prefixes that wrappers put before the names of a state dict (`module.`, `model.`, `backbone.`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product

from bncheck.tensors import torch

Shapes = Mapping[str, torch.Size]
_ROUNDS = 3


def best_names(given: Shapes, expected: Shapes) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """The renaming of `given` that makes the most names and shapes agree with `expected`.

    Returns:
        The new name of every given name, and what was done, in order: (`stripped` or `added`, prefix).
    """
    names = {name: name for name in given}
    done: list[tuple[str, str]] = []
    for _ in range(_ROUNDS):
        strip, add = _best_change({new: given[old] for old, new in names.items()}, expected)
        renamed = {old: _changed(new, strip, add) for old, new in names.items()}
        if renamed == names or len(set(renamed.values())) < len(renamed):
            break
        names = renamed
        done += [("stripped", strip)] if strip else []
        done += [("added", add)] if add else []
    return names, tuple(done)


def name_in_file(name: str, names: Mapping[str, str]) -> str:
    """What a file would call a tensor that it lacks: its nearest neighbour shows how names were changed.

    Args:
        name: in the architecture.
        names: from `best_names`.
    """
    wanted = name.split(".")
    old, new = max(names.items(), key=lambda pair: _shared(wanted, pair[1].split(".")), default=("", ""))
    before, after = old.split("."), new.split(".")
    while before and after and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return ".".join([*before, *wanted[len(after) :]]) if wanted[: len(after)] == after else name


def _shared(one: list[str], other: list[str]) -> int:
    """How many parts two names have in common at their beginning."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _best_change(given: Shapes, expected: Shapes) -> tuple[str, str]:
    """The prefix to strip and the one to add; both empty where nothing is better than the names as they are."""
    votes: Counter[tuple[str, str]] = Counter()
    for name, shape in given.items():
        votes[("", "")] += expected.get(name) == shape
        for prefix, rest in splits(name):
            votes[(prefix, "")] += expected.get(rest) == shape
    for name, shape in expected.items():
        for prefix, rest in splits(name):
            votes[("", prefix)] += given.get(rest) == shape
    # One prefix in exchange for another, where each is shared by all: no single change agrees with anything.
    for change in product(_shared_prefixes(given), _shared_prefixes(expected)):
        votes[change] = sum(expected.get(_changed(name, *change)) == shape for name, shape in given.items())
    # Of equally good changes the smallest: none at all before a short prefix before a long one.
    return min(votes, key=lambda change: (-votes[change], len(change[0]) + len(change[1])), default=("", ""))


def _changed(name: str, strip: str, add: str) -> str:
    return add + name[len(strip) :] if name.startswith(strip) else name


def _shared_prefixes(names: Shapes) -> list[str]:
    """The prefixes that all dotted names have: `a.` and `a.b.` for `a.b.x`, `a.b.y`."""
    dotted = [name for name in names if "." in name]
    return [prefix for prefix, _ in splits(min(dotted, default="")) if all(name.startswith(prefix) for name in dotted)]


def splits(name: str) -> Iterator[tuple[str, str]]:
    """Every way to cut a dotted name: `a.b.c` gives (`a.`, `b.c`) and (`a.b.`, `c`)."""
    position = name.find(".")
    while position >= 0:
        yield name[: position + 1], name[position + 1 :]
        position = name.find(".", position + 1)
