"""Normalization that went into the convolution before it: found again, checked, and seen through.

A folded convolution gives z = gamma (u - mean) / sqrt(var + eps) + beta, where u is what the layer was fed.
Beside the reference, the file from before the folding, that is an affine map which can be inverted channel by
channel, so the same statistics come from the folded model.
"""

from bncheck.formats.folding.comparing import compare_layers
from bncheck.formats.folding.fold import Fold, folded_once
from bncheck.formats.folding.matching import Matching, match
from bncheck.formats.folding.operations import AffineOperation
from bncheck.formats.folding.reference import Reference, Source
from bncheck.formats.folding.sources import Sources, sources_of_tensors

__all__ = [
    "AffineOperation",
    "Fold",
    "Matching",
    "Reference",
    "Source",
    "Sources",
    "compare_layers",
    "folded_once",
    "match",
    "sources_of_tensors",
]
