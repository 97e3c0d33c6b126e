"""Trained models from files and from Python: one value, `Model`, whatever the format."""

from bncheck.models.base import Model
from bncheck.models.module import from_module
from bncheck.models.opening import open_model

__all__ = ["Model", "from_module", "open_model"]
