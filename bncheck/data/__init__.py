"""Data sources: one file per kind, preprocessing in one place."""

from bncheck.extras import attached

__getattr__, __dir__, __all__ = attached(__name__, __file__)
