"""A claim about a model: what is wrong, in which layers, how bad it is, what it costs, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from bncheck.results.codec import Written, encoded
from bncheck.results.earlier import finding_before
from bncheck.vocabulary import Harm, Remedy, Severity, Spelling, Worse, spelled

LIMIT = "BN600"
"""That a limit of the user's is exceeded tells no cause."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How bad a finding is, in the rule's own number: what baselines, rankings and charts go by.

    Attributes:
        unit: what is counted or measured, in the singular: `gap`, `channel`, `accuracy`, `share of predictions`.
        value: of the finding as a whole; `None` where it cannot be told.
        layers: by layer, where each has a value of its own.
        worse: whether a higher or a lower value is worse.
        noise: by how much the value moves from one draw of the data to the next, in its unit; 0 for what is exact.
        limit: the value from which the rule counts it here; `None` where the rule goes by more than this number.
    """

    unit: str
    value: float | None
    layers: Mapping[str, float] = field(default_factory=dict)
    worse: Worse = Worse.HIGHER
    noise: float = 0.0
    limit: float | None = None

    def at(self, layer: str | None) -> float | None:
        """The value in that layer; the whole finding's for `None`, and where layers have none of their own."""
        return self.value if layer is None else self.layers.get(layer, self.value)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a finding costs in predictions, by the number that decided.

    Attributes:
        score: what is compared: the task's own (`accuracy`, `Dice`, `F1`, `relative squared error`, `metric`, ...), or
            `predictions changed`, `output change`.
        shipped: the score as shipped; `None` where only a change is known.
        remedied: the score once the cause is removed, as it was measured: recalibrated, with the input mapped, ...
        low, high: 95 % interval of the loss, in the score's unit; `None` where it is not known.
        remedy: how `remedied` was measured.
        samples: it was measured on.
        recalibrated: the score with recalibrated statistics, where the remedy is another and that was measured too.
        harm: what these numbers show: a cost, large or not, that there is none, or neither.
    """

    score: str
    shipped: float | None
    remedied: float | None
    low: float | None = None
    high: float | None = None
    remedy: Remedy = Remedy.RECALIBRATED
    samples: int | None = None
    recalibrated: float | None = None
    harm: Harm = Harm.UNKNOWN

    __json__: ClassVar = Written(added=frozenset({"harm"}))


def _before(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A finding of before there were measures: how bad it was nobody can tell."""
    return {"measure": encoded(Measure("finding", None)), **finding_before(document)}


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim, with what decided it.

    Attributes:
        code: the rule (`BN102`).
        severity: how grave it is.
        layers: the layers it is about; none for what concerns the whole model.
        message: what is wrong, in one sentence.
        fix: what works here.
        measure: how bad it is, in the rule's own number.
        cost: what it costs in predictions; `None` where that was not measured.
        evidence: the numbers that decided, for the reader alone; what is not finite stands here as a string.
        accepted: why it is known and fails nothing (a baseline, an ignore with its reason); `None` if it counts.
        command: what does it, ready to be typed; `None` where no command does. Rules give a template of it: the
            command's name and the options that are new, see `bncheck.api.next_step`.
    """

    code: str
    severity: Severity
    layers: tuple[str, ...]
    message: str
    fix: str
    measure: Measure
    cost: Cost | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    accepted: str | None = None
    command: str | None = None

    __json__: ClassVar = Written(
        derived={"layer": lambda finding: finding.layer},
        first=(
            *("code", "severity", "layer", "layers", "message", "fix", "command"),
            *("measure", "cost", "accepted", "evidence"),
        ),
        added=frozenset({"cost", "accepted", "command"}),
        earlier=_before,
    )

    @property
    def layer(self) -> str | None:
        """The one layer it is about; `None` for several, and for the whole model."""
        return self.layers[0] if len(self.layers) == 1 else None

    def told(self, spelling: Spelling) -> Finding:
        """The same with its arguments named as they are where it is read."""
        return replace(self, message=spelled(self.message, spelling), fix=spelled(self.fix, spelling))


def next_command(findings: Sequence[Finding], again: str | None) -> str | None:
    """The command that does what the gravest finding advises, or `again`, which checks it afterwards."""
    about = gravest(findings)
    return None if about is None else about.command or again


def gravest(findings: Sequence[Finding]) -> Finding | None:
    """The finding that a report is about: of faults that count the gravest, a limit that is exceeded last."""
    faults = [finding for finding in findings if finding.severity != Severity.INFO and finding.accepted is None]
    causes = [finding for finding in faults if finding.code != LIMIT]
    return next(iter(causes or faults), None)
