from .backends import check_backend
from .numbers import LayerNumbers, ReferenceNumbers, reference_numbers
from .statistics import assert_statistics_match

__all__ = [
    "LayerNumbers",
    "ReferenceNumbers",
    "assert_statistics_match",
    "check_backend",
    "reference_numbers",
]
