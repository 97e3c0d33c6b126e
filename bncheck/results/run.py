"""How a report came about: what was asked for, with which versions and thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bncheck.results.codec import Written, kind_read
from bncheck.results.earlier import asked_among, run_before
from bncheck.results.misfit import missing
from bncheck.results.notes.codec import documents_of, notes_in
from bncheck.results.notes.note import Note, sentences
from bncheck.results.training.eps import TrainingEps
from bncheck.results.training.training_input import TrainingInput
from bncheck.vocabulary import FailOn, Spelling

MARGIN = "margin"
_SHELL = "bncheck "


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report was asked for, as far as it decides how the report is judged or told.

    Attributes:
        fail_on: the severity from which findings fail.
        strict: whether anything skipped counts as not checked.
        max_gap: a measured layer above it is finding BN600.
        select, ignore: the rules that are wanted or not, by code or prefix; none selected is all of them.
        data: how the data are called that were given; `None` where none were.
        reference: whether a reference was given.
        arch: whether an architecture was given.
        metric: whether a metric of the user's own takes the place of top-1 accuracy.
    """

    fail_on: FailOn = FailOn.WARNING
    strict: bool = False
    max_gap: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    data: str | None = None
    reference: bool = False
    arch: bool = False
    metric: bool = False

    @property
    def chosen(self) -> bool:
        """Whether some rules were left out."""
        return bool(self.select or self.ignore)


def asked_in(options: Mapping[str, Any]) -> Asked:
    """What options say was asked for; see `Asked`."""
    return kind_read(Asked, asked_among(options))


def _require_margin(run: Run) -> Run:
    """The verdict is told with it."""
    if MARGIN not in run.thresholds:
        raise missing("thresholds", MARGIN)
    return run


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one part of an inspection cost.

    Attributes:
        name: what was run, as progress calls it.
        samples: run through the model; a sample that is run again counts again.
        seconds: of the forwards and of reading what the layers are fed, without reading the data. No document holds
            them: the same command gives the same one.
    """

    name: str
    samples: int
    seconds: float = 0.0

    __json__: ClassVar = Written(left_out=frozenset({"seconds"}))


@dataclass(frozen=True, slots=True)
class RunCost:
    """What an inspection cost.

    Attributes:
        samples: run through the model in all stages.
        seconds: from opening the data to the findings; no document holds them.
        stages: in the order in which they ran.
    """

    samples: int
    seconds: float = 0.0
    stages: tuple[StageCost, ...] = ()

    __json__: ClassVar = Written(left_out=frozenset({"seconds"}))


@dataclass(frozen=True, slots=True)
class Run:
    """How to repeat the report.

    Attributes:
        command: that was called.
        options: as they were set, for the reader alone; what decides anything stands in `asked`.
        seed: of every draw.
        versions: of bncheck and what it uses.
        thresholds: the numbers that decide, by name.
        noted: what a reader should know of how the report came about.
        asked: what was asked for.
        again: the same inspection once more, ready to be typed; `None` where it is not known.
        cost: samples run and seconds; `None` where nothing was run, and in reports of versions that did not count.
        training_input: what the model was fed in training, as its weights tell; `None` where they do not.
        training_eps: that it was trained with, as stored statistics tell; `None` where they do not, and with data.
    """

    command: str
    options: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str]
    thresholds: Mapping[str, float]
    noted: tuple[Note, ...] = ()
    asked: Asked = field(default_factory=Asked)
    again: str | None = None
    cost: RunCost | None = None
    training_input: TrainingInput | None = None
    training_eps: TrainingEps | None = None

    __json__: ClassVar = Written(
        derived={"notes": lambda run: run.notes, "noted": lambda run: documents_of(run.noted, run.spelling)},
        gathered={"noted": notes_in},
        first=("command", "options", "seed", "versions", "thresholds", "notes", "noted"),
        added=frozenset({"asked", "again", "cost", "training_input", "training_eps"}),
        earlier=run_before,
        settled=_require_margin,
    )

    @property
    def margin(self) -> float:
        """The gap that matters, as this run had it."""
        return self.thresholds[MARGIN]

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes in words."""
        return sentences(self.noted, self.spelling)

    @property
    def spelling(self) -> Spelling:
        """How its texts name arguments: as its reader typed them."""
        return Spelling.COMMAND_LINE if self.command.startswith(_SHELL) else Spelling.PYTHON
