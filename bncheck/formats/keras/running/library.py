"""Keras itself, on PyTorch: imported when a model is to be run, without a trace in the user's home."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import warnings
from typing import Any

from bncheck.errors import UsageError
from bncheck.user_code import user_output_to_stderr

BACKEND = "torch"
_SET = ("KERAS_BACKEND", "KERAS_HOME", "TF_FORCE_GPU_ALLOW_GROWTH")


def keras_module() -> Any:
    """Keras on its PyTorch backend, where a model is an `nn.Module`.

    Its first import reads and writes `keras.json` in a home; that is an empty folder here, so that neither the user's
    settings decide nor a file is left. The environment is afterwards as it was.

    Raises:
        UsageError: it is not installed, or was imported with another backend.
    """
    if sys.modules.get("keras") is None:
        _import()
    keras: Any = sys.modules["keras"]
    if not hasattr(keras, "version") or keras.version() < "3":
        raise UsageError("Models of Keras are run by Keras 3; install it with pip install 'bncheck[keras]'.")
    if (found := keras.config.backend()) != BACKEND:
        raise UsageError(
            f"Keras was imported with its {found} backend before, and bncheck runs its models on PyTorch: set "
            f"KERAS_BACKEND={BACKEND} before Keras is imported."
        )
    return keras


def _import() -> None:
    before = {name: os.environ.get(name) for name in _SET}
    try:
        with tempfile.TemporaryDirectory(prefix="bncheck-") as home, user_output_to_stderr():
            os.environ["KERAS_BACKEND"], os.environ["KERAS_HOME"] = BACKEND, home
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module("keras")
    except ImportError as error:
        raise UsageError(
            f"A Keras model is run by Keras, which cannot be imported ({error}); install it with "
            "pip install 'bncheck[keras]'."
        ) from error
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
