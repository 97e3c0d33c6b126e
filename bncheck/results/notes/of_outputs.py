"""Notes tell which of several outputs was judged, and which were compared with a reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import count, listed
from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True)
class JudgesOneOutput(Note):
    """Several outputs have labels of their own, and what was chosen to judge by is for the foremost.

    Attributes:
        by: `metric` or `task`.
        output: that it judges.
        others: that have labels too.
    """

    qualifies: ClassVar[bool] = True
    by: str
    output: str
    others: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        has = "has" if len(self.others) == 1 else "have"
        left = "is not judged" if len(self.others) == 1 else "are not judged"
        if self.by == "task":
            left = f"{'is' if len(self.others) == 1 else 'are'} judged by what outputs and labels look like"
        return (
            f"{argument(self.by)} is for the output {self.output} alone: {listed(self.others, 3)}, which {has} labels "
            f"too, {left}. {argument('output')} names another"
        )


@dataclass(frozen=True, slots=True)
class FirstOutputJudged(Note):
    """The model returns several outputs, and the labels do not tell which they are of.

    Attributes:
        output: that was judged.
        outputs: how many there are.
    """

    qualifies: ClassVar[bool] = True
    output: str
    outputs: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"The model returns {self.outputs} outputs, and the labels are taken for those of the first, "
            f"{self.output}: {argument('output')} names another"
        )


@dataclass(frozen=True, slots=True)
class OutputsCompared(Note):
    """The outputs were compared with those of the reference."""

    reference: str
    samples: int
    change: float

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return (
            f"Outputs compared with those of {self.reference} on {count(self.samples, 'sample')}: "
            f"relative difference {self.change:.1g}."
        )


@dataclass(frozen=True, slots=True)
class OutputsNotCompared(Note):
    """The outputs could not be compared with those of the reference, for a reason in half a sentence."""

    qualifies: ClassVar[bool] = True
    why: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Outputs were not compared: {self.why}"
