"""The page of a difference shows what moved, what was to stay, and every layer and tensor of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bncheck.render.html import view
from bncheck.render.html.filling import filled
from bncheck.render.html.tables import Line
from bncheck.render.html.threshold_words import thresholds_told
from bncheck.render.html.view import Cell, order
from bncheck.render.told import told
from bncheck.render.words import difference as words
from bncheck.render.words.cells import count, number, span
from bncheck.render.words.layers import KINDS
from bncheck.render.words.report import about_model
from bncheck.results import Difference, LayerChange, TensorChange
from bncheck.vocabulary import Severity, Verdict

LISTED = 500
"""The most tensors in the table, those that moved most."""
LAYER_TITLES = ("layer", "kind", "channels", "shift", "scale", "gap", "worst channel", "updates", "verdict")
TENSOR_TITLES = ("tensor", "shape", "change")


def page_of_difference(difference: Difference) -> str:
    """The difference as a page that needs nothing but itself."""
    about = told(difference)
    layers = [_layer(layer) for layer in difference.layers]
    tensors = words.tensors_told(difference)
    shown = tensors[:LISTED]
    return filled(
        "difference.html.j2",
        version=difference.version,
        title=f"{difference.before.path} and {difference.after.path}",
        first="difference",
        standing="untold" if about.alarm else "ok" if difference.summary.verdict == Verdict.OK else "findings",
        verdict=difference.summary.verdict.replace("-", " "),
        headline=about.headline,
        files=(difference.before, difference.after),
        about_model=about_model,
        tiles=list(_tiles(difference)),
        counts=list(words.counts(difference)),
        groups=view.groups(difference.findings),
        layers=layers,
        layers_caption=f"{count(len(layers), 'layer')}. {words.LEGEND}",
        layer_titles=LAYER_TITLES,
        tensors=[_tensor(tensor) for tensor in shown],
        tensors_caption=" ".join([words.LEGEND_OF_TENSORS, *words.more(len(tensors), shown)]),
        tensor_titles=TENSOR_TITLES,
        only=(("Only in the first file", difference.only_before), ("Only in the second file", difference.only_after)),
        run=replace(difference.run, again=words.command_again(difference)),
        thresholds=thresholds_told(difference.run.thresholds),
        closing=[f"More: bncheck rule {difference.findings[0].code}"] if difference.findings else [],
        facts=[
            ("sha256 of the first file", difference.before.sha256),
            ("sha256 of the second file", difference.after.sha256),
            ("exit code", difference.summary.exit_code),
        ],
        script=len(layers) > 1,
    )


def _tiles(difference: Difference) -> Iterator[tuple[str, str]]:
    summary = difference.summary
    yield "layers moved", f"{summary.layers_moved} of {summary.layers_compared}"
    yield "other tensors moved", f"{summary.tensors_moved} of {summary.tensors_compared}"
    if moved := words.layers_told(difference):
        yield "largest gap", number(moved[0].gap)
    if frozen := [layer for layer in difference.layers if layer.expected_frozen]:
        yield "moved of those to stay", f"{sum(layer.moved for layer in frozen)} of {len(frozen)}"


def _layer(layer: LayerChange) -> Line:
    verdict = words.verdict_of_layer(layer) if layer.moved or layer.expected_frozen else "same"
    called = "" if layer.original == layer.name else f", called {layer.original or 'the model itself'} before"
    return Line(
        layer.name,
        (
            Cell(KINDS.get(layer.kind, layer.kind), None),
            Cell(str(layer.channels), layer.channels),
            Cell(number(layer.shift_max), order(layer.shift_max)),
            Cell(span(layer.scale_min, layer.scale_max), order(layer.scale_max)),
            Cell(number(layer.gap), order(layer.gap)),
            Cell(words.worst_channel(layer), order(layer.gap_max)),
            Cell(words.updates(layer), order(layer.updates_after)),
        ),
        f"{verdict}{called}",
        Severity.WARNING if layer.moved and layer.expected_frozen else "",
    )


def _tensor(tensor: TensorChange) -> Line:
    return Line(tensor.name, (Cell(words.shape_of(tensor), None), Cell(number(tensor.change), None)))
