from .training_input.mismatch import fed_otherwise
from .training_input.reading import training_input_of

__all__ = [
    "fed_otherwise",
    "training_input_of",
]
