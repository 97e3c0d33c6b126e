"""The difference of two checkpoints is put into plain words here."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence

from bncheck.render.words.cells import count, number
from bncheck.results import INCONCLUSIVE, NOT_CHECKED, Difference, LayerChange, TensorChange
from bncheck.vocabulary import Spelling, argument, spelled

NAMED = 5
_DECIDING = ("expect_frozen", "key", "key_after", "trust_pickle", "allow_op")
"""Options that decide what is compared."""
LEGEND = (
    "shift: the largest over the channels; scale: the range over the channels; gap: root mean square over the "
    "channels, of the second file's statistics from the first's, in the first's standard deviations."
)
LEGEND_OF_TENSORS = "change: norm of the difference by the larger norm."


def layers_told(difference: Difference) -> list[LayerChange]:
    """The layers that moved, and those that were not to; what moved most first."""
    told = [layer for layer in difference.layers if layer.moved or layer.expected_frozen]
    return sorted(told, key=lambda layer: -size(layer.gap))


def tensors_told(difference: Difference) -> list[TensorChange]:
    """The other tensors that moved, what moved most first."""
    return sorted((each for each in difference.tensors if each.moved), key=lambda each: -size(each.change))


def headline_of_difference(difference: Difference) -> str:
    """What moved, in one sentence."""
    summary = difference.summary
    if summary.verdict == NOT_CHECKED and not summary.tensors_compared:
        return "Not compared: the two files have nothing in common, neither layers nor tensors of the same name."
    if summary.verdict == NOT_CHECKED:
        before, after = difference.before.path, difference.after.path
        return (
            "Not compared: no layer has statistics in both files. Where an export folded them into other layers, "
            f"`bncheck inspect {after} --reference {before}` compares them by the numbers."
        )
    if summary.verdict == INCONCLUSIVE:
        return "Not all compared: some of the layers that were to be frozen are in one of the files only."
    if not summary.layers_moved and not summary.tensors_moved:
        return "Nothing moved."
    if not difference.layers:
        return "No statistics to compare."
    if not summary.layers_moved:
        return "No statistics moved."
    worst = max((layer for layer in difference.layers if layer.moved), key=lambda layer: size(layer.gap))
    gap = number(worst.gap) if math.isfinite(worst.gap) else "not a number"
    return (
        f"The statistics of {summary.layers_moved} of {count(summary.layers_compared, 'layer')} moved; the largest gap "
        f"is {gap}, in {worst.name or 'the model itself'}."
    )


def command_again(difference: Difference) -> str | None:
    """The command that compares the same files in the same way; `None` where none was typed."""
    if difference.run.spelling is not Spelling.COMMAND_LINE:
        return None
    words = ["bncheck", "diff", difference.before.path, difference.after.path]
    for name in _DECIDING:
        value = difference.run.options.get(name)
        option = spelled(argument(name), Spelling.COMMAND_LINE)
        if value is True:
            words.append(option)
        elif value:
            given = value if isinstance(value, list | tuple) else [value]
            words += [word for each in given for word in (option, str(each))]
    return shlex.join(words)


def counts(difference: Difference) -> Iterator[str]:
    """How much else there is."""
    summary = difference.summary
    if not summary.layers_moved and summary.layers_compared:
        yield f"The statistics of {count(summary.layers_compared, 'layer')} are the same."
    if summary.tensors_compared:
        yield f"{summary.tensors_moved} of {count(summary.tensors_compared, 'other tensor')} moved."
    for names, where in ((difference.only_before, "first"), (difference.only_after, "second")):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            shown = ", ".join(name or "the model itself" for name in names[:NAMED])
            yield f"Only in the {where}: {shown}{more}."


def verdict_of_layer(layer: LayerChange) -> str:
    """A layer's own line."""
    if layer.expected_frozen:
        return "BN402" if layer.moved else "frozen"
    return "moved"


def worst_channel(layer: LayerChange) -> str:
    """The channel of the largest gap, and that gap."""
    return "" if layer.worst_channel is None else f"{layer.worst_channel}: {number(layer.gap_max)}"


def updates(layer: LayerChange) -> str:
    """How many batches each file has counted."""
    if layer.updates_before is None and layer.updates_after is None:
        return ""
    before, after = ("?" if each is None else f"{each:d}" for each in (layer.updates_before, layer.updates_after))
    return before if before == after else f"{before} to {after}"


def shape_of(tensor: TensorChange) -> str:
    """`10x512`; `1` for a single number."""
    return "x".join(map(str, tensor.shape)) or "1"


def more(total: int, shown: Sequence[object]) -> list[str]:
    """That a table was cut."""
    return [f"And {total - len(shown)} more that moved less."] if total > len(shown) else []


def size(value: float | None) -> float:
    """What cannot be told is the largest."""
    return math.inf if value is None or math.isnan(value) else value
