"""Opening models as settings say."""

from __future__ import annotations

import os

from bncheck.formats import Backend, from_module, open_model
from bncheck.settings import ModelSettings


def model_of(settings: ModelSettings) -> Backend:
    """The model that settings mean.

    Raises:
        UsageError: there is no such file, key or device, or the architecture cannot be called.
        ModelError: it cannot be read.
    """
    source = settings.source
    if not isinstance(source, str | os.PathLike):
        return from_module(source, device=settings.device)
    return open_model(
        source,
        arch=settings.arch,
        arch_kwargs=settings.arch_kwargs,
        key=settings.key,
        trust_pickle=settings.trust_pickle,
        device=settings.device,
        allow_ops=settings.allow_ops,
    )
