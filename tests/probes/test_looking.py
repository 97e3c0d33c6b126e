"""Looking at the first layers alone: what they see is the same, and what lies behind them is not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bncheck.data.batches import Batch
from bncheck.errors import DataError
from bncheck.formats import from_module, open_model
from bncheck.formats.backend import Backend
from bncheck.probes.answers import Reader
from bncheck.probes.session import ProbeSession
from bncheck.watch.policies import STORED
from bncheck.watch.recorder import Recorder
from bncheck.watch.session import Session
from bncheck.watch.sites import Site

STEM = Site("stem.1", 0)


class Net(nn.Module):
    """A norm, and whatever lies behind; it counts how often it gets there."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.rest = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(3))
        self.ran = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        self.ran += 1
        return self.rest(x)


class Careless(Net):
    """Goes on whatever happens."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        try:
            x = self.stem(x)
        except Exception:  # noqa: BLE001  # as models do
            x = torch.zeros(len(x), 4, 4, 4)
        self.ran += 1
        return self.rest(x)


def net(kind: type[Net] = Net) -> Net:
    torch.manual_seed(0)
    made = kind()
    made(torch.zeros(2, 1, 6, 6))
    made.train()(torch.randn(64, 1, 6, 6))
    return made.eval()


def samples(number: int = 40) -> Batch:
    return Batch(torch.randn(number, 1, 6, 6, generator=torch.Generator().manual_seed(1)), None, number)


def torchscript(folder: Path) -> Backend:
    torch.jit.trace(net(), torch.zeros(2, 1, 6, 6)).save(str(folder / "net.pt"))
    return open_model(folder / "net.pt")


def program(folder: Path) -> Backend:
    dynamic = ({0: torch.export.Dim("batch", min=1)},)
    torch.export.save(
        torch.export.export(net(), (torch.zeros(2, 1, 6, 6),), dynamic_shapes=dynamic), folder / "net.pt2"
    )
    return open_model(folder / "net.pt2")


def onnx_file(folder: Path) -> Backend:
    torch.onnx.export(
        net(),
        (torch.zeros(2, 1, 6, 6),),
        str(folder / "net.onnx"),
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        input_names=["x"],
        dynamic_axes={"x": {0: "batch"}},
    )
    return open_model(folder / "net.onnx")


KINDS = {
    "eager": lambda folder: from_module(net()),
    "eager, careless": lambda folder: from_module(net(Careless)),
    "torchscript": torchscript,
    "exported": program,
    "onnx": onnx_file,
}


@contextmanager
def probing(model: Backend) -> Iterator[tuple[ProbeSession, Session]]:
    with model.session("data", 0) as session:
        yield ProbeSession(session, Reader(None, labelled=False), 16), session


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_layer_sees_what_it_sees_in_a_whole_forward(kind: str, tmp_path: Path) -> None:
    model = KINDS[kind](tmp_path)
    with probing(model) as (probes, _):
        whole = probes.stored(samples())
        (first,) = (site for site in whole.recorder.sites if "stem" in site.layer or site.layer.endswith("/stem.1"))
        seen = probes.look(samples(), whole.sites([first.layer]))
    assert list(seen.recorder.sites) == [first]
    assert seen.answers is None
    one, other = (watched.recorder.sites[first].statistics() for watched in (seen, whole))
    assert one.mean == pytest.approx(other.mean, rel=1e-6)
    assert one.var == pytest.approx(other.var, rel=1e-6)


@pytest.mark.parametrize("kind", [Net, Careless])
def test_what_lies_behind_is_not_run(kind: type[Net]) -> None:
    model = from_module(net(kind))
    own: Any = model.program
    with probing(model) as (probes, _):
        before = own.ran
        probes.look(samples(), {STEM})
        assert own.ran == before
        probes.stored(samples())  # and nothing is left of it
        assert own.ran == before + 3


def test_a_layer_that_does_not_come_ends_nothing() -> None:
    model = from_module(net())
    recorder = Recorder(per_sample=False)
    with probing(model) as (_, session):
        session.look(samples(), recorder, {Site("absent", 0)})
        assert len(recorder.sites) == 2
        assert session.run(samples(), STORED, None).shape == (40, 3)


def test_what_the_model_refuses_is_refused() -> None:
    with probing(from_module(net())) as (probes, _), pytest.raises(DataError, match="cannot be run on data"):
        probes.look(Batch(torch.zeros(4, 2, 6, 6), None, 4), {STEM})
