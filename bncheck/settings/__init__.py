"""What can be chosen, as frozen typed values: defaults are stated and ranges checked here, once for every edge."""

from bncheck.settings.data import CHANNELS, LAYOUTS, PRESETS, Channels, DataSettings, Layout, Preset, Size
from bncheck.settings.edge import Edge, name_of_callable
from bncheck.settings.inspection import InspectionSettings
from bncheck.settings.judging import DEPLOY_DTYPES, JudgingSettings, Metric, PredictionSettings
from bncheck.settings.model import DEVICE, ModelSettings, ModelSource
from bncheck.settings.monitoring import RECALIBRATION_SAMPLES, SAMPLES, MonitorSettings
from bncheck.settings.repair import METHOD, UNTIL_OF_REPAIR, RepairSettings
from bncheck.settings.sampling import BATCH_SIZE, BATCH_SIZES, SEED, UNTIL, SamplingSettings
from bncheck.settings.training import (
    LOSS,
    LOSSES,
    OPTIMIZER,
    OPTIMIZERS,
    PRECISION,
    STEPS,
    TRAIN,
    TRAINED,
    LossFunction,
    TrainingSettings,
)

__all__ = [
    "BATCH_SIZE",
    "BATCH_SIZES",
    "CHANNELS",
    "DEPLOY_DTYPES",
    "DEVICE",
    "LAYOUTS",
    "LOSS",
    "LOSSES",
    "METHOD",
    "OPTIMIZER",
    "OPTIMIZERS",
    "PRECISION",
    "PRESETS",
    "RECALIBRATION_SAMPLES",
    "SAMPLES",
    "SEED",
    "STEPS",
    "TRAIN",
    "TRAINED",
    "UNTIL",
    "UNTIL_OF_REPAIR",
    "Channels",
    "DataSettings",
    "Edge",
    "InspectionSettings",
    "JudgingSettings",
    "Layout",
    "LossFunction",
    "Metric",
    "ModelSettings",
    "ModelSource",
    "MonitorSettings",
    "PredictionSettings",
    "Preset",
    "RepairSettings",
    "SamplingSettings",
    "Size",
    "TrainingSettings",
    "name_of_callable",
]
