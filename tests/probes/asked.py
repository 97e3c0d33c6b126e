"""Models and data that call for questions, and the case that each makes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bncheck.data import open_data
from bncheck.data.batches import Source
from bncheck.formats import from_module
from bncheck.formats.backend import Backend
from bncheck.measure.collect import measured_evidence
from bncheck.measure.observing import observe
from bncheck.measure.plan import Plan
from bncheck.probes.case import Case, Subject
from bncheck.progress import no_progress
from bncheck.watch.session import Session


@dataclass(frozen=True)
class Inspected:
    """A model, data, and training data."""

    model: Any
    source: Source
    training: Source | None = None

    @contextmanager
    def case(self) -> Iterator[tuple[Case, Session]]:
        """What probes go by, and the session in which they run."""
        plan = Plan(batch_size=24)
        model: Backend = from_module(self.model)
        with model.session("data", plan.seed) as session:
            seen = observe(session, self.source, plan, no_progress)
            evidence = measured_evidence(model, seen, plan, source_name="data", sizes=())
            subject = Subject(model, self.source, plan, self.training, no_progress)
            yield Case(subject, seen, evidence, session.fixed_batch), session


class Shared(nn.Module):
    """One norm for the input and for its multiple."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(4, momentum=None), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(x)) + self.norm(8 * x))


def images(samples: int = 300) -> torch.Tensor:
    """Pictures whose colours differ, from black to white."""
    x = torch.rand(samples, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    x = x * torch.tensor([1.0, 0.6, 0.3]).reshape(3, 1, 1)
    x[:, :, 0, 0], x[:, :, 0, 1] = 0.0, 1.0
    return x


def colour_net() -> nn.Module:
    """A network that fits `images`."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=None), nn.ReLU(), nn.Dropout(0.2)),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8, momentum=None), nn.Flatten(), nn.Linear(8 * 16, 4)),
    )
    net.train()(images())
    return net.eval()


def labelled(x: torch.Tensor) -> Source:
    """The pictures as they are fed, with what the network says of them as they should be."""
    return open_data((x, colour_net()(images()).argmax(1)))


def with_eps(eps: float) -> nn.Module:
    net = copy.deepcopy(colour_net())
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
    return net


def shared() -> nn.Module:
    torch.manual_seed(0)
    net = Shared()
    net.train()(torch.randn(300, 4))
    return net.eval()


def mixing() -> nn.Module:
    """Its scores are normalized by the batch, in eval mode too."""
    return nn.Sequential(*colour_net(), nn.BatchNorm1d(4, track_running_stats=False)).eval()


def sorted_loader(x: torch.Tensor) -> Source:
    """Batches of one label each, as far as they go."""
    labels = colour_net()(x).argmax(1)
    order = labels.argsort()
    return open_data(DataLoader(TensorDataset(x[order], labels[order]), 20))


def with_nan(net: nn.Module) -> nn.Module:
    with torch.no_grad():
        next(net.parameters()).view(-1)[0] = float("nan")
    return net


INSPECTED: dict[str, Callable[[], Inspected]] = {
    "healthy": lambda: Inspected(colour_net(), labelled(images())),
    "no labels": lambda: Inspected(colour_net(), open_data(images(70))),
    "few samples": lambda: Inspected(colour_net(), open_data(images(10))),
    "scaled": lambda: Inspected(colour_net(), labelled(255 * images())),
    "curved": lambda: Inspected(colour_net(), labelled(3.1 * images() - 1.7)),
    "swapped": lambda: Inspected(colour_net(), labelled(images().flip(1))),
    "scaled and swapped": lambda: Inspected(colour_net(), labelled(255 * images().flip(1))),
    "eps": lambda: Inspected(with_eps(0.1), labelled(images())),
    "shared": lambda: Inspected(shared(), open_data(torch.randn(300, 4))),
    "loader": lambda: Inspected(colour_net(), sorted_loader(images()), sorted_loader(images(500))),
    "fixed batch": lambda: Inspected(torch.export.export(colour_net(), (images(32),)), labelled(255 * images())),
    "mixing": lambda: Inspected(mixing(), labelled(images())),
    "bad weight": lambda: Inspected(with_nan(colour_net()), open_data(images())),
}
