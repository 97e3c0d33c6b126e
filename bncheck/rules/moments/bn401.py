"""BN401: averaged weights whose statistics are another model's, or nobody's."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from bncheck.core import NormLayer, SiblingCopy
from bncheck.evidence import CopyFit, Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, in_words
from bncheck.rules.judging.drifting import drifted_layers
from bncheck.rules.judging.harm import severity_of
from bncheck.rules.judging.initial import is_initial, was_trained
from bncheck.rules.judging.measures import layers_counted, noise_of, worst
from bncheck.rules.judging.naming import name_some
from bncheck.rules.judging.warm_up import warm_up_of
from bncheck.rules.judging.weights import agreeing, are_raw, copies_in_evidence, fit_of, is_certain, said_of_copies
from bncheck.vocabulary import CHECK, Severity, argument

_UPDATE = f"{argument('method')} recalibrate"


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error where the averaged copy never got statistics; else by what data show of it, or the weights."""
    for sibling in evidence.siblings:
        if evidence.averaged and not sibling.averaged:
            yield from _inspected(evidence, sibling)
        elif sibling.averaged and not evidence.averaged:
            yield from _beside(evidence, sibling)


def _inspected(evidence: Evidence, raw: SiblingCopy) -> Iterator[Finding]:
    """Judge where the averaged copy is the one that was inspected."""
    stale = _left_behind(evidence.with_statistics(), raw.layers)
    if stale:
        yield Finding(
            code="BN401",
            severity=Severity.ERROR,
            layers=tuple(layer.name for layer in stale),
            message=(
                f"These are averaged weights without statistics of their own: those of {name_some(stale)} are the "
                f"initial ones, while the raw model in the same file ({_shown(raw)}) has learned them."
            ),
            fix=(
                f"Measure the statistics under the averaged weights on training data ({_UPDATE}); or average or copy "
                "the buffers along with the weights."
            ),
            measure=layers_counted(layer.name for layer in stale),
            evidence={"layers": [layer.name for layer in stale], "raw": raw.name, "initial": len(stale)},
        )
        return
    fit = fit_of(evidence, raw)
    if fit is not None and (are_raw(fit) or is_certain(fit)):
        yield _told_by_weights(fit, raw, evidence)
        return
    if not raw.same_statistics or raw.same_weights:
        return
    drifting = drifted_layers(evidence)
    drifted = [layer.layer.name for layer in drifting]
    severity = severity_of(evidence.effect) if drifted else Severity.INFO
    layers = drifted or [layer.name for layer in evidence.with_statistics()]
    yield Finding(
        code="BN401",
        severity=severity,
        layers=tuple(layers),
        message=(
            f"These are averaged weights, and their statistics are those of the raw model ({_shown(raw)}), bit for bit"
            + (
                f": on these data {len(drifted)} of {len(evidence.measured)} layers do not fit them. "
                f"{in_words(evidence.effect)}"
                if drifted
                else f". That is common, and harmless while both sets of weights are close{agreeing(fit)}."
            )
        ),
        fix=(
            f"Measure the statistics under the averaged weights on training data ({_UPDATE}). Inspect the raw model "
            f"({argument('key')}) on the same data: if it drifts as much, the data are the cause."
            if drifted
            else "Nothing: they fit these data."
            if evidence.measured
            else f"Nothing by itself; run it on data ({argument('data')}) to see whether they fit."
        ),
        measure=(
            worst("gap", {layer.layer.name: layer.gap for layer in drifting}, noise=noise_of(drifting))
            if drifting
            else layers_counted(layers)
        ),
        cost=cost_of(evidence.effect, evidence) if drifting else None,
        evidence={
            "layers": layers,
            "raw": raw.name,
            "same_statistics": True,
            "same_weights": False,
            **copies_in_evidence(fit),
        },
    )


def _told_by_weights(fit: CopyFit, other: SiblingCopy, evidence: Evidence) -> Finding:
    """Tell of statistics that the averaged weights do not predict: a warning where they cannot be their own."""
    is_inspected = evidence.averaged
    whose = "these averaged weights" if is_inspected else f"the averaged weights in the same file ({_shown(other)})"
    raw = f"the raw model ({_shown(other)})" if is_inspected else "the model inspected here"
    claim = "are of another moment or model"
    if are_raw(fit):
        claim = f"are those of {raw}, bit for bit" if other.same_statistics else f"fit those of {raw} better"
    measuring = f"{'M' if is_inspected else 'Inspect that copy on data before it is used, or m'}easure its statistics"
    return Finding(
        code="BN401",
        severity=Severity.WARNING if is_certain(fit) else Severity.INFO,
        layers=fit.layers if is_inspected else (),
        message=(
            f"The statistics of {whose} {claim}: {said_of_copies(fit, raw)}. What that costs is not known without data."
        ),
        fix=(
            f"{measuring} under the averaged weights on training data ({_UPDATE}). Next time average the buffers along "
            "with the weights, or measure them after averaging."
        ),
        command=None if is_inspected else f"repair --key {shlex.quote(other.name)}" if other.name else CHECK,
        measure=worst("distance", dict(zip(fit.layers, fit.own, strict=True))),
        evidence={
            **({"layers": list(fit.layers), "raw": other.name} if is_inspected else {"copy": other.name}),
            "same_statistics": other.same_statistics,
            "same_weights": False,
            **copies_in_evidence(fit),
        },
    )


def _beside(evidence: Evidence, averaged: SiblingCopy) -> Iterator[Finding]:
    """Judge where the raw model was inspected; what is wrong is in the copy beside it, so no layer here is named."""
    stale, fit = _left_behind(averaged.layers, evidence.with_statistics()), fit_of(evidence, averaged)
    if stale:
        yield Finding(
            code="BN401",
            severity=Severity.ERROR,
            layers=(),
            message=(
                f"The averaged weights in the same file ({_shown(averaged)}) have no statistics of their own: those of "
                f"{name_some(stale)} are the initial ones, while the model inspected here has learned them."
            ),
            fix=(
                f"Do not deploy that copy as it is: measure its statistics on training data ({_UPDATE}). If only the "
                f"model inspected here is used, name it with {argument('key')}."
            ),
            command=f"repair --key {shlex.quote(averaged.name)}" if averaged.name else CHECK,
            measure=layers_counted(layer.name for layer in stale),
            evidence={
                "layers": [],
                "copy": averaged.name,
                "copy_layers": [layer.name for layer in stale],
                "initial": len(stale),
            },
        )
    elif fit is not None and (are_raw(fit) or is_certain(fit)):
        yield _told_by_weights(fit, averaged, evidence)
    elif averaged.same_statistics and not averaged.same_weights:
        yield Finding(
            code="BN401",
            severity=Severity.INFO,
            layers=(),
            message=(
                f"The averaged weights in the same file ({_shown(averaged)}) carry the statistics of the model "
                "inspected here, bit for bit. That is common, and harmless while both sets of weights are "
                f"close{agreeing(fit)}."
            ),
            fix=(
                f"If that copy is the one to be used, inspect it on "
                f"{'these data' if evidence.data else 'data'} too ({_chosen(averaged, evidence)})."
            ),
            measure=layers_counted(layer.name for layer in averaged.layers),
            evidence={
                "copy": averaged.name,
                "same_statistics": True,
                "same_weights": False,
                **copies_in_evidence(fit),
            },
        )


def _chosen(copy: SiblingCopy, evidence: Evidence) -> str:
    """Give the arguments that inspect the copy; the data that were given need no naming again."""
    key = argument("key", copy.name or "NAME")
    return key if evidence.data else f"{key} {argument('data', 'D')}"


def _left_behind(averaged: Sequence[NormLayer], raw: Sequence[NormLayer]) -> list[NormLayer]:
    """Find trained layers of the averaged copy with initial statistics, where the raw model's have moved."""
    learned = {layer.name for layer in raw if not _is_untouched(layer)}
    stale = [layer for layer in averaged if layer.name in learned and not layer.missing and _is_untouched(layer)]
    return stale if any(was_trained(layer) for layer in stale) else []


def _is_untouched(layer: NormLayer) -> bool:
    return is_initial(layer) or warm_up_of(layer) is not None


def _shown(copy: SiblingCopy) -> str:
    return f"`{copy.name}`" if copy.name else "its own tensors"
