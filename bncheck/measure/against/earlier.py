"""An earlier run that this one is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.errors import UsageError
from bncheck.evidence import DriftEvidence, Evidence
from bncheck.formats import Backend
from bncheck.measure.against.drift import drift_since, require_comparable
from bncheck.measure.observation import Observation
from bncheck.measure.parts.file import read_part
from bncheck.measure.parts.options import MeasuringOptions
from bncheck.measure.parts.part import Part
from bncheck.settings import InspectionSettings
from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True, eq=False)
class EarlierRun:
    """An earlier run of the same model, as a file keeps it.

    Attributes:
        part: what it saw.
        name: of the file.
    """

    part: Part
    name: str

    def drift(self, seen: Observation, evidence: Evidence) -> DriftEvidence:
        """How far what layers see has moved since."""
        return drift_since(self.part, self.name, seen, evidence.measured)


def earlier_run(name: str, settings: InspectionSettings, opened: Backend) -> EarlierRun:
    """The run that a file keeps, and that settings compare with.

    Raises:
        UsageError: there is no such file, or it is of another model or of other options.
        UnreadableError: it keeps no run.
    """
    if settings.data is None:
        raise UsageError(f"{argument('against')} is compared with {argument('data')}: name them.")
    part = read_part(name)
    require_comparable(part, name, opened, MeasuringOptions.of(settings))
    return EarlierRun(part, name)
