"""Train nets, audit them without data, plant faults into single layers, and print what was found: the static table.

`python -m benchmarks.diagnosis.static [--fashion FOLDER] [--seed S] [--steps N] [--most N] [--only NET] [--out FILE]
[--page FILE]`
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import torch

from benchmarks.diagnosis import sections
from benchmarks.diagnosis.data import task_named
from benchmarks.diagnosis.static.nets import RECIPES, trained
from benchmarks.diagnosis.static.page import put, section, summary
from benchmarks.diagnosis.static.planting import Audited, Healthy, Trial, looked_at, trials
from bncheck.formats import from_module


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST as .npz, to train on that too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--most", type=int, help="into so many layers of a net each fault is planted; else into all")
    parser.add_argument("--only", action="append", choices=sorted(RECIPES), help="a net; repeatable")
    parser.add_argument("--graph", action="store_true", help="as with an architecture: by the network's graph")
    parser.add_argument("--out", type=Path, help="page whose table is written anew")
    parser.add_argument("--page", type=Path, help="page whose part on files alone is written anew")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    shown = [option if not option.startswith("/") else "FOLDER" for option in arguments]
    command = f"python -m benchmarks.diagnosis.static {shlex.join(shown)}"
    healthy: dict[str, Healthy] = {}
    seen: list[Trial] = []
    for data in ("tinted", *(["fashion"] if given.fashion else [])):
        task = task_named(data, given.fashion)
        for name in given.only or RECIPES:
            net, average = trained(RECIPES[name], task, given.seed, given.steps)
            told = f"{name} ({data})"
            opened = [from_module(one) for one in (net, average)]
            graphs = [one.wiring() if given.graph else None for one in opened]
            file, averaged = (
                Audited(one.layers, one.tensors(), graph) for one, graph in zip(opened, graphs, strict=True)
            )
            healthy[told] = looked_at(file)
            seen += trials(told, file, averaged, given.seed, given.most)
            print(f"{told}: {healthy[told]}", file=sys.stderr, flush=True)
            if given.out:
                put(given.out, section(healthy, seen, command))
            if given.page:
                sections.put(given.page, sections.STATIC, summary(healthy, seen, command))
    print(section(healthy, seen, command))


if __name__ == "__main__":
    main(sys.argv[1:])
