"""Trained models from files and from Python: one contract, `Backend`, whatever the format.

A format is a folder here that defines a `FORMAT`; it is found by that. `registered` adds one from elsewhere.
"""

from bncheck.extras import attached

__getattr__, __dir__, __all__ = attached(__name__, __file__)
