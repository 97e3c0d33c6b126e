"""Notes tell how a repair came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import count, listed
from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True)
class MeasuredOneByOne(Note):
    """No batch could be normalized by itself, so layers were measured one after the other."""

    readings: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            "No batch of these samples can be normalized by itself, so the layers were measured one after the other, "
            f"in {self.readings} readings of the data."
        )


@dataclass(frozen=True, slots=True)
class SamplesWereEnough(Note):
    """Every layer's mean is known as well as was asked for (in standard deviations)."""

    samples: int
    error: float
    until: float

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"{count(self.samples, 'sample')} {'was' if self.samples == 1 else 'were'} enough: every layer's mean is "
            f"known to {self.error:.2g} standard deviations ({argument('until')} {self.until:g})."
        )


@dataclass(frozen=True, slots=True)
class ErrorUnknown(Note):
    """The samples are too few to tell how well the means are known."""

    samples: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"{count(self.samples, 'sample')} {'is' if self.samples == 1 else 'are'} too few, or too few batches, to "
            "say how well the means are known."
        )


@dataclass(frozen=True, slots=True)
class MoreSamplesNeeded(Note):
    """All samples were read, and the means are known less well than was asked for."""

    samples: int
    error: float
    until: float
    needed: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"After {count(self.samples, 'sample')} the mean is known to {self.error:.2g} standard deviations in the "
            f"worst layer; about {self.needed} would bring that to {self.until:g}."
        )


@dataclass(frozen=True, slots=True)
class PriorUsed(Note):
    """What the stored statistics counted for in a blend.

    Attributes:
        samples: they are worth.
        share: of the blend.
        candidates: priors that cross-validation chose among; `None` where it was given.
    """

    samples: float
    share: float
    candidates: int | None = None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        how = "" if self.candidates is None else f", chosen by cross-validation among {self.candidates}"
        return f"The stored statistics count as {self.samples:.4g} samples{how}: {self.share:.0%} of the blend."


@dataclass(frozen=True, slots=True)
class StoredLeftOut(Note):
    """Stored values that cannot be true took no part in a blend."""

    layers: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Stored values of {listed(self.layers, 3)} that cannot be true were left out of the blend."


@dataclass(frozen=True, slots=True)
class TrainingEnded(Note):
    """How a fine-tuning went.

    Attributes:
        steps: taken.
        early: whether patience ended it.
        first_loss, last_loss: means of `averaged` steps.
        r_clipped, d_clipped: shares of channels whose corrections were clipped at the end.
    """

    steps: int
    early: bool
    first_loss: float
    last_loss: float
    averaged: int
    r_clipped: float
    d_clipped: float

    @property
    def sentence(self) -> str:
        """See `Note`."""
        early = f", ended early by {argument('patience')}" if self.early else ""
        return (
            f"{count(self.steps, 'step')}{early}: the loss went from {self.first_loss:.3g} to {self.last_loss:.3g} "
            f"(means of {count(self.averaged, 'step')}); at the end r was clipped in {self.r_clipped:.1%} of the "
            f"channels and d in {self.d_clipped:.1%}."
        )


@dataclass(frozen=True, slots=True)
class BestStateTaken(Note):
    """The state that predicts the validation data best is what was written."""

    step: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"The state after step {self.step} predicts the validation data best and was taken."


@dataclass(frozen=True, slots=True)
class HeldOutDrawn(Note):
    """Samples of the training data were kept to judge by."""

    samples: int
    source: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        were = "was" if self.samples == 1 else "were"
        judge = "judges" if self.samples == 1 else "judge"
        return (
            f"{count(self.samples, 'sample')} of {self.source}, drawn at random, {were} kept from training and "
            f"{judge} the repair."
        )


@dataclass(frozen=True, slots=True)
class BuildByInstance(Note):
    """A state dict has lost the statistics of layers, and the code that builds its network still asks for them."""

    layers: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"The file holds no statistics of {listed(self.layers, 3)} any more: build "
            f"{'this layer' if len(self.layers) == 1 else 'these layers'} with `track_running_stats=False`, else they "
            "are missing when it is loaded."
        )


@dataclass(frozen=True, slots=True)
class StatisticsWithoutData(Note):
    """No data were there: statistics are those of generated pictures, and nothing judges them.

    Attributes:
        pictures: that were generated.
        layers: that were given such statistics.
        predicted: how many of these the weights predict the means of.
        distance: how far the typical one lies from that, in stored deviations; `None` where none is predicted.
    """

    qualifies: ClassVar[bool] = True
    pictures: int
    layers: int
    predicted: int = 0
    distance: float | None = None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        check = ""
        if self.distance is not None:
            check = (
                f" The means of {self.predicted} of them lie {self.distance:.2g} standard deviations (median) from "
                "those that the weights predict."
            )
        return (
            f"Without data: the statistics of {count(self.layers, 'layer')} are those of "
            f"{count(self.pictures, 'generated picture')} (coloured noise), a last resort that nothing has judged. "
            f"Recalibrate on data of the model's own kind as soon as there are any.{check}"
        )


@dataclass(frozen=True, slots=True)
class MadeWithoutData(Note):
    """The file says of itself that its statistics were made without data."""

    qualifies: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            "The file says of itself that its statistics were made without data, of generated pictures: recalibrate it "
            "on data of its own kind."
        )


@dataclass(frozen=True, slots=True)
class NoInstanceNorm(Note):
    """There is no layer that could be made to normalize by the instance."""

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return "No InstanceNorm of this model stores statistics, and no other layer is made to normalize by instance."
