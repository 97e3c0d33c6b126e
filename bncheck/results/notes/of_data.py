"""Notes tell of the data, and of what in them was not used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import count, listed
from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True)
class ImagesEnlarged(Note):
    """Images are resized to many times what they are: (height, width) before and after."""

    given: tuple[int, ...]
    made: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        before, after = (" x ".join(map(str, size)) for size in (self.given, self.made))
        return f"Images of {before} (height x width) are enlarged to {after}, which takes its time"


@dataclass(frozen=True, slots=True)
class SamplesLeftOut(Note):
    """Samples were left over that a fixed batch size could not take."""

    qualifies: ClassVar[bool] = True
    samples: int
    batch_size: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{count(self.samples, 'sample')} left out: the program takes batches of exactly {self.batch_size}"


@dataclass(frozen=True, slots=True)
class SamplesNotFinite(Note):
    """Samples were left out since they hold NaN or infinity; the numbers of the first, counted from 0."""

    qualifies: ClassVar[bool] = True
    samples: int
    first: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """See `Note`."""
        more = ", ..." if self.samples > len(self.first) else ""
        named = f" (number{'s' if self.samples > 1 else ''} {', '.join(map(str, self.first))}{more})"
        return f"{count(self.samples, 'sample')} left out{named}: NaN or infinity in the data"


@dataclass(frozen=True, slots=True)
class DrawnFromTheFirst(Note):
    """Samples were drawn from the first that a stream gave, which had more and need not end."""

    qualifies: ClassVar[bool] = True
    read: int
    source: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"{argument('limit')} drew from the first {self.read:,} samples of {self.source}, which goes on; a loader "
            "with a length (`__len__`) is drawn from further on"
        )


@dataclass(frozen=True, slots=True)
class InputsLeftOut(Note):
    """Parts of the batches were not fed to the model: texts, and what it has no parameter for."""

    qualifies: ClassVar[bool] = True
    names: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Not fed to the model: {', '.join(self.names)}; {argument('input')} names what it takes"


@dataclass(frozen=True, slots=True)
class LabelsUnread(Note):
    """Labels have a form that no output can be judged by: the boxes of every image, say."""

    qualifies: ClassVar[bool] = True
    form: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        chosen = f"{argument('label')} chooses another part of a batch"
        return f"The labels were not used: they are {self.form}, which no task is judged by; {chosen}"


@dataclass(frozen=True, slots=True)
class FedOtherwise(Note):
    """The data are fed in another way than the model's weights say that its training's were.

    Attributes:
        expected, fed: the ways; of what is fed empty where it is none that is known.
        expected_mean, expected_std: of the values in training, over all channels; the others of those fed.
    """

    expected: str
    fed: str
    expected_mean: float
    expected_std: float
    fed_mean: float
    fed_std: float

    @property
    def sentence(self) -> str:
        """See `Note`."""
        options = ", ".join(argument(name) for name in ("mean", "std", "scale"))
        expected, fed = (f"{way} values" if way.isalpha() else f"pixels in {way}" for way in (self.expected, self.fed))
        return (
            f"In training the first convolution was fed {expected} (mean {self.expected_mean:.3g}, standard deviation "
            f"{self.expected_std:.3g}); these data are {fed if self.fed else 'others'} (mean {self.fed_mean:.3g}, "
            f"standard deviation {self.fed_std:.3g}): check {options}, unless the model changes its input itself"
        )


@dataclass(frozen=True, slots=True)
class ReadByOneWorker(Note):
    """A loader of several workers over a stream was read by one.

    Attributes:
        left: how many workers that leaves out.
    """

    left: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"The loader was read by one of its {self.left + 1} workers: nothing in its IterableDataset asks which "
            "worker it is in (torch.utils.data.get_worker_info), so each of them gives every sample"
        )


@dataclass(frozen=True, slots=True)
class MissingFilled(Note):
    """Missing values of a table were filled in.

    Attributes:
        cells: how many.
        columns: in which columns, each with its number of them.
        by: what was filled in: a number, `mean` or `median`.
    """

    cells: int
    columns: tuple[str, ...]
    by: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        by = f"the {self.by} of their column" if self.by in ("mean", "median") else self.by
        return f"{count(self.cells, 'missing value')} filled with {by}, in {listed(self.columns)}"
