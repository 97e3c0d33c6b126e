from .advice import PYTORCH_ADVICE, Advice
from .closer import NOTHING_CLOSER, CallDistances, CloserLook, DropoutGap, FlatShare
from .comparison import ComparedLayer, Comparison
from .composition import ACCURACY, Grouping
from .inputs import NEAR_FACTOR, ORDER_SHARE, SAMPLING, SHARE
from .measured import DriftEvidence, LayerDrift, MeasuredLayer, SlicedLayer, SliceEvidence, ZeroedWeights
from .outputs import EffectEvidence, OutputAgreement
from .probed import (
    AS_READ,
    BY_OPTIONS,
    AffineMap,
    ChannelOrder,
    Composition,
    Condition,
    InputScaling,
    Invariance,
    Mistake,
    OtherEps,
    Paired,
    Probed,
)
from .runtime import RuntimeCheck
from .task import Improvement, TaskEffect
from .training import TrainingEvidence
from .weights.copies import CopyFit
from .weights.predicted import PredictedLayer, PredictedMoments, Predictions
from .whole import Evidence

__all__ = [
    "ACCURACY",
    "AS_READ",
    "BY_OPTIONS",
    "NEAR_FACTOR",
    "NOTHING_CLOSER",
    "ORDER_SHARE",
    "PYTORCH_ADVICE",
    "SAMPLING",
    "SHARE",
    "Advice",
    "AffineMap",
    "CallDistances",
    "ChannelOrder",
    "CloserLook",
    "ComparedLayer",
    "Comparison",
    "Composition",
    "Condition",
    "CopyFit",
    "DriftEvidence",
    "DropoutGap",
    "EffectEvidence",
    "Evidence",
    "FlatShare",
    "Grouping",
    "Improvement",
    "InputScaling",
    "Invariance",
    "LayerDrift",
    "MeasuredLayer",
    "Mistake",
    "OtherEps",
    "OutputAgreement",
    "Paired",
    "PredictedLayer",
    "PredictedMoments",
    "Predictions",
    "Probed",
    "RuntimeCheck",
    "SliceEvidence",
    "SlicedLayer",
    "TaskEffect",
    "TrainingEvidence",
    "ZeroedWeights",
]
