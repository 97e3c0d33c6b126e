"""The Keras model that the user's own code builds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from bncheck.data import same_random_state
from bncheck.errors import UsageError
from bncheck.formats.format import Architecture
from bncheck.formats.keras.running.library import keras_module
from bncheck.user_code import import_callable, users_code
from bncheck.vocabulary import argument, with_article
from bncheck.watch import accelerators


def architecture_of(arch: Architecture, arch_kwargs: Mapping[str, Any] | None, device: str) -> Any:
    """The model, bncheck's own to fill.

    Raises:
        UsageError: it cannot be imported or called, or gives no Keras model that has weights.
    """
    keras = keras_module()  # before the user's code imports it, which would do so with another backend
    shown = arch if isinstance(arch, str) else getattr(arch, "__name__", type(arch).__name__)
    with same_random_state(accelerators()), keras.device(device), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = import_callable(arch, argument("arch")) if isinstance(arch, str) else arch
        if isinstance(target, keras.Model):
            raise UsageError(
                f"{argument('arch')} {shown} is a model, which is not touched: pass a function that builds it."
            )
        with users_code(lambda said: UsageError(f"{argument('arch')} {shown}: calling it failed: {said}")):
            model = target(**(arch_kwargs or {}))
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"{argument('arch')} {shown} gave {with_article(type(model).__name__)}; it must return a keras.Model."
        )
    if not model.built:
        raise UsageError(
            f"{argument('arch')} {shown}: its model has no weights yet. Call it once on a batch before it is returned."
        )
    return model
