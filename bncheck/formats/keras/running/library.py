"""Keras itself, on PyTorch: imported when a model is to be run, without a trace in the user's home."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bncheck.errors import UsageError
from bncheck.extras import installing
from bncheck.user_code import user_output_to_stderr

BACKEND = "torch"
_SET = ("KERAS_BACKEND", "KERAS_HOME", "TF_FORCE_GPU_ALLOW_GROWTH")


def keras_module() -> Any:
    """Keras on its PyTorch backend, where a model is an `nn.Module`.

    Its first import reads and writes `keras.json` in a home; that is an empty folder here, so that neither the user's
    settings decide nor a file is left. The environment is afterwards as it was. Matplotlib, which makes folders in the
    home and takes seconds, is imported when something is drawn.

    Raises:
        UsageError: it is not installed, or was imported with another backend.
    """
    if sys.modules.get("keras") is None:
        _import()
    keras: Any = sys.modules["keras"]
    if not hasattr(keras, "version") or keras.version() < "3":
        raise UsageError(f"Models of Keras are run by Keras 3; install it with {installing('keras')}.")
    if (found := keras.config.backend()) != BACKEND:
        raise UsageError(
            f"Keras was imported with its {found} backend before, and bncheck runs its models on PyTorch: set "
            f"KERAS_BACKEND={BACKEND} before Keras is imported."
        )
    return keras


class Later(types.ModuleType):
    """A module that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        """See `Later`."""
        if name.startswith("__"):  # what the import system asks of a module is no use of it
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _drawing_later() -> Iterator[None]:
    """What is imported here gets a pyplot that is loaded by its first use, unless Matplotlib is loaded already."""
    if "matplotlib" in sys.modules:
        yield
        return
    stand_ins = {"matplotlib": types.ModuleType("matplotlib"), "matplotlib.pyplot": Later("matplotlib.pyplot")}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _import() -> None:
    before = {name: os.environ.get(name) for name in _SET}
    try:
        with tempfile.TemporaryDirectory(prefix="bncheck-") as home, user_output_to_stderr(), _drawing_later():
            os.environ["KERAS_BACKEND"], os.environ["KERAS_HOME"] = BACKEND, home
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module("keras")
    except ImportError as error:
        raise UsageError(
            f"A Keras model is run by Keras, which cannot be imported ({error}); install it with {installing('keras')}."
        ) from error
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
