from .change import OutputChange, relative_change
from .class_scores import LEAST_PROBABILITY, Predictor, class_axis, lie_in_unit_interval, probabilities, sum_to_one
from .effect import EMBEDDINGS, Metric, PredictionEffect, merged_effects
from .heads import foremost_head
from .information import information_of
from .labels import are_soft_rows, class_labels, class_of_each, correct, counted, require_classes
from .outputs import choose_output, not_finite, read_scores
from .remembered import RememberedEffect
from .tasks import recognised

__all__ = [
    "EMBEDDINGS",
    "LEAST_PROBABILITY",
    "Metric",
    "OutputChange",
    "PredictionEffect",
    "Predictor",
    "RememberedEffect",
    "are_soft_rows",
    "choose_output",
    "class_axis",
    "class_labels",
    "class_of_each",
    "correct",
    "counted",
    "foremost_head",
    "information_of",
    "lie_in_unit_interval",
    "merged_effects",
    "not_finite",
    "probabilities",
    "read_scores",
    "recognised",
    "relative_change",
    "require_classes",
    "sum_to_one",
]
