"""How often the paired loss of a layer alone accuses healthy nets: the false alarms of that test by itself.

`python -m benchmarks.diagnosis.tasks.calibration [--seeds N] [--from-seed S] [--samples N] [--draws N] [--out FILE]`
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import bncheck
from benchmarks.diagnosis.pool import done
from benchmarks.diagnosis.sections import CALIBRATION, put
from benchmarks.diagnosis.tasks.nets import KINDS
from benchmarks.diagnosis.tasks.problems import PROBLEMS, Problem
from benchmarks.diagnosis.tasks.training import norms, seeded, trained
from bncheck.core import THRESHOLDS
from bncheck.data import Batch
from bncheck.evidence import EffectEvidence, Improvement
from bncheck.formats import from_module
from bncheck.measure import Plan
from bncheck.predictions import PredictionEffect
from bncheck.probes.answers import Reader
from bncheck.probes.questions.alone import moved_together
from bncheck.probes.session import ProbeSession
from bncheck.settings import BATCH_SIZE

SIZES, DRAWS, SEEDS = (50, 100, 300, 600), 2, 2
MANY = 2000
"""Samples by which it is known whether other statistics save loss at all."""


@dataclass(frozen=True, slots=True)
class Job:
    """A healthy net, and how often it is asked."""

    kind: str
    seed: int
    sizes: tuple[int, ...]
    draws: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The test of one layer behind the first, on one draw of samples.

    Attributes:
        layer, size: which, and the number of samples.
        t: Student's t of the loss that statistics of other samples save, the sample being the unit.
        saved: share of the loss that statistics of a thousand samples save on others.
    """

    layer: str
    size: int
    t: float
    saved: float

    @property
    def fires(self) -> bool:
        """Whether the loss is said to fall for sure."""
        return self.t > THRESHOLDS.task_z


@dataclass(frozen=True, slots=True)
class Result:
    """All about one healthy net.

    Attributes:
        net: its kind and seed.
        asked: every test.
        inspections: how many, each of the samples of the tests.
        named: the layers that these said are wrong by themselves.
        grave: their warnings and errors.
    """

    net: str
    asked: tuple[Asked, ...]
    inspections: int
    named: tuple[str, ...]
    grave: tuple[str, ...]


def examine(job: Job) -> Result:
    """Train a net, ask of each layer what statistics of other samples would save, and inspect it as users do."""
    torch.set_num_threads(1)
    problem, net = PROBLEMS[KINDS[job.kind].problem], trained(job.kind, job.seed)
    many = dict(_each_layer(net, _joined(problem, MANY, seeded(job.seed, 7))))
    saved = {name: loss.gain / loss.shipped for name, loss in many.items()}
    asked: list[Asked] = []
    found: list[bncheck.Finding] = []
    for size in job.sizes:
        for draw in range(job.draws):
            samples = _joined(problem, size, seeded(job.seed, 6, size, draw))
            asked += [Asked(name, size, loss.t, saved[name]) for name, loss in _each_layer(net, samples)]
            found += bncheck.inspect(net, (samples.inputs, samples.labels)).findings
    named = tuple(name for one in found if one.code == "BN607" for name in one.layers)
    grave = tuple(f"{one.code} ({one.severity}) {one.message}" for one in found if one.severity != "info")
    return Result(f"{job.kind} {job.seed}", tuple(asked), len(job.sizes) * job.draws, named, grave)


def _joined(problem: Problem, size: int, generator: torch.Generator) -> Batch:
    """Samples of one length, so that they make batches."""
    x, y = problem.draw(size, generator)
    return Batch(x, y, size)


def _each_layer(net: nn.Module, samples: Batch) -> Iterator[tuple[str, Improvement]]:
    """Yield each layer behind the first, and the loss with statistics of the other half of the samples in it alone."""
    with from_module(net).session("calibration", 0) as session:
        for name in list(norms(net))[1:]:
            asked = ProbeSession(session, Reader.of(Plan()), BATCH_SIZE)
            loss = _loss_of(moved_together(asked, samples, (name,), PredictionEffect(None, None)))
            if loss is not None:
                yield name, loss


def _loss_of(effect: EffectEvidence | None) -> Improvement | None:
    return None if effect is None or effect.task is None else effect.task.loss


def section(results: Sequence[Result], command: str) -> str:
    """Markdown."""
    return "\n".join([*_opening(results, command), *_table(results), *_accusations(results)]) + "\n"


def _opening(results: Sequence[Result], command: str) -> Iterator[str]:
    accused = sum(len(one.grave) for one in results)
    named = sum(len(one.named) for one in results)
    yield "## The test of a layer alone, on healthy nets"
    yield ""
    yield (
        f"What a layer costs by itself is judged by the paired loss: with statistics of other samples in that layer "
        f"alone it falls for sure where Student's t exceeds {THRESHOLDS.task_z}. That test was put to every layer "
        f"behind the first of {len(results)} healthy nets. Healthy statistics are never perfect, so a small fall may "
        f"be real: it is a false alarm where statistics of {MANY // 2:,} samples save no loss on as many others. An "
        f"inspection asks it only of layers whose own gap stands out: in "
        f"{sum(one.inspections for one in results)} inspections of these samples {named or 'no'} layers were said to "
        f"be wrong by themselves, and {accused} warnings or errors were given."
    )
    yield ""
    yield f"```console\n$ {command}\n```"
    yield ""


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield "| samples | tests | loss said to fall | falls on others too | false alarms |"
    yield "|---:|---:|---:|---:|---:|"
    tests = [asked for result in results for asked in result.asked]
    for size in sorted({asked.size for asked in tests}):
        yield _row(f"{size:,}", [asked for asked in tests if asked.size == size])
    yield _row("all", tests)
    yield ""


def _row(title: str, tests: Sequence[Asked]) -> str:
    fired = [asked for asked in tests if asked.fires]
    false = sum(asked.saved <= 0 for asked in fired)
    share = f" ({false / len(tests):.1%})" if tests else ""
    return f"| {title} | {len(tests)} | {len(fired)} | {len(fired) - false} | {false}{share} |"


def _accusations(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        yield from (f"- {result.net}: {told}" for told in result.grave)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--from-seed", type=int, default=0, help="the first seed")
    parser.add_argument("--only", action="append", choices=sorted(KINDS), help="a net; repeatable")
    parser.add_argument("--samples", type=int, action="append", help="how many are drawn; repeatable")
    parser.add_argument("--draws", type=int, default=DRAWS, help="how often so many are drawn")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="page whose part about this test is written anew")
    given = parser.parse_args(arguments)
    sizes = tuple(given.samples or SIZES)
    seeds = range(given.from_seed, given.from_seed + given.seeds)
    jobs = [Job(kind, seed, sizes, given.draws) for kind in given.only or KINDS for seed in seeds]
    command = f"python -m benchmarks.diagnosis.tasks.calibration {shlex.join(arguments)}"
    text = ""
    for result, results in done(examine, jobs, given.processes):
        print(f"{result.net}: {sum(one.fires for one in result.asked)}", file=sys.stderr, flush=True)
        text = section(results, command)
        if given.out:
            put(given.out, CALIBRATION, text)
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
