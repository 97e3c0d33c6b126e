"""What a normalization layer of an ONNX graph is called: as its values, as they begin alike, or as its node."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

_OWNED = re.compile(
    r"(?:(?P<layer>.+)[./_])?"
    r"(?:(?:running|moving)_(?:mean|var|variance)|weight|bias|gamma|beta|scale)(?::0)?"
)
_SEPARATORS = "./_:"
_GENERATED = re.compile(
    r"add|sub|mul|div|onnx|p2o|paddle|node|op|layer|tensor|const(?:ant)?|init(?:ializer)?|params?|fold|opt|value|fused|"
    r"(?:spatial)?(?:batch|instance|group|layer|rms)(?:norm(?:alization)?)?|bn|norm(?:alization)?|v\d|\d?d"
)
"""Words of which a name consists that was counted up by an exporter and says nothing of the model."""
_OF_ANY_VALUE = {
    *("onnx", "batchnormalization", "const", "constant", "fold", "opt", "value", "val", "tensor", "var"),
    *("node", "op", "init", "initializer", "param", "params", "parameter", "weight", "weights", "input"),
    *("output", "graph"),
}
_FEWEST_VALUES = 2
_FEWEST_LETTERS = 2


def owner(value: str) -> str | None:
    """The layer that a value of this name belongs to: `stem.norm` for `stem.norm.running_mean`; `None` without one."""
    match = _OWNED.fullmatch(value)
    return None if match is None else match["layer"] or ""


def candidates(node_name: str, values: Sequence[str], output: str, stored: Sequence[str]) -> Iterator[str]:
    """Names for a layer, the best first, and the output's, which is always one, last.

    Args:
        node_name: as the file has it, empty without one.
        values: names of gamma, beta, mean and variance, as far as the layer has them.
        output: of the node.
        stored: names of all that the graph stores, sorted.
    """
    for value in (*values[2:], *values[:2]):
        known = owner(value)
        if known is not None:
            yield known
    if is_generated(node_name):
        shared = shared_name(values)
        if shared and _is_its_own(shared, values, stored):
            yield shared
    if node_name:
        yield node_name
    yield output


def shared_name(values: Sequence[str]) -> str:
    """What the names of a layer's values begin with alike, up to a separator; empty where that tells nothing.

    `layer1.0.bn1` of `layer1.0.bn1.scale_0`, ..., and `batch_norm2d_4` of paddle's `batch_norm2d_4.w_0` and `.b_0`.
    """
    named = [value for value in values if value]
    if len(named) < _FEWEST_VALUES:
        return ""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*named, strict=False))
    shared = "".join(letters[0] for letters in alike)
    if any(len(value) > len(shared) and value[len(shared)] not in _SEPARATORS for value in named):
        # It ends within a word of some name (`bn1.running_` of mean and var, `b` of bn1 and bias): go back to a whole.
        shared = shared[: max((shared.rfind(separator) for separator in _SEPARATORS), default=-1) + 1]
    shared = shared.rstrip(_SEPARATORS)
    return "" if _of_an_exporter(shared) else shared


def _is_its_own(shared: str, values: Sequence[str], stored: Sequence[str]) -> bool:
    """Whether no other value of the graph begins so: `model` of `model.12` and `model.13` names no layer."""
    alike = itertools.takewhile(lambda name: name.startswith(shared), stored[bisect_left(stored, shared) :])
    return all(name in values or name[len(shared) : len(shared) + 1] not in _SEPARATORS for name in alike)


def is_generated(name: str) -> bool:
    """Whether a node's name only counts nodes: `n1`, `p2o.BatchNormalization.0`, `BatchNormalization_12`, `7`."""
    left = _GENERATED.sub("", re.sub(r"[^a-z0-9]", "", name.lower()))
    return len(re.sub(r"\d", "", left)) < _FEWEST_LETTERS


def _of_an_exporter(shared: str) -> bool:
    """Whether the shared beginning is what an exporter gives to any value: `onnx::`, `p2o.`, `const_fold_opt`, `t`."""
    words = re.findall(r"[a-z]+", shared.lower())
    return all(len(word) < _FEWEST_LETTERS or word in _OF_ANY_VALUE for word in words)
