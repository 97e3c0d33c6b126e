"""Train nets with an eps that shows, and see which eps their stored statistics tell: the table of eps.

`python -m benchmarks.diagnosis.static.eps [--seed S] [--steps N] [--only NET] [--out FILE]`

Weights, means and the root of eps times any number, and variances times its square, are the same network: so each is
trained once with an eps so large that it shows, and then brought to a usual one.
"""

from __future__ import annotations

import argparse
import copy
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.diagnosis.data import task_named
from benchmarks.diagnosis.static.nets import RECIPES, Recipe, trained
from benchmarks.diagnosis.static.page import put
from bncheck.evidence import Evidence
from bncheck.formats import from_module
from bncheck.rules import judge
from bncheck.weights import predictions_of

Norm = nn.modules.batchnorm._BatchNorm
TRAINED_WITH = (1e-5, 1e-3, 1e-2, 1e-1)
"""Beside variances of 0.03 to 3: from an eps that never shows to one that is as large as some variances."""
USUAL = (1e-6, 1e-5, 1e-4, 1e-3)
BEGIN, END = "<!-- eps -->", "<!-- /eps -->"


@dataclass(frozen=True, slots=True)
class Told:
    """One network with one eps.

    Attributes:
        ratio: of its median variance to its eps.
        truth: its eps.
        known: whether anything is told.
        right: whether its eps is among what is told.
        found: by the other eps that is declared, whether BN302 says that it is another.
        false: whether BN302 says so of its own.
    """

    ratio: float
    truth: float
    known: bool
    right: bool
    found: dict[float, bool]
    false: bool


def norms(net: nn.Module) -> list[Norm]:
    """Its BatchNorm layers."""
    return [module for module in net.modules() if isinstance(module, Norm)]


def brought_to(net: nn.Module, eps: float) -> nn.Module:
    """The same network with that eps: every weight is scaled so that it says the same."""
    same = copy.deepcopy(net)
    factor = (eps / norms(same)[0].eps) ** 0.5
    for module in same.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            for parameter in module.parameters():
                parameter.data *= factor
    for norm in norms(same):
        norm.running_mean *= factor
        norm.running_var *= factor**2
        norm.eps = eps
    return same


def told_of(net: nn.Module, truth: float) -> Told:
    """What its statistics tell, and what is said where another eps is declared."""
    model = from_module(net)
    seen = predictions_of(model).eps
    known = torch.cat([norm.running_var for norm in norms(net)])
    said = {eps: _is_contradicted(net, eps) for eps in USUAL}
    right = seen is not None and not seen.excludes(truth)
    others = {eps: found for eps, found in said.items() if eps != truth}
    return Told(float(known.median()) / truth, truth, seen is not None, right, others, said[truth])


def _is_contradicted(net: nn.Module, eps: float) -> bool:
    declared = copy.deepcopy(net)
    for norm in norms(declared):
        norm.eps = eps
    model = from_module(declared)
    findings = judge(Evidence(model.layers, predicted=predictions_of(model)), {"BN302"})
    return any("eps_best" in finding.evidence for finding in findings)


def tried(recipe: Recipe, seed: int, steps: int) -> Iterator[Told]:
    """The network trained with each eps, and brought to each that is usual."""
    task = task_named("tinted", None)
    for eps in TRAINED_WITH:

        def build(channels: int, eps: float = eps) -> nn.Module:
            net = recipe.build(channels)
            for norm in norms(net):
                norm.eps = eps
            return net

        net, _ = trained(Recipe(build, recipe.training), task, seed, steps)
        for usual in USUAL:
            yield told_of(brought_to(net, usual), usual)


def section(seen: Sequence[Told], nets: int, command: str) -> str:
    """The table, and the command that made it."""
    text = (
        f"`{command}`: {len(seen)} files of {nets} networks; where anything was told, their own eps was excluded in "
        f"{sum(told.known and not told.right for told in seen)}; their own was called wrong in "
        f"{sum(told.false for told in seen)}.\n\n"
        "| median variance / eps | files | told | ten times too large is found | a hundred and more "
        "| ten times too small | a hundred and more |\n|---|---|---|---|---|---|---|\n"
    )
    for low, high in ((0.0, 10.0), (10.0, 100.0), (100.0, 1000.0), (1000.0, float("inf"))):
        rows = [told for told in seen if low <= told.ratio < high]
        if not rows:
            continue
        shares = [
            _share([found for told in rows for eps, found in told.found.items() if least <= eps / told.truth < most])
            for least, most in ((9, 11), (90, 1e9), (0.09, 0.11), (0.0, 0.011))
        ]
        name = f"{low:g} to {high:g}" if high < float("inf") else f"above {low:g}"
        text += f"| {name} | {len(rows)} | {sum(told.known for told in rows)} | {' | '.join(shares)} |\n"
    return text


def _share(found: Sequence[bool]) -> str:
    return f"{sum(found)} of {len(found)}" if found else ""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--only", action="append", choices=sorted(RECIPES), help="a net; repeatable")
    parser.add_argument("--out", type=Path, help="page whose table is written anew")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    command = f"python -m benchmarks.diagnosis.static.eps {shlex.join(arguments)}".strip()
    # A convolution that feeds another one cannot be scaled so.
    names = given.only or [name for name in RECIPES if "in code" not in name]
    seen: list[Told] = []
    for place, name in enumerate(names):
        new = list(tried(RECIPES[name], given.seed, given.steps))
        seen += new
        wrong = [told for told in new if told.false or (told.known and not told.right)]
        print(f"{name}: told {sum(told.known for told in new)} of {len(new)}; {wrong}", file=sys.stderr, flush=True)
        if given.out:
            put(given.out, section(seen, place + 1, command), (BEGIN, END))
    print(section(seen, len(names), command))


if __name__ == "__main__":
    main(sys.argv[1:])
