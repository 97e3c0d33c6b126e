"""One net: inspected healthy, and with every fault, on few samples and on many; and its advice followed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

import bncheck
from benchmarks.diagnosis.tasks.giving import inspected, recalibrated
from benchmarks.diagnosis.tasks.nets import KINDS
from benchmarks.diagnosis.tasks.planting import Fault, planted
from benchmarks.diagnosis.tasks.problems import PROBLEMS, Problem
from benchmarks.diagnosis.tasks.training import Samples, drawn, losses_of, norms, scores_of, seeded, trained, truth_of

RECALIBRATE, LEAVE, OTHER = "recalibrate", "leave", "other"
_LEAVE = re.compile(r"Leave the statistics|Nothing has to be done|Recalibrating does not help")
BEYOND_NOISE, NOISE = 0.01, 2.33
"""Score, and standard errors, that recalibrating must win for leaving the statistics to have been wrong."""
DRAWS = 2
"""Times a healthy net is inspected with samples of each number."""


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of net, the seed of its training and of all that is drawn, and how much is asked."""

    kind: str
    seed: int
    sizes: tuple[int, ...]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """What was advised, and what following it does.

    Attributes:
        kind: `recalibrate`, `leave` or `other`.
        gain: score that recalibrating on the inspected samples wins on others.
        error: its standard error.
        loss_falls: whether the training's loss is smaller then.
    """

    kind: str
    gain: float
    error: float
    loss_falls: bool

    @property
    def is_wrong(self) -> bool:
        """Whether recalibrating was advised and improves nothing, or was advised against and would have won.

        A loss that falls is an improvement, unless the score falls beyond noise meanwhile: no decision need change.
        """
        if self.kind == RECALIBRATE:
            return self.gain < -NOISE * self.error or (self.gain <= 0 and not self.loss_falls)
        return self.kind == LEAVE and self.gain > BEYOND_NOISE and self.gain > NOISE * self.error

    @property
    def is_by_loss_alone(self) -> bool:
        """Whether recalibrating was advised, and the loss improves but not the score."""
        return self.kind == RECALIBRATE and not self.is_wrong and self.gain <= 0


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, inspected once.

    Attributes:
        net, problem, given: which net, what it does, how it was inspected.
        fault, size: what was planted, and the number of samples inspected.
        lost: score that the fault costs, of the score that the healthy net has.
        of_errors: share of the errors that the fault makes.
        severity: of the gravest finding; empty for none.
        found: the codes of warnings and errors.
        right: whether one of those that name the fault is among them.
        layers: the layers that are wrong, of one or two.
        named: those said to be wrong by themselves, or off in their turn.
        advice: what was advised.
    """

    net: str
    problem: str
    given: str
    fault: str
    size: int
    lost: float
    of_errors: float
    severity: str
    found: tuple[str, ...]
    right: bool
    layers: frozenset[str]
    named: frozenset[str]
    advice: Advice


@dataclass(frozen=True, slots=True)
class Result:
    """All about one net.

    Attributes:
        kind, score: which, and its mean score.
        stale: score that statistics of 1,000 other samples would win, healthy as it is.
        inspections: of the net as it is.
        alarms: warnings and errors in them.
        healthy: what was advised in them.
        cases: the faults.
    """

    kind: str
    score: float
    stale: float
    inspections: int
    alarms: tuple[str, ...]
    healthy: tuple[Advice, ...]
    cases: tuple[Case, ...]


def examine(job: Job) -> Result:
    """Train the net, inspect it as it is, then with each fault."""
    torch.set_num_threads(1)
    problem, net = PROBLEMS[KINDS[job.kind].problem], trained(job.kind, job.seed)
    truth = truth_of(problem, seeded(job.seed, 2))
    whole = scores_of(net, problem, truth)
    alarms, healthy = _healthy(job, net, problem, truth)
    cases = tuple(
        case
        for number, fault in enumerate(planted(net, problem, job.seed, job.faults))
        for case in _tried(job, fault, problem, truth, whole, number)
    )
    again = scores_of(recalibrated(net, truth_of(problem, seeded(job.seed, 3))), problem, truth)
    stale = float((again - whole).mean())
    return Result(job.kind, float(whole.mean()), stale, len(job.sizes) * DRAWS, tuple(alarms), tuple(healthy), cases)


def _healthy(job: Job, net: nn.Module, problem: Problem, truth: Samples) -> tuple[list[str], list[Advice]]:
    alarms, advised = [], []
    for size in job.sizes:
        for draw in range(DRAWS):
            samples = drawn(problem, size, seeded(job.seed, 4, size, draw))
            report = inspected(net, samples, KINDS[job.kind].given)
            grave = _grave(report)
            alarms += [f"{job.kind}, n = {size}: {one.code} ({one.severity}) {one.message}" for one in grave]
            advised.append(_followed(report, net, problem, samples, truth))
    return alarms, advised


def _tried(job: Job, fault: Fault, problem: Problem, truth: Samples, whole: torch.Tensor, number: int) -> list[Case]:
    given, told = KINDS[job.kind].given, _scaled(truth, fault.scale)
    broken = scores_of(fault.net, problem, told)
    lost, errors = float((whole - broken).mean()), 1 - float(broken.mean())
    cases = []
    for size in job.sizes:
        samples = _scaled(drawn(problem, size, seeded(job.seed, 5, size, number)), fault.scale)
        report = inspected(fault.net, samples, given)
        grave = _grave(report)
        cases.append(
            Case(
                net=job.kind,
                problem=problem.name,
                given=given,
                fault=fault.name,
                size=size,
                lost=lost / max(float(whole.mean()), 1e-9),
                of_errors=lost / errors if errors > 0 else 0.0,
                severity=grave[0].severity if grave else report.findings[0].severity if report.findings else "",
                found=tuple(one.code for one in grave),
                right=any(one.code in fault.codes for one in grave),
                layers=fault.layers,
                named=_named(report),
                advice=_followed(report, fault.net, problem, samples, told),
            )
        )
    return cases


def _named(report: bncheck.Report) -> frozenset[str]:
    """The layers said to be wrong by themselves; where no batch was normalized by itself, those found off in turn."""
    for code in ("BN607", "BN603"):
        for finding in report.findings:
            if finding.code == code:
                return frozenset(finding.layers)
    return frozenset()


def _grave(report: bncheck.Report) -> list[bncheck.Finding]:
    return [finding for finding in report.findings if finding.severity != "info"]


def _followed(report: bncheck.Report, net: nn.Module, problem: Problem, samples: Samples, truth: Samples) -> Advice:
    """Recalibrate on the inspected samples, and judge by others, whatever was advised.

    Where single layers are said to be wrong by themselves, the advice is to recalibrate these alone.
    """
    fresh = recalibrated(net, samples)
    alone = {name for finding in report.findings if finding.code == "BN607" for name in finding.layers}
    for name, norm in norms(fresh).items():
        if alone and name not in alone:
            norm.load_state_dict(net.get_submodule(name).state_dict())
    before, after = (scores_of(one, problem, truth) for one in (net, fresh))
    won = after - before
    error = float(won.std()) / math.sqrt(len(won))
    falls = losses_of(fresh, problem, truth) < losses_of(net, problem, truth)
    return Advice(_advised(report.findings), float(won.mean()), error, falls)


def _advised(findings: Sequence[bncheck.Finding]) -> str:
    """What the gravest finding that says anything of it advises."""
    for finding in findings:
        if _LEAVE.search(finding.fix):
            return LEAVE
        if re.search(r"\brecalibrate\b(?! on samples)", finding.fix, re.IGNORECASE):
            return RECALIBRATE
    return OTHER


def _scaled(samples: Samples, factor: float) -> Samples:
    return samples if factor == 1 else [(x * factor, y) for x, y in samples]
