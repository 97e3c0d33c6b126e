"""Trained models from files and from Python: one value, `Model`, whatever the format."""

from bncheck.formats.model import Model
from bncheck.formats.opening import open_model
from bncheck.formats.torch_module.module import from_module

__all__ = ["Model", "from_module", "open_model"]
