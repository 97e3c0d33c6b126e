"""Several models in one flat state dict: `online_model.` beside `ema_model.`, `ema_fc_weight` beside `fc.weight`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from bncheck.errors import UsageError
from bncheck.formats.messages import listed
from bncheck.formats.state_dict.names.prefixes import Shapes, splits
from bncheck.tensors import torch
from bncheck.vocabulary import argument, with_article

STATISTICS = ("running_mean", "running_var")
BOOKKEEPING = ("num_batches_tracked", "total_ops", "total_params", "n_averaged", "_extra_state")
AVERAGED = re.compile(r"(^|[_.])(ema|swa|averaged|shadow)([_.]|$)")
_MMCV = "ema_"


class Part(MutableMapping[str, Any]):
    """The tensors of a state dict under one prefix, by their names without it; what is set is set there.

    Args:
        whole: the state dict.
        prefix: what the names begin with.
    """

    def __init__(self, whole: Mapping[str, Any], prefix: str) -> None:
        self.whole = whole
        self.prefix = prefix

    def __getitem__(self, name: str) -> Any:
        return self.whole[self.prefix + name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._changeable()[self.prefix + name] = value

    def __delitem__(self, name: str) -> None:
        del self._changeable()[self.prefix + name]

    def __iter__(self) -> Iterator[str]:
        names = [name for name in self.whole if isinstance(name, str) and name.startswith(self.prefix)]
        return (name[len(self.prefix) :] for name in names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _changeable(self) -> MutableMapping[str, Any]:
        if not isinstance(self.whole, MutableMapping):
            raise TypeError(f"{with_article(type(self.whole).__name__)} cannot be changed")
        return self.whole


def part_named(whole: Mapping[str, Any], name: str) -> Part | None:
    """What stands under that prefix, with or without its dot; `None` where nothing does."""
    prefix = f"{name.removesuffix('.')}."
    return Part(whole, prefix) if any(isinstance(known, str) and known.startswith(prefix) for known in whole) else None


def models_in(whole: Mapping[str, Any]) -> list[str]:
    """The first parts of names under which statistics stand, where there are several: what may be a model each."""
    found: dict[str, bool] = {}
    for name, value in whole.items():
        if isinstance(name, str) and isinstance(value, torch.Tensor) and "." in name:
            first = name.partition(".")[0]
            found[first] = found.get(first, False) or leaf(name) in STATISTICS
    parts = [first for first, has_statistics in found.items() if has_statistics and not first.isdigit()]
    return parts if len(parts) > 1 else []


def others_beside(stored: Shapes, prefix: str) -> tuple[str, ...]:
    """The first parts of the names that do not stand under a prefix."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in stored if not name.startswith(prefix)))


def prefixes_that_fit(stored: Shapes, expected: Shapes) -> list[str]:
    """The prefixes under which every parameter of an architecture stands, in its shape; `""` where none is needed."""
    needed = {name: shape for name, shape in expected.items() if leaf(name) not in (*STATISTICS, *BOOKKEEPING)}
    if not needed:
        return []
    prefixes = dict.fromkeys(("", *(prefix for name in stored for prefix, _ in splits(name))))
    return [prefix for prefix in prefixes if all(stored.get(prefix + name) == shape for name, shape in needed.items())]


def chosen_among(prefixes: Sequence[str], source: str) -> str:
    """The one of several copies that is meant: the file's own, or the raw weights where the others are averages.

    Raises:
        UsageError: several are raw.
    """
    if "" in prefixes:
        return ""
    raw = [prefix for prefix in prefixes if not AVERAGED.search(prefix)]
    if len(raw) != 1:
        names = [prefix.removesuffix(".") for prefix in prefixes]
        raise UsageError(
            f"{source} holds several models that fit the architecture: {listed(names)}. Choose one with "
            f"{argument('key')}, for example {argument('key')} {names[0]}."
        )
    return raw[0]


def copies_beside(whole: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, dict[str, torch.Tensor]]:
    """Other copies of a model in the state dict that holds it, by prefix: its own names, their tensors.

    Args:
        whole: the state dict.
        own: the file's name of each tensor of the model.
    """
    if isinstance(whole, Part):
        return copies_beside(whole.whole, {name: whole.prefix + known for name, known in own.items()})
    tensors = {key: value for key, value in whole.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
    taken = set(own.values())
    needed = [name for name, known in own.items() if known in tensors and leaf(name) not in BOOKKEEPING]
    if not needed:
        return {}
    found = {}
    for prefix in dict.fromkeys(("", *(prefix for name in tensors if name not in taken for prefix, _ in splits(name)))):
        if all(prefix + name in tensors and prefix + name not in taken for name in needed):
            found[prefix.removesuffix(".")] = {name: tensors[prefix + name] for name in needed}
    underscored = {name: _MMCV + name.replace(".", "_") for name in needed}
    if all(known in tensors for known in underscored.values()):
        found[_MMCV.removesuffix("_")] = {name: tensors[known] for name, known in underscored.items()}
    return found


def averages_within(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Averaged copies in a state dict of which nothing tells what is a model: by prefix, under the raw model's names.

    Args:
        tensors: the whole state dict, the raw model's tensors at its top or under a prefix of their own.
    """
    first = {name: name.partition(".")[0] for name in tensors}
    averaged = {part for part in first.values() if AVERAGED.search(part)}
    if not averaged:
        return {}
    for raw in ("", *(f"{part}." for part in models_in(tensors) if part not in averaged)):
        own = {name[len(raw) :]: name for name in tensors if name.startswith(raw) and first[name] not in averaged}
        found = {prefix: held for prefix, held in copies_beside(tensors, own).items() if AVERAGED.search(prefix)}
        if found:
            return {prefix: {raw + name: held[name] for name in held} for prefix, held in found.items()}
    return {}


def is_beside(name: str, expected: Shapes) -> bool:
    """Whether a name of the file is of something beside the architecture: no part of the architecture is called so.

    What is called like a part, but for its number, is a part that the architecture lacks: `layer5` beside `layer4`.
    """
    first = name.partition(".")[0]
    return not first.isdigit() and _stem(first) not in {_stem(known.partition(".")[0]) for known in expected}


def leaf(name: str) -> str:
    """The last part of a name."""
    return name.rpartition(".")[2]


def _stem(part: str) -> str:
    return re.sub(r"\d", "", part)
