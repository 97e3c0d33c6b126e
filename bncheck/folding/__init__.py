"""Normalization that went into the convolution before it: found again, checked, and seen through.

A folded convolution gives z = gamma (u - mean) / sqrt(var + eps) + beta, where u is what the layer was fed.
Beside the reference, the file from before the folding, that is an affine map which can be inverted channel by
channel, so the same statistics come from the folded model.
"""

from bncheck.folding.comparison import ComparedLayer, Comparison, compare_layers
from bncheck.folding.fold import Fold
from bncheck.folding.matching import Matching, match
from bncheck.folding.operations import AffineOperation
from bncheck.folding.reference import Reference, Source

__all__ = [
    "AffineOperation",
    "ComparedLayer",
    "Comparison",
    "Fold",
    "Matching",
    "Reference",
    "Source",
    "compare_layers",
    "match",
]
