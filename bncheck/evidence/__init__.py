"""What the rules judge by, as values: everything that was observed, and nothing that was concluded."""

from bncheck.evidence.closer import NOTHING_CLOSER, BrokenSamples, CallsApart, CloserLook, DropoutGap, FlatShare
from bncheck.evidence.comparison import ComparedLayer, Comparison
from bncheck.evidence.measured import MeasuredLayer
from bncheck.evidence.outputs import EffectEvidence, OutputAgreement
from bncheck.evidence.probed import (
    AS_READ,
    BY_OPTIONS,
    AffineMap,
    ChannelOrder,
    Composition,
    InputScaling,
    Invariance,
    OtherEps,
    Paired,
    Probed,
    Trial,
)
from bncheck.evidence.runtime import RuntimeCheck
from bncheck.evidence.training import TrainingEvidence
from bncheck.evidence.whole import Evidence

__all__ = [
    "AS_READ",
    "BY_OPTIONS",
    "NOTHING_CLOSER",
    "AffineMap",
    "BrokenSamples",
    "CallsApart",
    "ChannelOrder",
    "CloserLook",
    "ComparedLayer",
    "Comparison",
    "Composition",
    "DropoutGap",
    "EffectEvidence",
    "Evidence",
    "FlatShare",
    "InputScaling",
    "Invariance",
    "MeasuredLayer",
    "OtherEps",
    "OutputAgreement",
    "Paired",
    "Probed",
    "RuntimeCheck",
    "TrainingEvidence",
    "Trial",
]
