"""Trains a net for its problem, feeds it as it wants to be fed, and says how good it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from benchmarks.diagnosis.tasks.nets import KINDS
from benchmarks.diagnosis.tasks.problems import LENGTHS, PROBLEMS, Problem, waves

BATCH = 24
TRUTH = 800
"""Samples on which what is true is measured; none of them is inspected."""

Samples = list[tuple[torch.Tensor, torch.Tensor]]
"""Batches of inputs and labels."""


def seeded(*numbers: int) -> torch.Generator:
    """Random numbers of their own for these numbers; neighbouring seeds would begin alike."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))


def drawn(problem: Problem, number: int, generator: torch.Generator) -> Samples:
    """So many samples: one batch of all, or one for each where they are of unlike lengths."""
    if not problem.uneven:
        return [problem.draw(number, generator)]
    lengths = torch.randint(LENGTHS[0], LENGTHS[1] + 1, (number,), generator=generator)
    return [waves(1, generator, int(length)) for length in lengths]


def truth_of(problem: Problem, generator: torch.Generator) -> Samples:
    """Samples to judge by; those of one length together, which in eval mode changes nothing."""
    if not problem.uneven:
        return drawn(problem, TRUTH, generator)
    lengths = torch.randint(LENGTHS[0], LENGTHS[1] + 1, (20,), generator=generator)
    return [waves(TRUTH // 20, generator, int(length)) for length in lengths]


def trained(kind: str, seed: int) -> nn.Module:
    """A net trained by Adam with a rate that falls, on new samples in every step; in eval mode.

    Kinds of one problem and form are different nets all the same.
    """
    wanted, number = KINDS[kind], tuple(KINDS).index(kind)
    torch.manual_seed(seeded(seed, 0, number).initial_seed())
    problem, net = PROBLEMS[wanted.problem], wanted.build(wanted.channels, wanted.outputs)
    generator = seeded(seed, 1, number)
    optimizer = torch.optim.AdamW(net.parameters(), wanted.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, wanted.steps)
    net.train()
    for batch in _batches(problem, wanted.steps, generator):
        optimizer.zero_grad()
        problem.loss(net(batch[0]), batch[1]).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def _batches(problem: Problem, steps: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for _ in range(steps):
        if problem.uneven:
            length = int(torch.randint(LENGTHS[0], LENGTHS[1] + 1, (1,), generator=generator))
            yield waves(BATCH, generator, length)
        else:
            yield problem.draw(BATCH, generator)


def outputs_of(net: nn.Module, samples: Samples) -> torch.Tensor:
    """What the net says of all samples."""
    with torch.no_grad():
        return torch.cat([net(part) for x, _ in samples for part in x.split(500)])


def scores_of(net: nn.Module, problem: Problem, samples: Samples) -> torch.Tensor:
    """The problem's own score of every sample, (n,)."""
    return problem.score(outputs_of(net, samples), torch.cat([y for _, y in samples]))


def losses_of(net: nn.Module, problem: Problem, samples: Samples) -> float:
    """The loss that the net was trained by."""
    return float(problem.loss(outputs_of(net, samples), torch.cat([y for _, y in samples])))


def norms(net: nn.Module) -> dict[str, nn.modules.batchnorm._BatchNorm]:
    """The BatchNorm layers by name, in the order they are declared."""
    found = dict(net.named_modules())
    return {name: one for name, one in found.items() if isinstance(one, nn.modules.batchnorm._BatchNorm)}
