"""Reading slices in step with a pass: batch by batch, beside what the pass itself collects."""

from __future__ import annotations

from typing import Any

from bncheck.data import Batch, ScreenedSource, Slicing, Source
from bncheck.measure.plan import READ_WHOLE, Plan
from bncheck.measure.slices.seen import Slices
from bncheck.predictions import PredictionEffect
from bncheck.tensors import torch
from bncheck.watch import Recorder, SlicingRecorder


class Sliced:
    """The slices of one pass over a source; where nobody has asked for any it does nothing.

    Args:
        source: the data.
    """

    def __init__(self, source: Source) -> None:
        self._slicing: Slicing | None = source.slicing if isinstance(source, ScreenedSource) else None
        self._slices = Slices() if self._slicing is None else Slices().naming(self._slicing)
        self._recorder: SlicingRecorder | None = None
        self._codes: torch.Tensor | None = None

    @property
    def seen(self) -> Slices | None:
        """What was seen; `None` where nobody has asked."""
        return None if self._slicing is None else self._slices.settled(self._slicing)

    def recorder(self, plan: Plan, *, errors: bool) -> Recorder:
        """The recorder of a stored pass, which adds up by slice too."""
        seed, room, whole = plan.seed, plan.memory.moments, None if plan.exhaustive else READ_WHOLE
        if self._slicing is None:
            return Recorder(per_sample=True, errors=errors, seed=seed, room=room, whole=whole)
        self._recorder = SlicingRecorder(self._slices.calls, errors=errors, seed=seed, room=room, whole=whole)
        return self._recorder

    def begin(self, batch: Batch) -> None:
        """Name the samples of the next forward.

        Raises:
            DataError: nobody can tell which slices they belong to.
        """
        if self._slicing is None:
            return
        self._codes = self._slicing.codes(batch)
        if self._recorder is not None:
            self._recorder.of_slices(self._codes)

    def answered(self, whole: PredictionEffect, outputs: tuple[Any, Any], batch: Batch) -> None:
        """Take in the outputs of these samples as shipped, and by recalibrated statistics where they were run so."""
        if self._codes is None:
            return
        self._slices.add_shipped(self._codes, whole, outputs[0], batch)
        if outputs[1] is not None:
            self._slices.add_compared(self._codes, whole, outputs, batch)

    def again(self, whole: PredictionEffect, outputs: tuple[Any, Any], batch: Batch) -> None:
        """Take in both outputs of samples that were counted before."""
        self.begin(batch)
        if self._codes is not None:
            self._slices.add_compared(self._codes, whole, outputs, batch)
