"""The probe runner: the questions it finds, their order, their cost, and what it does with the answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from asked import INSPECTED
from counted import counting
from torch import nn

import bncheck
from bncheck.errors import DataError
from bncheck.evidence import Evidence
from bncheck.probes import questions, runner
from bncheck.probes.answers import Reader
from bncheck.probes.case import Case
from bncheck.probes.probe import Needs, Probe, Suspicion
from bncheck.probes.questions.fed_by_input import FedByInput
from bncheck.probes.questions.input_form import InputForm
from bncheck.probes.runner import all_probes, run_probes
from bncheck.probes.session import ProbeSession

BY_NAME = {type(probe).__name__: probe for probe in all_probes()}
EXACT = ("FedByInput", "Padding", "Dropout")
"""Questions that run what they say, neither more nor less."""


def test_every_file_is_a_question() -> None:
    files = {path.stem for path in Path(questions.__path__[0]).glob("*.py")} - {"__init__"}
    assert {type(probe).__module__.rpartition(".")[2] for probe in all_probes()} == files
    assert len(all_probes()) == len(files)


def answered(case: Case, session: Any, sizes: list[int]) -> Iterator[tuple[Probe[Any], Case, int]]:
    """Every question that is called for, with the samples that its session ran for it."""
    for probe in (probe for round_ in runner._rounds(all_probes()) for probe in round_):
        if not probe.needs.are_met_by(case):
            continue
        asked = ProbeSession(session, Reader.of(case.subject.plan), case.subject.plan.batch_size)
        sizes.clear()
        answer = probe.answer(case, asked)
        assert sum(sizes) == asked.samples_run
        yield probe, case, sum(sizes)
        if answer is not None:
            case = replace(case, observed=probe.told(case.observed, answer))


@cache
def costs_in(name: str) -> tuple[tuple[str, int, int], ...]:
    """For every question that is called for: its name, the samples that it says it costs, and those that it ran."""
    with pytest.MonkeyPatch.context() as patched:
        sizes = counting(patched)
        with INSPECTED[name]().case() as (case, session):
            asked = answered(case, session, sizes)
            return tuple((type(probe).__name__, probe.cost(seen), ran) for probe, seen, ran in asked)


@pytest.mark.parametrize("name", INSPECTED)
def test_no_question_costs_more_than_it_says(name: str) -> None:
    for kind, said, ran in costs_in(name):
        assert ran <= said, kind
        if kind in EXACT:
            assert ran == said, kind
    assert {"FedByInput", "Padding", "Eps"} <= {kind for kind, _, _ in costs_in(name)}


def test_costs_are_not_made_up() -> None:
    """What is said is at most three times what the dearest inspection of its kind runs."""
    said: dict[str, float] = {}
    for name in ("scaled", "scaled and swapped", "curved", "eps", "shared", "loader", "mixing"):
        for kind, cost, ran in costs_in(name):
            if ran:
                said[kind] = min(said.get(kind, 9e9), cost / ran)
    assert {"InputForm", "Eps", "Calls", "BatchOrder", "BatchComposition"} <= said.keys()
    assert {kind: ratio for kind, ratio in said.items() if ratio > 3} == {}


def evidence_of(name: str, budget: int | None = None) -> Evidence:
    with INSPECTED[name]().case() as (case, session):
        return run_probes(session, case.subject, case.seen, case.observed, budget)


def test_answers_stand_in_the_evidence() -> None:
    evidence = evidence_of("scaled")
    assert evidence.probed.scaling is not None
    assert evidence.probed.scaling.explains
    assert evidence.probed.invariance is not None
    assert evidence.closer.fed_by_input == {"1"}
    assert evidence.closer.alone.keys() >= {"1"}
    assert evidence.closer.dropout.keys() == {"1", "5"}
    assert evidence_of("shared").closer.calls.keys() == {"norm"}
    assert evidence_of("bad weight").closer.broken


def test_a_question_comes_after_those_whose_answers_it_goes_by_and_else_the_cheaper_first() -> None:
    rounds = list(runner._rounds(all_probes()))
    place = {type(probe): number for number, round_ in enumerate(rounds) for probe in round_}
    assert place[InputForm] > place[FedByInput]
    with pytest.raises(ValueError, match="in a circle"):
        list(runner._rounds([Circular()]))


class Circular(Probe[int]):
    """Waits for its own answer."""

    def cost(self, case: Case) -> int:
        """Count nothing."""
        return 0

    def answer(self, case: Case, session: ProbeSession) -> int:
        """Say one."""
        return 1

    def told(self, evidence: Evidence, answer: int) -> Evidence:
        """Forget it."""
        return evidence


Circular.after = (Circular,)


def test_the_budget_is_kept_and_what_is_cheap_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counting(monkeypatch)
    for budget in (0, 100, 1000):
        with INSPECTED["scaled"]().case() as (case, session):
            sizes.clear()
            evidence = run_probes(session, case.subject, case.seen, case.observed, budget)
        assert sum(sizes) <= budget
        assert bool(evidence.closer.fed_by_input) is (budget >= 100)
        assert evidence.probed.scaling is None


def test_no_answer_depends_on_which_question_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Random(nn.Module):
        """Draws in eval mode too."""

        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x) + 0.1 * torch.randn(len(x), 4)

    from asked import Inspected

    from bncheck.data import open_data

    def change(probes: tuple[Probe[Any], ...]) -> float:
        monkeypatch.setattr(runner, "all_probes", lambda: probes)
        inspected = Inspected(Random(), open_data(torch.arange(800.0).reshape(200, 4).sin()))
        with inspected.case() as (case, session):
            found = run_probes(session, case.subject, case.seen, case.observed).probed.invariance
        assert found is not None
        return found.change

    invariance = BY_NAME["BatchInvariance"]
    assert change((invariance,)) == change((BY_NAME["Padding"], BY_NAME["FedByInput"], invariance))


def test_the_random_numbers_of_the_caller_go_on_as_if_nothing_had_been() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with torch.random.fork_rng():
        evidence_of("scaled")
    assert torch.equal(torch.rand(2), expected)


class Refusing(Probe[int]):
    """Feeds the model what it refuses."""

    title = "what is refused"

    def cost(self, case: Case) -> int:
        """Count nothing."""
        return 0

    def answer(self, case: Case, session: ProbeSession) -> int:
        """Raise what sessions raise."""
        raise DataError("not today")

    def told(self, evidence: Evidence, answer: int) -> Evidence:
        """Never get here."""
        raise AssertionError


def test_a_refusal_leaves_the_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "all_probes", lambda: (Refusing(), FedByInput()))
    assert evidence_of("healthy").closer.fed_by_input == {"1"}


@contextmanager
def case_of(name: str) -> Iterator[Case]:
    with INSPECTED[name]().case() as (case, _):
        yield case


def test_needs_are_met_by_what_is_there() -> None:
    # Dropout before the second norm leaves the colour network with a gap of its own.
    met = {
        "healthy": {"labels", "layers", "dropout", Suspicion.LAYER_OFF},
        "scaled": {"labels", "layers", "dropout", Suspicion.LAYER_OFF},
        "no labels": {"layers", "dropout", Suspicion.LAYER_OFF},
        "shared": {"layers", Suspicion.SHARED_LAYER},  # as far off as 300 samples of it are by themselves
        "loader": {"labels", "layers", "dropout", "order", Suspicion.LAYER_OFF},
        "bad weight": {"layers", "dropout", Suspicion.NOT_FINITE},
    }
    plain = [field.name for field in fields(Needs) if field.type == "bool"]
    for name, expected in met.items():
        with case_of(name) as case:
            found: set[object] = {one for one in plain if Needs(**{one: True}).are_met_by(case)}
            found |= {one for one in Suspicion if Needs(suspicion=one).are_met_by(case)}
            assert found - {"order"} == expected - {"order"}, name
            assert ("order" in found) is case.subject.source.in_order
            assert case.samples is not None
            assert Needs(samples=case.samples.size).are_met_by(case)
            assert not Needs(samples=case.samples.size + 1).are_met_by(case)


def test_whole_batches_are_drawn_where_their_size_is_fixed() -> None:
    with case_of("fixed batch") as case:
        assert case.fixed_batch == 32
        assert [case.number(most) for most in (1, 16, 64, 70, 256, 10_000)] == [32, 32, 64, 64, 256, 256]
    with case_of("no labels") as case:
        assert [case.number(most) for most in (1, 16, 64, 256)] == [1, 16, 64, 70]
        few, more = case.drawn(16), case.drawn(64)
        assert few is not None
        assert more is not None
        assert torch.equal(more.inputs[:16], few.inputs)


def test_a_report_says_what_the_probes_found() -> None:
    inspected = INSPECTED["swapped"]()
    report = bncheck.inspect(inspected.model, (images_of(inspected), labels_of(inspected)))
    assert [finding.code for finding in report.findings] == ["BN602"]


def images_of(inspected: Any) -> torch.Tensor:
    return next(inspected.source.given_batches(300)).inputs


def labels_of(inspected: Any) -> torch.Tensor:
    return next(inspected.source.given_batches(300)).labels
