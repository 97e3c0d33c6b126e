"""The static table of checkpoints that lie on this machine: what is predicted in them, and faults planted into each.

`python -m benchmarks.diagnosis.static.files FILE... [--arch A] [--seed S]` prints it; nothing of the files is kept.
"""

from __future__ import annotations

import argparse
import sys

import torch

from benchmarks.diagnosis.static.page import section
from benchmarks.diagnosis.static.planting import Audited, Healthy, Trial, looked_at, trials
from bncheck.errors import BncheckError
from bncheck.formats import open_model


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--arch", help="what builds the network of state dicts, whose graph tells more than names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, help="into so many layers of a file each fault is planted; else into all")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    healthy: dict[str, Healthy] = {}
    seen: list[Trial] = []
    for path in given.files:
        try:
            opened = open_model(path, arch=given.arch)
        except BncheckError as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        name = path.rpartition("/")[2]
        file = Audited(opened.layers, opened.tensors(), opened.wiring())
        healthy[name] = looked_at(file)
        seen += trials(name, file, None, given.seed, given.most)
        print(f"{name}: {healthy[name]}", file=sys.stderr, flush=True)
    print(section(healthy, seen, "python -m benchmarks.diagnosis.static.files FILE..."))


if __name__ == "__main__":
    main(sys.argv[1:])
