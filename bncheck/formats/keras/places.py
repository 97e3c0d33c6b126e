"""Which layer each dataset of a file belongs to: by the configuration, and by the file's own names elsewhere."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bncheck.formats.keras.config import Node, counted
from bncheck.formats.keras.hdf5 import Tree, text_at, texts_at

_VARIABLE = re.compile(r"(?:(?P<owner>.+)/)?vars/(?P<index>\d+)")
_OLD, _NEW = "_layer_checkpoint_dependencies", "layers"
"""What Keras 2.13 called the list of layers."""
_COUNT = re.compile(r"(_\d+)$")
_NO_WEIGHTS = ("optimizer", "metrics", "_metrics", "loss_tracker", "_loss_tracker", "compile_metrics")
"""What a compiled model keeps beside its weights."""
WHOLE, TOP_LEVEL = "model_weights", "top_level_model_weights"


@dataclass(frozen=True, slots=True)
class Owner:
    """A layer as the file has it.

    Attributes:
        dotted: its name, with those of the models around it; no two owners share one.
        node: of the configuration; `None` where that is silent on it.
        hint: what tells its class, where the configuration does not.
        datasets: paths of its weights, in the layer's order.
        leaves: the weights' own names; `None` where the file numbers them.
        path: where Keras 3 files it, which leads to the layer in a model too.
    """

    dotted: str
    node: Node | None
    hint: str
    datasets: tuple[str, ...]
    leaves: tuple[str, ...] | None = None
    path: str = ""


def is_legacy(tree: Tree) -> bool:
    """Whether it is laid out as Keras 1 and 2 did, by the names of layers and weights."""
    return texts_at(_legacy_root(tree), "layer_names") is not None


def is_numbered(tree: Tree) -> bool:
    """Whether it is laid out as Keras 3 does."""
    return any(_VARIABLE.fullmatch(path) for path in tree.datasets)


def numbered_owners(tree: Tree, nodes: Sequence[Node]) -> tuple[Owner, ...]:
    """The layers of a file of Keras 3, as the configuration orders them, then those it does not mention.

    The configuration of a class of somebody's own need not mention its layers: these go by the attributes they are
    filed under, as `model.block.bn`.
    """
    variables = _variables(tree)
    claimed: dict[str, Owner] = {}
    for node in nodes:
        path = _as_filed(node.path, tree)
        if path not in claimed:
            claimed[path] = Owner(node.dotted, node, node.class_name, tuple(variables.get(path, ())), None, path)
    for path in sorted(variables, key=_natural):
        if path not in claimed:
            name, hint = _name_in(tree, path, claimed)
            claimed[path] = Owner(name, None, hint, tuple(variables[path]), None, path)
    return _distinct(claimed.values())


def legacy_groups(tree: Tree) -> Mapping[str, tuple[str, ...]]:
    """Paths of the weights of each layer of the whole model, in the order in which Keras sets them."""
    root = _legacy_root(tree)
    prefix = f"{WHOLE}/" if root is not tree.root else ""
    found: dict[str, tuple[str, ...]] = {}
    for layer in (*(texts_at(root, "layer_names") or ()), TOP_LEVEL):
        group = tree.groups.get(f"{prefix}{layer}")
        names = (texts_at(group, "weight_names") or ()) if group is not None else ()
        paths = tuple(f"{prefix}{layer}/{name}" for name in names)
        found[layer] = tuple(path for path in paths if path in tree.datasets)
    return found


def legacy_owners(tree: Tree, nodes: Sequence[Node]) -> tuple[Owner, ...]:
    """The layers of a file of Keras 1 or 2: a weight's path ends in its layer's name and its own."""
    inside: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        inside[node.top].append(node)
    owners: list[Owner] = []
    for top, paths in legacy_groups(tree).items():
        parts: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            parts[path.rpartition("/")[0]].append(path)
        for prefix, datasets in parts.items():
            own = prefix.rpartition("/")[2]
            meant = _meant(own, top, inside.get(top, []), len(parts))
            leaves = tuple(path.rpartition("/")[2].partition(":")[0] for path in datasets)
            name = meant.dotted if meant is not None else top if own == top else f"{top}.{own}"
            owners.append(Owner(name, meant, meant.class_name if meant else own, tuple(datasets), leaves))
    filed = {owner.node.dotted for owner in owners if owner.node is not None}
    bare = (Owner(node.dotted, node, node.class_name, ()) for node in nodes if node.dotted not in filed)
    return _distinct((*owners, *bare))


def _legacy_root(tree: Tree) -> Any:
    return tree.groups.get(WHOLE, tree.root)


def _meant(own: str, top: str, candidates: Sequence[Node], parts: int) -> Node | None:
    """The layer of the configuration that a group of weights is of."""
    named = [node for node in candidates if node.name == own]
    if len(named) == 1:
        return named[0]
    whole = [node for node in candidates if node.dotted == top]
    return whole[0] if parts == 1 and len(candidates) == 1 and whole else None


def _variables(tree: Tree) -> dict[str, list[str]]:
    """Paths of the weights by the path of what they are filed under, in the order of their numbers."""
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for path in tree.datasets:
        match = _VARIABLE.fullmatch(path)
        if match is not None and path.partition("/")[0] not in _NO_WEIGHTS:
            found[match["owner"] or ""].append((int(match["index"]), path))
    return {owner: [path for _, path in sorted(numbered)] for owner, numbered in found.items()}


def _as_filed(path: str, tree: Tree) -> str:
    return path.replace(_NEW, _OLD) if _OLD in tree.groups else path


def _name_in(tree: Tree, path: str, claimed: Mapping[str, Owner]) -> tuple[str, str]:
    """The name of a layer that no configuration mentions, and what tells its class."""
    parts = path.split("/") if path else []
    known = next((at for at in range(len(parts), 0, -1) if "/".join(parts[:at]) in claimed), 0)
    names = [claimed["/".join(parts[:known])].dotted] if known else []
    hint, last = "", known
    for at in range(known + 1, len(parts) + 1):
        variables = tree.groups.get("/".join([*parts[:at], "vars"]))
        if variables is None and at < len(parts):
            continue
        said = text_at(variables, "name") if variables is not None else None
        in_list = at - last > 1
        if in_list and parts[last] in (_NEW, _OLD):
            names.append(said or parts[at - 1])
        else:
            own = said if in_list and said and not _is_counted(said, parts[at - 1]) else parts[at - 1]
            names.append(".".join([*parts[last : at - 1], own]))
        hint, last = f"{parts[at - 1]} {said or ''}", at
    return ".".join(filter(None, names)), hint


def _is_counted(said: str, filed: str) -> bool:
    """Whether a layer's name is Keras' own, the class with a count: another one in each process."""
    return re.fullmatch(re.escape(_COUNT.sub("", filed)) + _COUNT.pattern.removesuffix("$") + "?", said) is not None


def _distinct(owners: Iterable[Owner]) -> tuple[Owner, ...]:
    """The owners, those whose name another has before them with a count behind it."""
    used: Counter[str] = Counter()
    found: list[Owner] = []
    for owner in owners:
        name = counted(owner.dotted, used)
        while name != owner.dotted and name in used:
            name = counted(owner.dotted, used)
        used[name] += name != owner.dotted
        found.append(replace(owner, dotted=name))
    return tuple(found)


def _natural(path: str) -> list[tuple[int, str]]:
    """Numbers within names as numbers: `conv2d_10` stands behind `conv2d_9`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]
