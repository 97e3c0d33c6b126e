"""Is the input scaled otherwise, or are its channels in another order, than the network was trained for?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

from bncheck.core import MARGIN
from bncheck.data import Batch
from bncheck.evidence import SAMPLING, SHARE, AffineMap, ChannelOrder, Evidence, InputScaling
from bncheck.probes.case import MORE, Case
from bncheck.probes.input.inputs import floating_input, mapped, reordered
from bncheck.probes.input.order import order_cost, probe_order
from bncheck.probes.input.scaling import probe_scaling, scaling_cost
from bncheck.probes.probe import Needs, Probe
from bncheck.probes.questions.fed_by_input import FedByInput
from bncheck.probes.session import ProbeSession, paired, recorded_gap
from bncheck.results import InputFamily

LEAST_SAMPLES = 32
"""Fewer say too little of the input to choose among many maps and orders."""


@dataclass(frozen=True, slots=True)
class FormOfInput:
    """How the input would have to be fed: mapped, in another order of its channels, or both."""

    scaling: InputScaling | None
    order: ChannelOrder | None


class InputForm(Probe[FormOfInput]):
    """Runs samples again under the maps and in the orders that would explain the gap of the first layers."""

    title = "forms of the input"
    needs = Needs(samples=LEAST_SAMPLES, layers=True)
    after = (FedByInput,)

    def cost(self, case: Case) -> int:
        """Count one search for an order, or two for a map and two for an order, and what lies between them."""
        samples, layers = case.drawn(MORE), _layers(case)
        if samples is None or not layers or floating_input(samples) is None:
            return 0
        normalization = case.subject.plan.normalization
        order = order_cost(samples, normalization, case.fixed_batch)
        if not _may_be_scaled(case, samples, layers):
            return order
        return 2 * scaling_cost(samples, normalization, case.fixed_batch) + 2 * order + 4 * samples.size

    def answer(self, case: Case, session: ProbeSession) -> FormOfInput | None:
        """The map and the order that fit best, each where there is one."""
        samples, layers = case.drawn(MORE), _layers(case)
        if samples is None or not layers or floating_input(samples) is None:
            return None
        normalization = case.subject.plan.normalization
        if _may_be_scaled(case, samples, layers):
            return _of_wrong_input(session, samples, layers, normalization, case.subject.expected)
        expected, accuracy = case.subject.expected, _accuracy(case)
        order = probe_order(session, samples, layers, None, normalization, expected=expected, accuracy=accuracy)
        return FormOfInput(None, order)

    def told(self, evidence: Evidence, answer: FormOfInput) -> Evidence:
        """Put both where the input is judged."""
        return replace(evidence, probed=replace(evidence.probed, scaling=answer.scaling, order=answer.order))


def _layers(case: Case) -> tuple[str, ...]:
    """The layers fed by the input alone, in running order."""
    return tuple(name for name in case.seen.stored.by_layer() if name in case.observed.closer.fed_by_input)


def _may_be_scaled(case: Case, samples: Batch, layers: tuple[str, ...]) -> bool:
    """Whether the gap of these samples may be one that a map is sought for: all samples' is known, and their noise."""
    gap = recorded_gap(case.seen.stored, layers)
    return math.hypot(gap, SAMPLING / math.sqrt(samples.size)) > MARGIN


def _accuracy(case: Case) -> float | None:
    """As shipped, of the output that probes go by; `None` where samples are not right or wrong."""
    effect = case.observed.effect
    accuracy = None if effect is None else effect.foremost.accuracy
    return None if accuracy is None else accuracy.stored


def _of_wrong_input(
    session: ProbeSession,
    samples: Batch,
    layers: tuple[str, ...],
    normalization: AffineMap | None,
    expected: InputFamily | None,
) -> FormOfInput:
    before = session.stored(samples)
    ordered_as = partial(probe_order, session, samples, layers, expected=expected)
    scaling = probe_scaling(session, samples, layers, before, normalization, expected)
    if scaling is None or scaling.seen.after.gap > SHARE * scaling.seen.before.gap:
        return FormOfInput(scaling, ordered_as(before, normalization))
    with_map = session.stored(mapped(samples, scaling.map))
    order = ordered_as(with_map, None, by=scaling.map)
    if scaling.explains:
        return FormOfInput(scaling, order)
    if order is None or not order.explains:
        return FormOfInput(scaling, ordered_as(before, normalization))
    # Neither alone would do: the map is sought again with the channels in order, as the order was with a map.
    ordered = reordered(samples, order.order)
    scaling = probe_scaling(session, ordered, layers, session.stored(ordered), normalization, expected) or scaling
    both = paired(session, layers, samples.size, before, session.stored(mapped(ordered, scaling.map)))
    return FormOfInput(scaling if both is None else replace(scaling, seen=both), order)


PROBE = InputForm()
