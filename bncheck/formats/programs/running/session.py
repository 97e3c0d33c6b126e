"""Running a torch program while its normalization layers are watched: one way for every kind of program."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from bncheck.core import NormLayer
from bncheck.data import Batch, same_random_state
from bncheck.errors import UnfitError
from bncheck.evidence import RuntimeCheck
from bncheck.formats.programs.runner import Runner
from bncheck.formats.programs.tap import Tap
from bncheck.results import InputsLeftOut, Note
from bncheck.watch import STORED, Ending, LastSiteSeenError, Policy, Recorder, Site, Stored, accelerators

if TYPE_CHECKING:
    from bncheck.formats.programs.backend import ProgramBackend


class TorchSession:
    """The tap, and hooks for the layers it cannot see, around a torch program."""

    def __init__(self, model: ProgramBackend, source_name: str) -> None:
        self._model = model
        self._tap = Tap(model)
        self._runner = Runner(
            model.program, model.path, source_name, model.prints_to, lambda: self._tap.raised, model.autocast
        )
        self.fixed_batch: int | None = model.fixed_batch
        self.runtime: list[RuntimeCheck] = []
        self._compared = False

    @property
    def found(self) -> dict[str, NormLayer]:
        """Layers without stored statistics."""
        return self._tap.without_statistics

    @property
    def notes(self) -> tuple[Note, ...]:
        """What of the batches the program was not given."""
        return (InputsLeftOut(self._runner.left_out),) if self._runner.left_out else ()

    @property
    def unsupported(self) -> set[str]:
        """Layers that do not normalize by their buffers."""
        return self._tap.unsupported

    @contextlib.contextmanager
    def attached(self, seed: int) -> Iterator[None]:
        """Hooks in place and the random state our own; both are undone at the end."""
        with same_random_state(accelerators(), seed), self._model.watched(self._tap):
            yield

    def run(self, batch: Batch, policy: Policy, recorder: Recorder | None) -> Any:
        """See `Session.run`."""
        compares = recorder is not None and isinstance(policy, Stored) and not self._compared
        self._compared = self._compared or compares
        with self._tap.watching(policy, recorder, batch.size, self.runtime if compares else None):
            return self._runner(batch)

    def restrict(self, batch_size: int) -> None:
        """See `Session.restrict`."""
        self.fixed_batch = batch_size

    def look(self, batch: Batch, recorder: Recorder, sites: Collection[Site]) -> None:
        """See `Session.look`."""
        ending = Ending(recorder, sites)
        try:
            with self._tap.watching(STORED, ending, batch.size):
                self._runner(batch)
        except LastSiteSeenError:
            pass
        except UnfitError:  # TorchScript turns what ends it into an error of its own
            if not ending.done:
                raise
