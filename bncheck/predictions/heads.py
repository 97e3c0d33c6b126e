"""Labels of several outputs, and which output each of them judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bncheck.data import Labels, foremost
from bncheck.errors import DataError
from bncheck.predictions.outputs import by_key, choose_output, floating_outputs, is_number
from bncheck.tensors import torch
from bncheck.vocabulary import argument

Heads = dict[str, tuple[str, torch.Tensor]]
"""By the name of its labels, what chooses an output, and the labels; the foremost comes first."""


def judged_by(output: Any, labels: Mapping[str, torch.Tensor], selector: str | None) -> Heads:
    """The outputs that labels judge.

    Labels go by the outputs' keys, or by their indices. Where no name fits, as many outputs as labels are taken in the
    order in which they come, as those of exported programs, which have lost their keys; and a model of one output is
    judged by the foremost labels. Labels that no output has judge nothing: weights of the samples may be among them.

    Args:
        output: what the model returned.
        labels: by name.
        selector: the one output that counts (`--output`); `None` for all.

    Raises:
        DataError: no labels are of an output, or none are of the one that counts.
    """
    first = foremost(dict(labels))[0]
    names = sorted(labels, key=lambda name: name != first)  # stable: the others stay in their order
    if selector is not None:
        return {name: (selector, labels[name]) for name in (_of_selected(output, labels, selector),)}
    found = {name: (name, labels[name]) for name in names if _is_among(output, name)}
    if found:
        return found
    places = floating_outputs(output)
    if len(places) == len(labels):
        return {name: (places[list(labels).index(name)], labels[name]) for name in names}
    if len(places) == 1 and first is not None:
        return {first: (places[0], labels[first])}
    raise DataError(
        f"The labels are named {_listed(labels)}, and the model returns {_outputs_in_words(output)}: name the labels "
        f"like the outputs, give them in the outputs' order, or say which output they are of with {argument('output')}."
    )


def foremost_head(output: Any, labels: Labels | None, selector: str | None) -> tuple[str | None, torch.Tensor | None]:
    """What chooses the output that counts, and its labels: of several the foremost."""
    if labels is None or isinstance(labels, torch.Tensor):
        return selector, labels
    return next(iter(judged_by(output, labels, selector).values()))


def _of_selected(output: Any, labels: Mapping[str, torch.Tensor], selector: str) -> str:
    """The name of the labels of that output."""
    keys = list(by_key(output)) if isinstance(output, Mapping) else []
    number = int(selector) if is_number(selector) else None
    if number is not None and selector not in keys and -len(keys) <= number < len(keys):
        selector = keys[number]
    if selector in labels:
        return selector
    place = keys.index(selector) if selector in keys else number
    count = len(floating_outputs(output))
    if place is not None and not any(_is_among(output, name) for name in labels) and count == len(labels):
        return list(labels)[place]
    raise DataError(
        f"{argument('output')} {selector}: the labels are named {_listed(labels)}, and none of them is of that output."
    )


def _is_among(output: Any, name: str) -> bool:
    """Whether the model returns a floating tensor by that key or index."""
    if isinstance(output, Mapping):
        return choose_output(by_key(output).get(name), None) is not None
    if isinstance(output, Sequence) and not isinstance(output, str):
        return is_number(name) and 0 <= int(name) < len(output) and choose_output(output[int(name)], None) is not None
    return name == "0" and choose_output(output, None) is not None


def _outputs_in_words(output: Any) -> str:
    if isinstance(output, Mapping):
        return f"the keys {_listed(output)}"
    return f"{len(floating_outputs(output))} outputs, numbered from 0"


def _listed(names: Mapping[Any, Any]) -> str:
    return ", ".join(map(str, names)) or "(none)"
