"""Notes tell how far the data were read, and what could not be measured on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import count
from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True)
class OneClassOnly(Note):
    """A folder of images has a single class folder."""

    qualifies: ClassVar[bool] = True
    folder: str
    class_folder: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{self.class_folder} is the only class folder of {self.folder}, so the accuracy is that on one class"


@dataclass(frozen=True, slots=True)
class SomeCompared(Note):
    """Not all samples were run by the batch and recalibrated, since fewer decided it."""

    compared: int
    samples: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"Own gaps and predictions are those of {self.compared:,} of the {self.samples:,} samples, which decide "
            f"it; {argument('exhaustive')} takes all"
        )


@dataclass(frozen=True, slots=True)
class MapsReadInPart(Note):
    """Of large maps of samples after the first ones, some rows were measured."""

    whole: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"Of samples after the first {self.whole:,} some rows of large maps are measured, which tell means to 0.01 "
            f"standard deviations of what all tell; {argument('exhaustive')} measures all"
        )


@dataclass(frozen=True, slots=True)
class SlicesTogether(Note):
    """There are more slices than are told apart; `names` of the others, where they are known."""

    slices: int
    names: int | None = None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        others = "further slices" if self.names is None else count(self.names, "rarer slice")
        return f"{argument('by')}: {self.slices} slices are told apart, and {others} counted together as others"


@dataclass(frozen=True, slots=True)
class TrainingSamplesCompared(Note):
    """The training sampling was measured beside the data; `batch_size` where it makes its own batches."""

    samples: int
    source: str
    batch_size: int | None = None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        batches = "" if self.batch_size is None else f", in its batches of {self.batch_size}"
        return f"{count(self.samples, 'training sample')} of {self.source} compared{batches}"


@dataclass(frozen=True, slots=True)
class NoBatchSizes(Note):
    """Samples cannot be regrouped, since their batch composition is seen in them."""

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return "no table of batch sizes: what a sample shows depends on the batch, so samples cannot be regrouped"


@dataclass(frozen=True, slots=True)
class LabelsUnfit(Note):
    """The labels are no class numbers for the outputs."""

    qualifies: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"no accuracy: the labels are no class numbers for these outputs; {argument('output')} names the "
            f"prediction, {argument('metric')} measures it otherwise"
        )


@dataclass(frozen=True, slots=True)
class WorseThanGuessing(Note):
    """Predictions are right less often than a guess, whatever statistics they are made by."""

    qualifies: ClassVar[bool] = True
    classes: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"of {self.classes} classes a guess is right more often than these predictions, whatever statistics they "
            "are made by: check that the labels number the classes as the model does"
        )


@dataclass(frozen=True, slots=True)
class NoBetterThanGuessing(Note):
    """Predictions are hardly more often right than a guess, whatever statistics they are made by."""

    qualifies: ClassVar[bool] = True
    classes: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"of {self.classes} classes a guess is right hardly less often than these predictions, whatever "
            "statistics they are made by: look for the cause in the weights, the labels and the preprocessing"
        )


@dataclass(frozen=True, slots=True)
class FixedBatchTooSmall(Note):
    """The program takes batches of one size, too small to normalize by."""

    qualifies: ClassVar[bool] = True
    batch_size: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"no batch pass: the program takes batches of exactly {self.batch_size}, too few to "
            "normalize by; export it with a dynamic batch dimension for own gaps and effect"
        )


@dataclass(frozen=True, slots=True)
class BatchesReduced(Note):
    """The batch pass normalized fewer samples together than it wants, for want of memory."""

    batch_size: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"batch statistics are of {self.batch_size} samples together: more take more memory than there is"


@dataclass(frozen=True, slots=True)
class FewerSamplesKept(Note):
    """There was no room for as many samples as questions are put to, since each is large."""

    kept: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"samples are large: {self.kept} are kept for what is asked by running some again; "
            f"{argument('sample_memory')} makes room for more"
        )


@dataclass(frozen=True, slots=True)
class NoMemoryForBatchPass(Note):
    """So many samples as batch statistics take do not fit into memory."""

    qualifies: ClassVar[bool] = True
    batch_size: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"no batch pass: to normalize {self.batch_size} samples together takes more memory than there is; own gaps "
            "and the effect need a machine that has more, or smaller inputs"
        )


@dataclass(frozen=True, slots=True)
class OnlyAsShipped(Note):
    """Nothing was run but the model as shipped, as was asked."""

    qualifies: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"run as shipped alone ({argument('fast')}): causes and costs that take more forwards were not looked for"
        )


@dataclass(frozen=True, slots=True)
class TooFewForBatchPass(Note):
    """Half the data are too few to normalize by."""

    qualifies: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return "no batch pass: it needs four samples at the least"


@dataclass(frozen=True, slots=True)
class ReadingEnded(Note):
    """The data were read until the means were known, or to their end.

    Attributes:
        until: the error that was asked for, in standard deviations.
        error: the one reached; `None` where it cannot be told.
        reached: whether it is as small as was asked for.
        read: samples read.
        samples: all there are; `None` where unknown.
    """

    until: float
    error: float | None
    reached: bool
    read: int
    samples: int | None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        asked = f"({argument('until')} {self.until:g})"
        if self.error is None:
            return f"all was read, in too few batches to tell how well the means are known {asked}"
        known = f"every layer's mean is known to {self.error:.2g} standard deviations"
        if not self.reached:
            return f"all was read, and {known} only {asked}"
        if self.read == self.samples:
            return f"all was read, and {known} {asked}"
        read = f"{self.read}" if self.samples is None else f"{self.read} of {self.samples}"
        return f"reading ended after {read} samples: {known} {asked}"


@dataclass(frozen=True, slots=True)
class PutTogether(Note):
    """The report was put together from files, without running the model."""

    qualifies: ClassVar[bool] = True
    parts: int
    samples: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        own = ", and recalibrated statistics are each part's own" if self.parts > 1 else ""
        return (
            f"put together from {count(self.parts, 'part')} with {count(self.samples, 'sample')}: what takes running "
            f"samples again was not asked (causes in the input, batch composition, layers one at a time){own}"
        )
