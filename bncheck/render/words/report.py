"""What a report says is put into plain words here, shared by the formats that people read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from bncheck.core import THRESHOLDS
from bncheck.render.words.cells import count, number
from bncheck.render.words.predictions import prediction_lines, suffering
from bncheck.render.words.training_input import eps_in_training, fed_in_training
from bncheck.results import (
    ERROR,
    FINDINGS,
    INCONCLUSIVE,
    INFO,
    NOT_CHECKED,
    OK,
    SKIPPED,
    WARNING,
    Cost,
    Finding,
    LayerReport,
    ModelFacts,
    ReadAsData,
    Report,
    Run,
    compared_with,
    unexplained,
    untold_layers,
)
from bncheck.vocabulary import Harm, Reason, argument, spelled

ALIKE = 5
"""How many findings of one kind are told in full."""

EXIT_OF = {OK: 0, FINDINGS: 1, INCONCLUSIVE: 4, NOT_CHECKED: 4}
"""What each verdict usually ends with."""
TOLD_NOTHING = 4
DRIFT, GAP = "BN603", "gap"
_DATA = argument("data", "D")


def about_model(model: ModelFacts) -> str:
    """What was inspected: its format and size."""
    return f"{model.format.replace('_', ' ')}, {count(model.norm_layers, 'norm layer')}"


def about_data(report: Report) -> str:
    """What it was run on, or that it was not."""
    data = report.data
    if data is None:
        given = report.run.asked.data
        return f"{'no data' if given is None else f'not run on {given}'}: the stored values alone"
    labels = "with labels" if data.labelled else "without labels"
    return f"{data.source}  {count(data.samples, 'sample')} {labels}, batches of {data.batch_size}"


def in_one_line(report: Report) -> str:
    """What was inspected on what, after the model's name."""
    data = report.data
    if data is None:
        return f", {about_data(report)}"
    labels = "with labels" if data.labelled else "without labels"
    return f" on {data.source} ({count(data.samples, 'sample')} {labels})"


def alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings that count and ask for the same thing together, in the order of the first of each.

    Accepted ones are told in the notes.
    """
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        if finding.accepted is None:
            groups.setdefault((finding.code, finding.severity, finding.fix), []).append(finding)
    return list(groups.values())


def headline(report: Report) -> str:
    """The verdict in one sentence."""
    return spelled(_headline(report), report.run.spelling)


def _headline(report: Report) -> str:
    summary = report.summary
    if summary.verdict == FINDINGS:
        counting, accepted = _counted_apart(report)
        if not counting:
            untold = unexplained(untold_layers(report.layers), report.findings)
            behind = f", and {count(len(untold), 'more layer')} could not be judged" if untold else ""
            return f"Found nothing that counts: {accepted} accepted{behind}."
        return f"Found {counting}." if not accepted else f"Found {counting}; {accepted} accepted."
    if summary.verdict == NOT_CHECKED:
        if report.layers and report.data is not None and any(_unreached(layer) for layer in report.layers):
            return "Not checked: no layer with stored statistics was reached by these data."
        if any(layer.reason is Reason.UNTOLD for layer in report.layers):
            return "Not checked: all stored statistics are mean 0 and variance 1, never updated or folded on purpose."
        return "Not checked: there is no normalization layer with stored statistics in this file."
    if summary.verdict == INCONCLUSIVE:
        untold = unexplained(untold_layers(report.layers), report.findings)
        if untold:
            return f"Inconclusive: the gap of {count(len(untold), 'layer')} is not a number."
        return "Inconclusive: too few samples to tell."
    if report.data is None:
        architecture = f"{argument('arch', 'FILE.py:CALLABLE')} " if report.model.runnable is False else ""
        can_tell = f"only data can tell: {architecture}{_DATA}"
        return f"Nothing wrong in the stored values. Whether they describe your data, {can_tell}."
    beyond = [layer for layer in report.layers if layer.gap is not None and layer.gap > _margin_of(report)]
    if not beyond:
        return f"The {compared_with(report.run.noted)} statistics describe these data."
    if drift := [finding for finding in report.findings if finding.code == DRIFT]:
        return f"The data differ from the {compared_with(report.run.noted)} statistics{_harm(drift)}."
    if telling := _telling_of(beyond, report.findings):
        codes = ", ".join(sorted({finding.code for finding in telling}))
        lie = "lies" if len(beyond) == 1 else "lie"
        return f"{count(len(beyond), 'layer')} {lie} beyond a gap of {_margin_of(report)} ({codes}){_harm(telling)}."
    found = f"No fault found, with {count(len(beyond), 'layer')} beyond a gap of {_margin_of(report)}"
    if report.run.asked.chosen:
        return f"{found}: no rule among those selected objects."
    return f"{found}: that it is more than noise, or costs anything, is not sure."


def _telling_of(layers: Sequence[LayerReport], findings: Sequence[Finding]) -> list[Finding]:
    """Those that say what such layers cost: remarks, where nothing counts."""
    names = {layer.name for layer in layers}
    return [finding for finding in findings if finding.cost is not None and names & set(finding.layers)]


def _harm(findings: Sequence[Finding]) -> str:
    """What that does to the predictions, as far as it is known."""
    costs = [finding.cost for finding in findings if finding.cost is not None]
    if {cost.harm for cost in costs} == {Harm.EXCLUDED}:
        return ", without harm to the predictions"
    enough = " enough to count" if any(_is_sure(cost) for cost in costs) else ""
    return f"; whether that costs predictions{enough}, these samples do not show"


def _is_sure(cost: Cost) -> bool:
    """Tell whether something is sure to be lost, however little: recalibrating is advised then."""
    if cost.low is None or cost.high is None:
        return False
    half = (cost.high - cost.low) / 2 / THRESHOLDS.two_sided_z
    return (cost.high + cost.low) / 2 > THRESHOLDS.confidence_z * half


def _counted_apart(report: Report) -> tuple[str, str]:
    """How many errors and warnings count, and how many were accepted; empty where there are none."""
    counting = [finding for finding in report.findings if finding.accepted is None]
    accepted = [finding for finding in report.findings if finding.accepted is not None]
    return _counted(counting), _counted(accepted)


def _counted(findings: Sequence[Finding]) -> str:
    severities = [finding.severity for finding in findings]
    return " and ".join(count(severities.count(name), name) for name in (ERROR, WARNING) if name in severities)


def too_little_checked(report: Report) -> bool:
    """Whether nothing was checked, or too little to tell: no green light may come of it."""
    return report.summary.exit_code == TOLD_NOTHING or report.summary.verdict in (INCONCLUSIVE, NOT_CHECKED)


def standing(report: Report) -> str:
    """`findings`, `untold` or `ok`: the verdict as it counts, with what was accepted left out."""
    if report.summary.verdict == FINDINGS and _counted_apart(report)[0]:
        return FINDINGS
    return "untold" if too_little_checked(report) else OK


def effect_lines(report: Report) -> list[str]:
    """The gap of the model, and what it does to the predictions."""
    return [*gap_lines(report), *prediction_lines(report)]


def closing(report: Report) -> list[str]:
    """What else there is to know: an exit code that surprises, and how to get further from here."""
    told = [*fed_in_training(report), *eps_in_training(report)]
    lines = [*exit_lines(report), *_architecture_lines(report), *told]
    return [*lines, f"More: {rules_to_read(report)}"] if rules_to_read(report) else lines


def rules_to_read(report: Report) -> str:
    """The command that explains the findings; empty without any that count."""
    codes = sorted({finding.code for finding in report.findings if finding.severity != INFO})
    also = f" (also {', '.join(codes[1:])})" if codes[1:] else ""
    return f"bncheck rule {codes[0]}{also}" if codes else ""


def _architecture_lines(report: Report) -> list[str]:
    if report.data is not None or report.model.runnable is not False:
        return []
    is_described = any(isinstance(note, ReadAsData) and note.is_module for note in report.run.noted)
    holds = "The module was read as data: to run it" if is_described else "The file holds tensors only: to run them"
    line = f"{holds} on data, name the architecture too, {argument('arch', 'FILE.py:CALLABLE')} {_DATA}."
    return [spelled(line, report.run.spelling)]


def next_step(report: Report) -> tuple[str, str] | None:
    """The command to type next, and what it is for; `None` where nothing has to be done."""
    command = report.summary.next
    if command is None:
        return None
    if command == report.run.again:
        return "Then check", command
    is_open = re.search(r"(?<![\w/])TRAIN(?![\w/])", command) is not None
    return f"To do{' (TRAIN: data like those of training)' if is_open else ''}", command


def noted(run: Run, *, briefly: bool = False) -> list[str]:
    """A run's notes as sentences; briefly those alone that change what the verdict means."""
    told = zip(run.noted, run.notes, strict=True)
    return [f"Note: {said.rstrip('.')}." for note, said in told if note.qualifies or not briefly]


def gap_lines(report: Report) -> list[str]:
    """The gap of the model, by what it is judged, and layers whose calls disagree."""
    summary = report.summary
    if summary.gap is None:
        return _call_lines(report)
    if not math.isfinite(summary.gap):
        return ["Where statistics or inputs are not finite there is no gap to give.", *_call_lines(report)]
    own = summary.own_gap
    removed = "" if own is None else f"; with upstream errors removed, {number(own)}"
    return [
        f"The gap over all layers is {number(summary.gap)}{removed}. {_margin(report)}",
        *_worst(report),
        *_call_lines(report),
    ]


def _margin(report: Report) -> str:
    margin = _margin_of(report)
    smallest = report.summary.smallest_detectable_gap
    used = _counted_from(report.findings, margin)
    if used < margin:
        return f"Healthy layers stay below {margin}; here gaps from {used} on count, since {suffering(report)}."
    if smallest is None:
        return f"Healthy layers stay below {margin}."
    if not math.isfinite(smallest):
        return f"Healthy layers stay below {margin}; so few samples cannot show a gap of any size."
    return f"Healthy layers stay below {margin}; the smallest gap these samples can show is {smallest:.2g}."


def _worst(report: Report) -> list[str]:
    measured = [layer for layer in report.layers if layer.gap_max is not None and math.isfinite(layer.gap_max)]
    if not measured:
        return []
    worst = max(measured, key=lambda layer: layer.gap_max or 0.0)
    return [f"Worst channel: {worst.worst_channel} of {worst.name or 'the model'}, gap {number(worst.gap_max)}."]


def _call_lines(report: Report) -> list[str]:
    """Layers that run several times in a forward, where their calls disagree by more than healthy layers do."""
    lines = []
    for layer in report.layers:
        gaps = layer.call_gaps or ()
        if gaps and all(map(math.isfinite, gaps)) and max(gaps) - min(gaps) > _margin_of(report):
            name = layer.name or "The model"
            reach = f"from {number(min(gaps))} to {number(max(gaps))}"
            lines.append(f"{name} runs {len(gaps)} times in a forward, with gaps {reach}.")
    return lines


def exit_lines(report: Report) -> list[str]:
    """Why the process ends otherwise than the verdict lets one expect."""
    return [spelled(line, report.run.spelling) for line in _exit_lines(report)]


def _exit_lines(report: Report) -> list[str]:
    summary = report.summary
    if summary.exit_code == EXIT_OF[summary.verdict]:
        return []
    if summary.verdict == FINDINGS and summary.exit_code == 0:
        counting, accepted = _counted_apart(report)
        if accepted and not counting:
            return []
        return [f"The exit code is 0 all the same: {argument('fail_on')} {report.run.asked.fail_on}."]
    if summary.layers_skipped:
        return [f"The exit code is {summary.exit_code}: {count(summary.layers_skipped, 'layer')} skipped."]
    return [f"The exit code is {summary.exit_code}: not everything was checked."]


def _counted_from(findings: Sequence[Finding], margin: float) -> float:
    """The gap above which drift counts: a smaller one than usual where the score is sure to suffer."""
    used = (finding.measure.limit for finding in findings if finding.code == DRIFT and finding.measure.unit == GAP)
    return min((each for each in used if each is not None), default=margin)


def _unreached(layer: LayerReport) -> bool:
    return layer.status == SKIPPED and layer.reason not in (Reason.NO_STATISTICS, Reason.FOLDED, Reason.UNTOLD)


def _margin_of(report: Report) -> float:
    return report.run.thresholds["margin"]
