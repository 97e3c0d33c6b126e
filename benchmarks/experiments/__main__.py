"""Run the experiments and put what they show into docs/: `python -m benchmarks.experiments [--fashion FOLDER]`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.experiments import (
    e1_moving_averages,
    e2_bad_batches,
    e3_small_batches,
    e4_noise,
    e5_shift,
    e6_calibration,
)
from benchmarks.experiments.experiment import Experiment
from benchmarks.experiments.page import FOLDER, RECORD, publish
from benchmarks.experiments.record import read, write
from benchmarks.experiments.running import run


def experiments(fashion: Path | None) -> dict[str, Experiment]:
    """All of them by code, the longest first; those on Fashion-MNIST where its folder is given."""
    chosen = [] if fashion is None else [e2_bad_batches.on_fashion(fashion), e5_shift.on_fashion(fashion)]
    chosen += [module.ON_DIGITS for module in (e2_bad_batches, e6_calibration, e1_moving_averages, e3_small_batches)]
    chosen += [module.ON_DIGITS for module in (e5_shift, e4_noise)]
    return {one.code: one for one in chosen}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="CODE", help="E1 to E6, E2-fashion, E5-fashion; repeatable")
    parser.add_argument("--fashion", type=Path, metavar="FOLDER", help="fashion_mnist_*.npz: run E2 and E5 on it, too")
    parser.add_argument("--effort", type=float, default=1.0, help="share of the steps: less than 1 is a trial run")
    parser.add_argument("--processes", type=int, default=2, help="seeds at a time")
    parser.add_argument("--draw", action="store_true", help="train nothing: figures and tables from what was recorded")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="default: docs/")
    given = parser.parse_args(arguments)
    known = experiments(given.fashion)
    unknown = sorted(set(given.only or ()) - set(known))
    if unknown:
        parser.error(f"--only {unknown[0]}: choose from {', '.join(sorted(known))} (those of Fashion need --fashion)")
    record = given.out / RECORD
    record.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    if not given.draw:
        chosen = {code: one for code, one in known.items() if given.only is None or code in given.only}
        for code, ran in run(chosen, effort=given.effort, processes=given.processes):
            write(record, read(record) | {code: ran})
            elapsed = (time.monotonic() - start) / 60
            print(f"\n{known[code].table(ran.seen)}\n\n{ran.seconds / 60:.1f} core minutes; {elapsed:.1f} min so far")
    publish(experiments(given.fashion or Path()), read(record), given.out)


if __name__ == "__main__":
    main()
