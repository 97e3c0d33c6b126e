"""Train nets for every kind of task, plant faults, and print what was found and what following the advice does.

`python -m benchmarks.diagnosis.tasks [--quick] [--few-faults] [--samples N] [--from-seed S] [--only NET] [--out FILE]`
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from benchmarks.diagnosis.pool import done
from benchmarks.diagnosis.sections import MORE, TASKS, put
from benchmarks.diagnosis.tasks.cases import Job, examine
from benchmarks.diagnosis.tasks.nets import KINDS, SEEN
from benchmarks.diagnosis.tasks.page import must, section, told
from benchmarks.diagnosis.tasks.planting import QUICK

SIZES, FEW_SIZES = (50, 300, 1000, 3000), (100, 400)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="six nets, a few faults, 100 and 400 samples")
    parser.add_argument("--few-faults", action="store_true", help="those of --quick, in all nets")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--from-seed", type=int, default=0, help="the first seed")
    parser.add_argument("--only", action="append", choices=sorted(KINDS), help="a net; repeatable")
    parser.add_argument("--samples", type=int, action="append", help="how many are inspected; repeatable")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--more", action="store_true", help="write it as the part on other samples, beside the first")
    parser.add_argument("--out", type=Path, help="page whose part about tasks is written anew")
    given = parser.parse_args(arguments)
    kinds = given.only or (SEEN if given.quick else KINDS)
    sizes = tuple(given.samples or (FEW_SIZES if given.quick else SIZES))
    seeds = range(given.from_seed, given.from_seed + given.seeds)
    jobs = [
        Job(kind, seed, sizes, QUICK if given.quick or given.few_faults else ()) for kind in kinds for seed in seeds
    ]
    command = f"python -m benchmarks.diagnosis.tasks {shlex.join(arguments)}"
    title = "By task, on other numbers of samples" if given.more else "By task"
    text = ""
    for result, results in done(examine, jobs, given.processes):
        print(f"{result.kind}: score {result.score:.3f}, stale by {result.stale:.4f}", file=sys.stderr, flush=True)
        for line in (*result.alarms, *(told(case) for case in result.cases if must(case) and not case.found)):
            print(f"  {line}", file=sys.stderr, flush=True)
        text = section(results, command, title)
        if given.out:  # each time, so that a run that is interrupted leaves what it has seen
            put(given.out, MORE if given.more else TASKS, text)
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
