"""What the rules judge by, as values: everything that was observed, and nothing that was concluded."""

from bncheck.evidence.closer import NOTHING_CLOSER, BrokenSamples, CallsApart, CloserLook, DropoutGap, FlatShare
from bncheck.evidence.measured import MeasuredLayer
from bncheck.evidence.outputs import EffectEvidence, OutputAgreement
from bncheck.evidence.runtime import RuntimeCheck
from bncheck.evidence.training import TrainingEvidence
from bncheck.evidence.whole import Evidence

__all__ = [
    "NOTHING_CLOSER",
    "BrokenSamples",
    "CallsApart",
    "CloserLook",
    "DropoutGap",
    "EffectEvidence",
    "Evidence",
    "FlatShare",
    "MeasuredLayer",
    "OutputAgreement",
    "RuntimeCheck",
    "TrainingEvidence",
]
