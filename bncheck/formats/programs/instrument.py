"""Running a model while its normalization layers are watched: one way for every kind of program."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

import torch

from bncheck.core.layers import NormLayer
from bncheck.data.batches import Batch
from bncheck.errors import UnfitError
from bncheck.evidence import RuntimeCheck
from bncheck.formats.model import Model
from bncheck.formats.programs.hooks import custom_norms
from bncheck.formats.programs.running import Runner
from bncheck.formats.programs.tap import Tap
from bncheck.results.notes import Note
from bncheck.watch.ending import Ending, SeenEnoughError
from bncheck.watch.policies import STORED, Policy, Stored
from bncheck.watch.recorder import Recorder
from bncheck.watch.sites import Site


class Instrument(Protocol):
    """Runs batches under a policy and records what every normalization layer is fed."""

    @property
    def fixed_batch(self) -> int | None:
        """The only batch size that can be run; `None` where any can."""
        ...

    @property
    def notes(self) -> Sequence[Note]:
        """What was changed to make the model run, for the reader of the report."""
        ...

    @property
    def found(self) -> dict[str, NormLayer]:
        """Layers without stored statistics that only running the model revealed, by name."""
        ...

    @property
    def unsupported(self) -> set[str]:
        """Layers that turned out not to normalize by what they store."""
        ...

    @property
    def runtime(self) -> Sequence[RuntimeCheck]:
        """How the runtime's answers compare with float64, on samples of the first batch recorded as shipped."""
        ...

    def run(self, batch: Batch, policy: Policy, recorder: Recorder | None) -> Any:
        """What the model returns for `batch` under `policy`; with a recorder, its layers' inputs are recorded.

        Raises:
            DataError: the model refuses the batch.
        """
        ...

    def look(self, batch: Batch, recorder: Recorder, sites: Collection[Site]) -> None:
        """Record what those calls are fed, as the model is shipped, and run no further than that takes.

        Raises:
            DataError: the model refuses the batch.
        """
        ...


class TorchInstrument:
    """The tap, and hooks for the layers it cannot see, around a torch program."""

    def __init__(self, model: Model, source_name: str) -> None:
        self._tap = Tap(model)
        self._runner = Runner(model, source_name)
        self.fixed_batch = model.fixed_batch
        self.notes: tuple[Note, ...] = ()
        self.runtime: list[RuntimeCheck] = []
        self._compared = False

    @property
    def found(self) -> dict[str, NormLayer]:
        """Layers without stored statistics."""
        return self._tap.without_statistics

    @property
    def unsupported(self) -> set[str]:
        """Layers that do not normalize by their buffers."""
        return self._tap.unsupported

    @contextlib.contextmanager
    def attached(self, seed: int) -> Iterator[None]:
        """Hooks in place and torch's random state our own; both are undone at the end."""
        with torch.random.fork_rng(devices=accelerators()), custom_norms(self._runner.program, self._tap):
            torch.manual_seed(seed)
            yield

    def run(self, batch: Batch, policy: Policy, recorder: Recorder | None) -> Any:
        """See `Instrument.run`."""
        compares = recorder is not None and isinstance(policy, Stored) and not self._compared
        self._compared = self._compared or compares
        with self._tap.watching(policy, recorder, batch.size, self.runtime if compares else None):
            return self._runner(batch)

    def look(self, batch: Batch, recorder: Recorder, sites: Collection[Site]) -> None:
        """See `Instrument.look`."""
        ending = Ending(recorder, sites)
        try:
            with self._tap.watching(STORED, ending, batch.size):
                self._runner(batch)
        except SeenEnoughError:
            pass
        except UnfitError:  # TorchScript turns what ends it into an error of its own
            if not ending.done:
                raise


def accelerators() -> list[int]:
    """CUDA devices whose random state seeding would change: all of them, once CUDA is in use."""
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return list(range(torch.cuda.device_count())) if in_use else []


@contextlib.contextmanager
def instrument(model: Model, source_name: str, seed: int) -> Iterator[Instrument]:
    """The instrument for that kind of model, ready to run.

    Raises:
        ModelError: there is no runtime that can run the model.
    """
    if model.graph is not None:
        from bncheck.formats.onnx.running.instrument import OnnxInstrument  # other models do without onnx

        yield OnnxInstrument(model, source_name)
        return
    torch_instrument = TorchInstrument(model, source_name)
    with torch_instrument.attached(seed):
        yield torch_instrument
