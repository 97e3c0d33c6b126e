"""The one reading of outputs: which tensor of what a model returns is the prediction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bncheck.data import is_only_stored
from bncheck.errors import UsageError
from bncheck.tensors import torch
from bncheck.vocabulary import argument, with_article


def choose_output(output: Any, selector: str | None) -> torch.Tensor | None:
    """The tensor of `output` that is the prediction.

    Args:
        output: whatever the model returned.
        selector: a key or an index (`--output`); without it a tensor is itself, of a tuple or a dict the
            first floating tensor is taken, wherever it stands in it; of a list of dicts, one for each sample as
            detectors give them, all floating tensors, where each sample has as many numbers.

    Returns:
        A floating tensor, or `None` where there is none to be found without a selector.

    Raises:
        UsageError: `selector` names nothing in the output.
    """
    if selector is not None:
        chosen = _select(output, selector)
        if not isinstance(chosen, torch.Tensor):
            raise UsageError(_refusal(selector, f"that output is {with_article(type(chosen).__name__)}, not a tensor."))
        if not _is_dense(chosen):
            what = "sparse, nested, quantized, without values or of a type that PyTorch can only store"
            raise UsageError(_refusal(selector, f"that output is {what}."))
        return chosen
    if isinstance(output, torch.Tensor):
        return output if output.is_floating_point() and _is_dense(output) else None
    return _nested(output)


def read_scores(output: Any, selector: str | None) -> torch.Tensor | None:
    """The prediction as numbers to be compared: on the CPU, float32, without gradient; see `choose_output`."""
    chosen = choose_output(output, selector)
    return None if chosen is None else chosen.detach().float().cpu()


def floating_outputs(output: Any) -> list[str]:
    """What chooses each floating tensor that a model returned, in order."""
    if isinstance(output, torch.Tensor):
        return ["0"] if choose_output(output, None) is not None else []
    if isinstance(output, Mapping):
        return [key for key, value in by_key(output).items() if _first([value]) is not None]
    if isinstance(output, Sequence) and not isinstance(output, str):
        return [str(place) for place, value in enumerate(output) if _first([value]) is not None]
    return []


def by_key(output: Mapping[Any, Any]) -> dict[str, Any]:
    """A dict of outputs by what chooses them, in its order: keys may be numbers, and what is typed is text.

    >>> by_key({0: "a", 2: "b"})
    {'0': 'a', '2': 'b'}
    """
    found = {key: value for key, value in output.items() if isinstance(key, str)}  # text goes before what reads like it
    return {text: found.get(text, value) for text, value in ((str(key), value) for key, value in output.items())}


def not_finite(output: Any, selector: str | None) -> int:
    """How many samples of a batch are answered by what is no number.

    NaN and plus infinity are none; minus infinity is what scores that were masked on purpose are, unless nothing else
    is there. Without a selector all floating outputs are looked at; outputs that are not in step with each other count
    for the samples of the one that has most.
    """
    chosen = [choose_output(output, one) for one in ([selector] if selector is not None else floating_outputs(output))]
    found = [bad for one in chosen if one is not None and one.dim() and len(one) for bad in (_bad_samples(one),)]
    if not found:
        return 0
    if len({len(bad) for bad in found}) == 1:
        return int(torch.stack(found).any(0).sum())
    return max(int(bad.sum()) for bad in found)


def _bad_samples(scores: torch.Tensor) -> torch.Tensor:
    """Which samples hold what is no number, (N,) bool, on the CPU."""
    rows = scores.detach().reshape(len(scores), -1)
    rows = rows if rows.element_size() > 1 else rows.float()  # torch cannot compare numbers of 8 bits
    if not rows.shape[1] or bool(rows.isfinite().all()):
        return torch.zeros(len(rows), dtype=torch.bool)
    return (rows.isnan().any(1) | rows.isposinf().any(1) | ~rows.isfinite().any(1)).cpu()


def _select(output: Any, selector: str) -> Any:
    if isinstance(output, Mapping):
        outputs = by_key(output)
        if selector in outputs:
            return outputs[selector]
        if is_number(selector) and -len(output) <= int(selector) < len(output):
            return list(output.values())[int(selector)]
        raise UsageError(_refusal(selector, f"the model returns the keys {', '.join(outputs)}."))
    if isinstance(output, Sequence):
        if is_number(selector) and -len(output) <= int(selector) < len(output):
            return output[int(selector)]
        raise UsageError(_refusal(selector, f"the model returns {len(output)} outputs, numbered from 0."))
    if selector == "0":
        return output
    raise UsageError(_refusal(selector, f"the model returns one {type(output).__name__}, nothing to choose from."))


def is_number(selector: str) -> bool:
    """Whether it may be the index of an output, counted from the end if it is negative."""
    return re.fullmatch(r"-?[0-9]{1,9}", selector) is not None


def _refusal(selector: str, why: str) -> str:
    return f"{argument('output')} {selector}: {why}"


def _first(values: list[Any]) -> torch.Tensor | None:
    return next((v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point() and _is_dense(v)), None)


def _nested(output: Any) -> torch.Tensor | None:
    """The first floating tensor of what holds others, or those of every sample, (N, numbers)."""
    if not isinstance(output, Mapping) and (not isinstance(output, Sequence) or isinstance(output, str)):
        return None
    held = list(output.values()) if isinstance(output, Mapping) else list(output)
    if (first := _first(held)) is not None:
        return first
    if held and not isinstance(output, Mapping) and all(isinstance(one, Mapping) for one in held):
        rows = [_row(one) for one in held]
        return torch.stack(rows) if len({len(row) for row in rows}) == 1 and len(rows[0]) else None
    return next((found for one in held if (found := _nested(one)) is not None), None)


def _row(sample: Mapping[Any, Any]) -> torch.Tensor:
    """All floating numbers that a sample is answered by."""
    found = [value.detach().flatten() for value in sample.values() if _first([value]) is not None]
    return torch.cat(found) if found else torch.empty(0)


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether it holds its values one after the other, so that they can be compared, and PyTorch can read them."""
    unusual = tensor.is_nested or tensor.is_quantized or tensor.is_meta or is_only_stored(tensor.dtype)
    return not unusual and tensor.layout == torch.strided
