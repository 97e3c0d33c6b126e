from .prediction.copies import copies_of
from .prediction.moments import Activation, Moments, after
from .prediction.predicting import predictions_of
from .training_input.mismatch import FirstBatch
from .training_input.reading import training_input_of

__all__ = [
    "Activation",
    "FirstBatch",
    "Moments",
    "after",
    "copies_of",
    "predictions_of",
    "training_input_of",
]
