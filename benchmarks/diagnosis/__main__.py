"""Train healthy nets, inspect them in many ways, plant faults, and print what was found: a confusion table.

`python -m benchmarks.diagnosis [--fashion FOLDER] [--seeds N] [--from-seed S] [--out FILE]`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.diagnosis.cases import Job, Result, examine
from benchmarks.diagnosis.nets import NETS
from benchmarks.diagnosis.page import missed, other, page
from benchmarks.diagnosis.pool import done
from benchmarks.diagnosis.sections import put


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST as .npz")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--from-seed", type=int, default=0, help="the first seed")
    parser.add_argument("--only", action="append", choices=sorted(NETS), help="a kind of net; repeatable")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    tasks = ["digits", "tinted", *(["fashion"] if given.fashion else [])]
    seeds = range(given.from_seed, given.from_seed + given.seeds)
    jobs = [Job(task, kind, seed, given.fashion) for task in tasks for kind in given.only or NETS for seed in seeds]
    results: list[Result] = []
    for result, known in done(examine, jobs, given.processes):
        results = known
        print(f"{result.net}: {result.accuracy:.1%}", file=sys.stderr, flush=True)
        for line in (*result.alarms, *missed(result.cases), *other(result.cases)):
            print(f"  {line}", file=sys.stderr, flush=True)
    shown = [option if not option.startswith("/") else "FOLDER" for option in arguments]
    command = " ".join(["python -m benchmarks.diagnosis", *shown])
    text = page(results, command)
    if given.out:
        put(given.out, None, text)
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
