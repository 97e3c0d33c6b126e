"""Every layer is judged in a word or two, and those that deserve a look are told from those that do not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bncheck.render.words.cells import count, number
from bncheck.render.words.reasons import reason_in_a_cell
from bncheck.results import AUDITED, INFO, LIMIT, MEASURED, SKIPPED, Finding, LayerReport, Report
from bncheck.vocabulary import Severity, Sort

DATA_GROUP = "BN6"
OF_NO_SOURCE = frozenset({LIMIT, "BN606"})
"""Codes that name layers whatever their gap comes from; all others name those whose own statistics are off."""
SHOWN = 10
"""Rows of a table that shows only what deserves a look; every verdict has one at the least."""
FINE = "ok"
BEYOND = "gap"
"""The verdict on a layer beyond what healthy ones have, of which no finding speaks."""


@dataclass(frozen=True, slots=True)
class JudgedLayer:
    """A layer with what is said of it.

    Attributes:
        layer: what was measured.
        verdict: the last column of the tables.
        rank: how grave the gravest finding is that counts, 0 for an error; above all severities without any.
        telling: it deserves a look: a finding that counts names it, or its gap is beyond what healthy layers have.
    """

    layer: LayerReport
    verdict: str
    rank: int
    telling: bool

    @property
    def badness(self) -> tuple[int, float]:
        """By which the worst come first."""
        gap = self.layer.gap
        return -self.rank, -1.0 if gap is None else gap if math.isfinite(gap) else math.inf


def judged_layers(report: Report) -> list[JudgedLayer]:
    """Every layer in the order of the network."""
    found, margin = concerning(report), report.run.margin
    return [_judged(layer, found.get(layer.name, ()), margin) for layer in report.layers]


def worth_showing(judged: Sequence[JudgedLayer]) -> list[JudgedLayer]:
    """Those that deserve a look, the worst of them where there are many, in the order of the network.

    Each verdict keeps its worst layer, so that none of the codes is without an example.
    """
    worst = sorted((each for each in judged if each.telling), key=lambda each: each.badness, reverse=True)
    first: dict[str, JudgedLayer] = {}
    for each in worst:
        first.setdefault(each.verdict, each)
    chosen = {id(each) for each in first.values()}
    for each in worst:
        if len(chosen) >= SHOWN:
            break
        chosen.add(id(each))
    return [each for each in judged if id(each) in chosen]


def in_order(judged: Sequence[JudgedLayer], sort: Sort) -> list[JudgedLayer]:
    """The layers as a reader wants them: as the network runs them, the largest gaps first, or by name."""
    if sort is Sort.GAP:
        return sorted(judged, key=lambda each: each.badness[1], reverse=True)
    return sorted(judged, key=lambda each: each.layer.name) if sort is Sort.NAME else list(judged)


def left_out(judged: Sequence[JudgedLayer], shown: Sequence[JudgedLayer]) -> str:
    """What is to be known of the layers that a table leaves out: `47 layers ok (gap up to 0.21)`; else nothing."""
    kept = {id(each) for each in shown}
    groups: dict[str, list[JudgedLayer]] = {}
    for each in judged:
        if id(each) not in kept:
            groups.setdefault(_named(each), []).append(each)
    named = sorted(groups, key=lambda name: (name != FINE, not groups[name][0].telling))
    return "; ".join(_several(name, groups[name], is_first=at == 0) for at, name in enumerate(named))


def concerning(report: Report) -> dict[str, list[Finding]]:
    """By layer, the findings that name it: alone, or among the layers of their evidence."""
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        for name in finding.layers:
            found.setdefault(name, []).append(finding)
    return found


def layer_verdict(layer: LayerReport, findings: Sequence[Finding], margin: float) -> str:
    """A layer's own line: its findings, why it was skipped, or where its gap comes from.

    A remark on several layers, which is not about their gaps, does not hide how each of them fares.
    """
    codes = list(dict.fromkeys(finding.code for finding in findings if not _in_passing(finding)))
    if codes:
        return " ".join(codes) + (", inherited" if _is_named_as_heir(layer, findings, margin) else "")
    if layer.status == SKIPPED:
        return "skipped" if layer.reason is None else reason_in_a_cell(layer.reason)
    if layer.status == AUDITED or layer.gap is None:
        return "audited"
    if not math.isfinite(layer.gap):
        return "not finite"
    if layer.gap <= margin:
        return FINE
    return "inherited" if _inherited(layer, margin) else BEYOND


def _judged(layer: LayerReport, findings: Sequence[Finding], margin: float) -> JudgedLayer:
    about_it = [finding for finding in findings if not _in_passing(finding)]
    counting = [finding for finding in about_it if finding.accepted is None]
    rank = min((Severity(finding.severity).rank for finding in counting), default=len(Severity))
    beyond = not about_it and layer.status == MEASURED and layer.gap is not None and not layer.gap <= margin
    return JudgedLayer(layer, layer_verdict(layer, findings, margin), rank, bool(counting) or beyond)


def _named(each: JudgedLayer) -> str:
    """How a sentence calls layers of that kind."""
    layer, verdict = each.layer, each.verdict
    if each.telling or verdict in (FINE, AUDITED):
        return verdict
    return f"skipped ({verdict})" if layer.status == SKIPPED else f"{verdict} accepted"


def _several(name: str, group: Sequence[JudgedLayer], *, is_first: bool) -> str:
    """How many they are, and how far off: those worth showing are more of what is shown."""
    gaps = [each.layer.gap for each in group if each.layer.gap is not None]
    largest = max(gaps, key=lambda gap: gap if math.isfinite(gap) else math.inf, default=None)
    reach = "" if largest is None else f" (gap {'up to ' if len(group) > 1 else ''}{number(largest)})"
    noun = "more layer" if group[0].telling else "layer"
    many = count(len(group), noun) if is_first else f"{len(group)}{' more' if group[0].telling else ''}"
    if name == BEYOND:
        return f"{many} with a gap {'up to ' if len(group) > 1 else 'of '}{number(largest)}"
    return f"{many} {name}{reach}"


def _in_passing(finding: Finding) -> bool:
    about_several = finding.layer is None and bool(finding.layers)
    return finding.severity == INFO and about_several and not finding.code.startswith(DATA_GROUP)


def _is_named_as_heir(layer: LayerReport, findings: Sequence[Finding], margin: float) -> bool:
    """Whether a layer that findings name only inherits: its own gap is within the margin, and none names a source."""
    told = {finding.code for finding in findings if not _in_passing(finding)}
    return told <= OF_NO_SOURCE and _inherited(layer, margin)


def _inherited(layer: LayerReport, margin: float) -> bool:
    """Whether the gap comes from the layers before: with their errors removed it is gone."""
    if layer.gap is None or layer.own_gap is None:
        return False
    return layer.own_gap <= margin < layer.gap
