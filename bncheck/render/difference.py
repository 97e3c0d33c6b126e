"""The difference of two checkpoints: a page for the terminal, JSON, CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bncheck.render.terminal.columns import Column, plain_table, table_of_layers
from bncheck.render.terminal.layer_table import KINDS, STYLES
from bncheck.render.terminal.page import print_parts, prose, sentence
from bncheck.render.words.cells import count, number, printable, shorten, span
from bncheck.render.words.report import about_model, noted
from bncheck.results.difference import COLUMNS, Difference, LayerChange, TensorChange
from bncheck.results.report import INCONCLUSIVE, NOT_CHECKED, ModelFacts
from bncheck.vocabulary import Severity

SHOWN = 20
"""Rows of a table before it says how many more there are."""
NAMED = 5
_LEGEND = (
    "shift: the largest over the channels; scale: the range over the channels; gap: root mean square over the "
    "channels, of the second file's statistics from the first's, in the first's standard deviations."
)


def render_json(difference: Difference) -> str:
    """One JSON document; numbers are finite or null."""
    return json.dumps(difference.to_dict(), indent=2, allow_nan=False) + "\n"


def render_csv(difference: Difference) -> str:
    """One row for every layer and every other tensor; missing values are empty."""
    import pandas

    whole = ["channels", "worst_channel", "updates_before", "updates_after"]
    frame = pandas.DataFrame(difference.rows(), columns=COLUMNS).astype(dict.fromkeys(whole, "Int64"))
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


FORMATS: dict[str, Callable[[Difference], str]] = {"json": render_json, "csv": render_csv}


def print_difference(difference: Difference, console: Console) -> None:
    """Print what moved, what was to stay, and what was found."""
    print_parts(_parts(difference, console.width), console)


def _parts(difference: Difference, width: int) -> Iterator[RenderableType]:
    yield prose(_file(difference.before), _file(difference.after))
    layers = sorted(_told(difference.layers), key=lambda layer: -_size(layer.gap))
    if layers:
        yield Text("")
        yield _layers(layers[:SHOWN], width)
        yield prose(*_more(len(layers)), sentence(_LEGEND, "dim"))
    tensors = sorted((each for each in difference.tensors if each.moved), key=lambda each: -_size(each.change))
    if tensors:
        yield Text("")
        yield _tensors(tensors[:SHOWN], width)
        yield prose(*_more(len(tensors)), sentence("change: norm of the difference by the larger norm.", "dim"))
    yield prose(Text(""), sentence(_headline(difference), "bold"), *map(sentence, _counts(difference)))
    for finding in difference.findings:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column()
        title = Text(f"{finding.code} {finding.severity}", style=STYLES[finding.severity])
        grid.add_row(title, sentence(finding.message))
        grid.add_row("", Text.assemble(("What to do: ", "bold"), sentence(finding.fix)))
        yield prose(Text(""), grid)
    ending = noted(difference.run)
    if difference.findings:
        ending.insert(0, f"More: bncheck rule {difference.findings[0].code}")
    if ending:
        yield prose(Text(""), *(sentence(line, "dim") for line in ending))


def _file(model: ModelFacts) -> Text:
    return Text.assemble(sentence(model.path, "bold"), sentence(f"  {about_model(model)}"))


def _told(layers: Sequence[LayerChange]) -> list[LayerChange]:
    """Those that moved, and those that were not to."""
    return [layer for layer in layers if layer.moved or layer.expected_frozen]


def _layers(layers: Sequence[LayerChange], width: int) -> Table:
    def column(title: str, cell: Callable[[LayerChange], str], rank: int, *, left: bool = False) -> Column:
        return Column(title, [cell(layer) for layer in layers], rank, left)

    columns = [
        column("kind", lambda layer: KINDS.get(layer.kind, layer.kind), 5, left=True),
        column("ch", lambda layer: str(layer.channels), 4),
        column("shift", lambda layer: number(layer.shift_max), 1),
        column("scale", lambda layer: span(layer.scale_min, layer.scale_max), 2),
        column("gap", lambda layer: number(layer.gap), 0),
        column("worst channel", _worst, 7),
        column("updates", lambda layer: _updates(layer), 6),
        column("called before", lambda layer: "" if layer.original == layer.name else layer.original, 8, left=True),
        column("verdict", _verdict, 0, left=True),
    ]
    shown = [each for each in columns if set(each.cells) != {""}]
    styles = [STYLES[Severity.WARNING] if layer.moved and layer.expected_frozen else "" for layer in layers]
    return table_of_layers([layer.name for layer in layers], shown, styles, width)


def _worst(layer: LayerChange) -> str:
    return "" if layer.worst_channel is None else f"{layer.worst_channel}: {number(layer.gap_max)}"


def _updates(layer: LayerChange) -> str:
    if layer.updates_before is None and layer.updates_after is None:
        return ""
    before, after = ("?" if each is None else f"{each:d}" for each in (layer.updates_before, layer.updates_after))
    return before if before == after else f"{before} to {after}"


def _verdict(layer: LayerChange) -> str:
    if layer.expected_frozen:
        return "BN402" if layer.moved else "frozen"
    return "moved"


def _tensors(tensors: Sequence[TensorChange], width: int) -> Table:
    table = plain_table()
    table.add_column("tensor", no_wrap=True)
    table.add_column("shape", justify="right", no_wrap=True)
    table.add_column("change", justify="right", no_wrap=True)
    shapes = ["x".join(map(str, tensor.shape)) or "1" for tensor in tensors]
    room = max(16, width - max(map(len, shapes)) - len("change") - 4)
    for tensor, shape in zip(tensors, shapes, strict=True):
        name = printable(tensor.name).replace("\n", "�")
        table.add_row(Text(shorten(name, room)), shape, number(tensor.change))
    return table


def _more(total: int) -> list[Text]:
    return [sentence(f"And {total - SHOWN} more that moved less.", "dim")] if total > SHOWN else []


def _headline(difference: Difference) -> str:
    summary = difference.summary
    if summary.verdict == NOT_CHECKED and not summary.tensors_compared:
        return "Not compared: the two files have nothing in common, neither layers nor tensors of the same name."
    if summary.verdict == NOT_CHECKED:
        before, after = difference.before.path, difference.after.path
        return (
            "Not compared: no layer has statistics in both files. Where an export folded them into other layers, "
            f"bncheck inspect {after} --reference {before} compares them by the numbers."
        )
    if summary.verdict == INCONCLUSIVE:
        return "Not all compared: some of the layers that were to be frozen are in one of the files only."
    if not summary.layers_moved and not summary.tensors_moved:
        return "Nothing moved."
    if not difference.layers:
        return "No statistics to compare."
    if not summary.layers_moved:
        return "No statistics moved."
    worst = max((layer for layer in difference.layers if layer.moved), key=lambda layer: _size(layer.gap))
    gap = number(worst.gap) if math.isfinite(worst.gap) else "not a number"
    return (
        f"The statistics of {summary.layers_moved} of {count(summary.layers_compared, 'layer')} moved; the largest gap "
        f"is {gap}, in {worst.name or 'the model itself'}."
    )


def _counts(difference: Difference) -> Iterator[str]:
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


def _size(value: float | None) -> float:
    """What cannot be told is the largest."""
    return math.inf if value is None or math.isnan(value) else value
