"""The probe runner: finds the questions, decides their order, keeps to the budget, and collects the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from bncheck.discovery import modules_in
from bncheck.errors import DataError
from bncheck.evidence import Evidence
from bncheck.measure import Observation, seeded
from bncheck.probes import questions
from bncheck.probes.answers import Reader
from bncheck.probes.case import Case, Subject
from bncheck.probes.probe import Probe
from bncheck.probes.session import ProbeSession
from bncheck.progress import begin, foresee
from bncheck.watch import Session


@cache
def all_probes() -> tuple[Probe[Any], ...]:
    """The probe of every file in `questions`, by the files' names."""
    return tuple(module.PROBE for module in modules_in(questions))


def run_probes(
    session: Session, subject: Subject, seen: Observation, evidence: Evidence, budget: int | None = None
) -> Evidence:
    """The evidence with the answers to all questions that it calls for.

    A question comes after those whose answers it goes by, and else the cheaper first. None depends on the random
    numbers that another drew. A model may refuse batches of a question's size: then there is no answer.

    Args:
        session: the model, watched, as the passes left it.
        subject: what is inspected, and how.
        seen: what the passes saw.
        evidence: what they came to.
        budget: samples that may be run for all questions together; those too dear for what is left are not asked.
    """
    rounds = list(_rounds(all_probes()))
    for number, round_ in enumerate(rounds):
        costs = {probe: _cost(probe, Case(subject, seen, evidence, session.fixed_batch)) for probe in round_}
        asked_now = sorted((probe for probe in round_ if costs[probe] is not None), key=lambda one: costs[one] or 0)
        for place, probe in enumerate(asked_now):
            case = Case(subject, seen, evidence, session.fixed_batch)
            most = probe.cost(case)
            if budget is not None and most > budget:
                continue
            later = [*asked_now[place:], *(one for round_ in rounds[number + 1 :] for one in round_)]
            foresee(subject.progress, [one.title for one in later if one.needs.are_met_by(case)])
            begin(subject.progress, probe.title)
            asked = ProbeSession(session, Reader.of(subject.plan), subject.plan.batch_size, _telling(probe, case, most))
            with subject.ledger.stage(probe.title):
                evidence = _ask(probe, case, asked)
            budget = None if budget is None else budget - asked.samples_run
    return evidence


def _telling(probe: Probe[Any], case: Case, most: int) -> Callable[[int], None]:
    """What is called with the samples run for the question, of about as many as it says."""
    return lambda done: case.subject.progress(probe.title, done, max(most, done))


def _ask(probe: Probe[Any], case: Case, session: ProbeSession) -> Evidence:
    """The evidence after the question.

    Numerics: values out of a file may be of any size; what has no number is NaN, without NumPy's warnings.
    """
    try:
        with seeded(case.subject.plan.seed), np.errstate(all="ignore"):
            answer = probe.answer(case, session)
    except DataError:
        return case.observed
    return case.observed if answer is None else probe.told(case.observed, answer)


def _cost(probe: Probe[Any], case: Case) -> int | None:
    """What the question costs; `None` where it is not to be asked."""
    return probe.cost(case) if probe.needs.are_met_by(case) else None


def _rounds(probes: Sequence[Probe[Any]]) -> Iterator[list[Probe[Any]]]:
    """The questions in rounds, each of which goes by the answers of those before it only."""
    left = list(probes)
    while left:
        waiting = {type(probe) for probe in left}
        ready = [probe for probe in left if not waiting.intersection(probe.after)]
        if not ready:
            raise ValueError("questions go by each other's answers in a circle")
        yield ready
        left = [probe for probe in left if probe not in ready]
