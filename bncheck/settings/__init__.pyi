from .checks import device_name, require_shard, texts
from .data import CHANNELS, LAYOUTS, PRESETS, By, Channels, DataSettings, Fill, Layout, Preset, Size
from .edge import Edge, name_of_callable
from .ignoring import LayerIgnore
from .inspection import InspectionSettings
from .judging import DEPLOY_DTYPES, TASKS, JudgingSettings, Metric, PredictionSettings
from .memory import SAMPLE_MEMORY, SampleMemory
from .model import DEVICE, ModelSettings, ModelSource
from .monitoring import RECALIBRATION_SAMPLES, SAMPLES, MonitorSettings
from .repair import METHOD, UNTIL_OF_REPAIR, RepairSettings
from .sampling import BATCH_SIZE, BATCH_SIZES, SEED, UNTIL, SamplingSettings
from .training import (
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
    "SAMPLE_MEMORY",
    "SEED",
    "STEPS",
    "TASKS",
    "TRAIN",
    "TRAINED",
    "UNTIL",
    "UNTIL_OF_REPAIR",
    "By",
    "Channels",
    "DataSettings",
    "Edge",
    "Fill",
    "InspectionSettings",
    "JudgingSettings",
    "LayerIgnore",
    "Layout",
    "LossFunction",
    "Metric",
    "ModelSettings",
    "ModelSource",
    "MonitorSettings",
    "PredictionSettings",
    "Preset",
    "RepairSettings",
    "SampleMemory",
    "SamplingSettings",
    "Size",
    "TrainingSettings",
    "device_name",
    "name_of_callable",
    "require_shard",
    "texts",
]
