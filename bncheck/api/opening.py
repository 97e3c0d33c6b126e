"""Opening models as settings say."""

from __future__ import annotations

import os

from bncheck.api.asking import chosen_codes
from bncheck.data import Source, open_data, require_named
from bncheck.errors import UsageError
from bncheck.formats import Backend, from_module, open_model, reference_of, require_runnable, with_reference
from bncheck.settings import InspectionSettings, ModelSettings
from bncheck.vocabulary import argument


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


def opened_for(settings: InspectionSettings) -> tuple[Backend, Source | None, Backend | None, Source | None]:
    """The model, the data, the reference and the training sampling of an inspection.

    Raises:
        BncheckError: one of them cannot be opened, or an option is wrong.
    """
    _require_inputs(settings)
    opened = model_of(settings.model)
    reference = None if settings.reference is None else model_of(settings.reference)
    opened = _beside(opened, reference)
    source = training = None
    if settings.data is not None and opened.refusal is None:
        require_runnable(opened)
        source = open_data(settings.data, settings.reading)
        if settings.train_data is not None:
            training = open_data(settings.train_data, settings.reading, argument("train_data"))
    return opened, source, reference, training


def _require_inputs(settings: InspectionSettings) -> None:
    """Refuse what cannot be meant before anything is opened: data that do not exist, rules that are none."""
    require_named(settings.data)
    require_named(settings.train_data, argument("train_data"))
    if settings.train_data is not None and settings.data is None:
        raise UsageError(
            f"{argument('train_data')} is compared with what the model is run on, and no {argument('data')} is given: "
            "name that too (held-out data, or the training data once more)."
        )
    chosen_codes(settings.judging)


def _beside(model: Backend, reference: Backend | None) -> Backend:
    """The model compared with its reference, or else with the stamp in its own file, if it has one."""
    known = model.provenance() if reference is None else reference_of(reference)
    return model if known is None else with_reference(model, known)
