"""Writing a model again with new values for some of its tensors: one file per container, all else as it was.

A mirror of `bncheck.models`: what its readers know of where a tensor stands (`Model.origin`) says where it goes.
"""

from bncheck.repair.writing.write import write_model

__all__ = ["write_model"]
