"""Data sources: one file per kind, preprocessing in one place."""

from bncheck.data.batches import Batch, Inputs, Source
from bncheck.data.opening import open_data, require_named
from bncheck.data.options import DataOptions

__all__ = ["Batch", "DataOptions", "Inputs", "Source", "open_data", "require_named"]
