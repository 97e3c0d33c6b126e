"""What watching a model is: batches run under a policy, and a record of what its normalization layers are fed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from bncheck.core import NormLayer
from bncheck.data import Batch
from bncheck.evidence import RuntimeCheck
from bncheck.results import Note
from bncheck.watch.policies import Policy
from bncheck.watch.recorder import Recorder
from bncheck.watch.sites import Site


class Session(Protocol):
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

    def restrict(self, batch_size: int) -> None:
        """Take batches of that size alone from now on: others were tried, and the model refuses them."""
        ...

    def look(self, batch: Batch, recorder: Recorder, sites: Collection[Site]) -> None:
        """Record what those calls are fed, as the model is shipped, and run no further than that takes.

        Raises:
            DataError: the model refuses the batch.
        """
        ...
