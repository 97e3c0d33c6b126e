"""What a probe is: a question, with what it needs, what it costs, and where its answer stands in the evidence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Generic, TypeVar

from bncheck.evidence import Evidence
from bncheck.probes.case import Case
from bncheck.probes.session import ProbeSession

Answer = TypeVar("Answer")


class Suspicion(Enum):
    """What the evidence so far has to show for a question to be worth its cost."""

    LAYER_OFF = "a layer lies off by more than the nearer margin"
    SHARED_LAYER = "a layer runs several times in a forward"
    NOT_FINITE = "what a layer sees, or the model answers, is not finite"
    UNMEASURED = "a layer lies off, and no batch could be normalized by itself to tell what that costs"

    def is_raised_by(self, case: Case) -> bool:
        """Whether it shows."""
        if self is Suspicion.LAYER_OFF:
            return bool(case.suspects)
        if self is Suspicion.UNMEASURED:
            return case.seen.folds is None and bool(case.suspects)
        if self is Suspicion.SHARED_LAYER:
            return any(layer.calls > 1 for layer in case.observed.measured.values())
        return not case.is_finite


@dataclass(frozen=True, slots=True)
class Needs:
    """What there has to be for a question to be asked.

    Attributes:
        samples: drawn from the data, at the least.
        layers: a layer that was measured.
        labels: of the data or the training sampling, that predictions can be compared with.
        dropout: dropout that can be switched on.
        order: data whose order somebody chose.
        suspicion: what the evidence so far has to show.
    """

    samples: int = 1
    layers: bool = False
    labels: bool = False
    dropout: bool = False
    order: bool = False
    suspicion: Suspicion | None = None

    def are_met_by(self, case: Case) -> bool:
        """Whether all of it is there."""
        there = (
            self.samples <= (0 if case.samples is None else case.samples.size),
            not self.layers or bool(case.observed.measured),
            not self.labels or case.is_labelled,
            not self.dropout or bool(case.subject.model.dropouts()),
            not self.order or case.subject.source.in_order,
        )
        return all(there) and (self.suspicion is None or self.suspicion.is_raised_by(case))


class Probe(ABC, Generic[Answer]):
    """A question to a model that is put by running samples again.

    Attributes:
        title: what it does, for progress and for the report's cost.
        needs: what there has to be for it to be asked.
        after: the questions whose answers it goes by.
    """

    title: ClassVar[str]
    needs: ClassVar[Needs] = Needs()
    after: ClassVar[tuple[type[Probe[Any]], ...]] = ()

    @abstractmethod
    def cost(self, case: Case) -> int:
        """How many samples are run at the most, where the needs are met."""

    @abstractmethod
    def answer(self, case: Case, session: ProbeSession) -> Answer | None:
        """What running them shows; `None` where that is nothing.

        Raises:
            DataError: the model refuses the batches.
        """

    @abstractmethod
    def told(self, evidence: Evidence, answer: Answer) -> Evidence:
        """The evidence with the answer in it."""
