"""How much memory samples may take beside the forwards of the model, and who gets which share of it."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 2**20
SAMPLE_MEMORY = 256
"""MiB of samples that are kept beside those of one forward."""
_PARTS = 16
"""Of which two are nobody's: memory that is let go of in pieces is not all of use to others."""


@dataclass(frozen=True, slots=True)
class SampleMemory:
    """One budget for all that holds samples for longer than a forward, however many there are and however large.

    Where samples are large fewer are held. What a decision cannot do without is held all the same: a batch of the
    size that was asked for, and a handful of samples for the questions that are put to some.

    Attributes:
        mebibytes: of all together.
    """

    mebibytes: int = SAMPLE_MEMORY

    @property
    def shuffled(self) -> int:
        """Bytes of a stream's samples that wait to be drawn at random."""
        return self._share(2)

    @property
    def halves(self) -> int:
        """Bytes of the two halves that are normalized by themselves."""
        return self._share(2)

    @property
    def kept(self) -> int:
        """Bytes of samples that questions are put to."""
        return self._share(3)

    @property
    def grouped(self) -> int:
        """Bytes of samples of some labels, from which batches of one label are made."""
        return self._share(3)

    @property
    def moments(self) -> int:
        """Bytes of what layers showed of single samples, or of single batches in their own order."""
        return self._share(4)

    def _share(self, parts: int) -> int:
        return max(1, self.mebibytes * MEBIBYTE * parts // _PARTS)
