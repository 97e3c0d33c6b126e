"""The name that rooms above still call a `Backend` by."""

from bncheck.formats.backend import Backend as Model

__all__ = ["Model"]
