"""Opening models as settings say."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bncheck.api.asking import chosen_codes
from bncheck.api.remote.fetching import fetched_data, fetched_model
from bncheck.errors import UsageError
from bncheck.extras import require_installed
from bncheck.files import Fetched, require_named, shown_as_named
from bncheck.formats import (
    Backend,
    HuggingFaceFolder,
    from_module,
    hugging_face_folder,
    measured_layers,
    open_model,
    reference_of,
    require_runnable,
    with_measured_reference,
    with_reference,
    with_watched_outputs,
)
from bncheck.measure import ALONE, Plan, observe
from bncheck.progress import Progress
from bncheck.render import how_fed
from bncheck.results import (
    ChannelsFed,
    FetchedFrom,
    FolderAudited,
    InputFamily,
    PreprocessedAsSaid,
    PreprocessedAsTrained,
)
from bncheck.settings import DataSettings, InspectionSettings, ModelSettings, RepairSettings
from bncheck.vocabulary import argument
from bncheck.weights import training_input_of

if TYPE_CHECKING:
    from bncheck.data import Source

Settings = TypeVar("Settings", InspectionSettings, RepairSettings)


def weights_of(settings: ModelSettings) -> ModelSettings:
    """The settings, with the weights in a Hugging Face folder in the folder's place, and its class as what builds them.

    What lies elsewhere is fetched.

    Raises:
        UsageError: what fetches it is not installed.
        ModelError: the folder's configuration cannot be read, or it cannot be fetched.
    """
    source = fetched_model(settings.source)
    with shown_as_named(source):
        found = hugging_face_folder(Path(source)) if isinstance(source, str | os.PathLike) else None
    if found is None:
        return settings if source is settings.source else replace(settings, source=source)
    weights = Fetched(found.weights, source.shown, source.commit) if isinstance(source, Fetched) else found.weights
    return replace(settings, source=weights, arch=settings.arch or found)


def model_of(settings: ModelSettings) -> Backend:
    """The model that settings mean; weights alone where the class of a Hugging Face folder is not to be had.

    Raises:
        UsageError: there is no such file, key or device, or the architecture cannot be called.
        ModelError: it cannot be read.
    """
    opened = _opened(settings)
    return opened if settings.amp is None else opened.in_mixed_precision(settings.amp)


def _opened(settings: ModelSettings) -> Backend:
    settings = weights_of(settings)
    folder = settings.arch if isinstance(settings.arch, HuggingFaceFolder) else None
    if folder is not None and (missing := folder.missing) is not None:
        opened = _opened(replace(settings, arch=None))
        where = settings.source.shown if isinstance(settings.source, Fetched) else str(folder.path)
        return replace(opened, notes=(*opened.notes, FolderAudited(where, missing)))
    source = settings.source
    if not isinstance(source, str | os.PathLike):
        return from_module(source, device=settings.device)
    with shown_as_named(source):
        opened = open_model(
            source,
            arch=settings.arch,
            arch_kwargs=settings.arch_kwargs,
            key=settings.key,
            trust_pickle=settings.trust_pickle,
            device=settings.device,
            allow_ops=settings.allow_ops,
        )
    if not isinstance(source, Fetched):
        return opened
    return replace(opened, path=source.shown, notes=(FetchedFrom(source.shown, source.commit), *opened.notes))


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """All that an inspection looks at.

    Attributes:
        model: what is inspected, beside its reference.
        source: the data; `None` without any, or where the model cannot be run.
        reference: the model from before an export.
        training: the training sampling.
        settings: what was asked, with what the model says of how images are read.
        weights: of them, what `weights_of` gave for the model.
        data: the data, or a copy of what lies elsewhere.
    """

    model: Backend
    source: Source | None
    reference: Backend | None
    training: Source | None
    settings: InspectionSettings
    weights: ModelSettings
    data: Any


def opened_for(settings: InspectionSettings) -> Opened:
    """What is opened for an inspection.

    Raises:
        BncheckError: one of them cannot be opened, or an option is wrong.
    """
    _require_inputs(settings)
    if settings.data is not None:
        require_installed("torch", "Running a model on data")
    chosen = weights_of(settings.model)
    opened = model_of(chosen)
    reference = None if settings.reference is None else model_of(settings.reference)
    opened = _beside(opened, reference)
    source = training = data = None
    if settings.data is not None:
        opened, settings = as_trained(opened, settings)
    if settings.data is not None and opened.refusal is None:
        require_runnable(opened)
        from bncheck.data import open_data  # what reads data takes PyTorch

        data = fetched_data(settings.data)
        opened, reading = preprocessed(opened, chosen, data, settings.reading)
        source = open_data(data, reading)
        if settings.train_data is not None:
            training = open_data(fetched_data(settings.train_data), reading.unsliced(), argument("train_data"))
    return Opened(opened, source, reference, training, settings, chosen, data)


def as_trained(opened: Backend, settings: Settings) -> tuple[Backend, Settings]:
    """The settings with what `preset` auto stands for, by the model's weights; the model's notes tell.

    Raises:
        UsageError: these do not say what it was fed in training, or by which constants.
    """
    reading = settings.reading
    if reading.preset != "auto":
        return opened, settings
    fed = training_input_of(opened)
    if fed is None:
        raise _untold(opened, "is not known from its weights")
    mean, std, channels = reading.mean or fed.mean, reading.std or fed.std, reading.channels
    if mean is None or std is None:
        raise _untold(opened, "was normalized by constants of its own, which its weights do not tell")
    if channels is None and fed.order is None and fed.family is InputFamily.CENTRED_BYTES:
        raise _untold(
            opened, "are pixels in 0..255 less a mean, in an order of the channels that its weights do not tell"
        )
    how, colours = how_fed(fed), ChannelsFed.RGB if fed.order is None else fed.order
    if fed.channels > 1 and channels is None and fed.order is None:
        how += " (their order is not known, and red is taken to be first)"
    if channels == "bgr" and fed.order is None:
        mean, std = (given or usual[::-1] for given, usual in ((reading.mean, mean), (reading.std, std)))
    chosen = replace(
        reading,
        channels=channels or ("gray" if fed.channels == 1 else colours.value),
        scale=fed.scale if reading.scale is None else reading.scale,
        mean=mean,
        std=std,
    )
    told = tuple((name, _shown(getattr(chosen, name))) for name in ("channels", "scale", "mean", "std"))
    note = PreprocessedAsTrained(how, told)
    return replace(opened, notes=(*opened.notes, note)), replace(settings, reading=chosen)


def _untold(opened: Backend, why: str) -> UsageError:
    """The refusal to choose, which says what to give instead."""
    flags = " ".join(argument(name) for name in ("mean", "std", "scale", "channels"))
    return UsageError(
        f"{argument('preset')} auto: what {opened.path} was fed in training {why}. Say how images are to be fed with "
        f"{flags}, or {argument('preset')} imagenet."
    )


def by_reference_data(found: Opened, plan: Plan, progress: Progress) -> Backend:
    """The model beside what it gave on reference data, or on those of the run that it is compared with.

    Args:
        found: what is inspected.
        plan: how data are read.
        progress: told how far the reference data are.

    Raises:
        UsageError: the model has a reference of its own, or nothing to watch.
        DataError: the data cannot be read, or do not fit the model.
    """
    opened, settings = found.model, found.settings
    if settings.reference_data is None:
        return _as_kept(opened, settings)
    require_runnable(opened)
    from bncheck.data import open_data

    is_fetched = settings.reference_data is settings.data and found.data is not None
    data = found.data if is_fetched else fetched_data(settings.reference_data)
    opened, reading = preprocessed(opened, found.weights, data, settings.reading)
    source = open_data(data, reading.unsliced(), argument("reference_data"))
    bare = with_watched_outputs(opened)
    alone = replace(plan, fast=True, ranks=ALONE)
    with bare.session(source.name, plan.seed) as session:
        seen = observe(session, source, alone, progress, gaps_only=True)
    return with_measured_reference(opened, seen.stored.statistics(), seen.samples, source.name)


def _as_kept(opened: Backend, settings: InspectionSettings) -> Backend:
    """The model beside the reference that the moments of an earlier run were measured by, where it has none."""
    if settings.against is None or any(layer.has_statistics for layer in opened.layers):
        return opened
    from bncheck.measure import read_part

    kept = read_part(settings.against).model
    if kept.stored_samples is None or kept.sha256 is None or kept.sha256 != opened.sha256:
        return opened  # whoever compares says why that cannot be
    found = measured_layers(kept.layers)
    return with_measured_reference(opened, found, kept.stored_samples, str(settings.against))


def preprocessed(
    opened: Backend, model: ModelSettings, data: object, reading: DataSettings
) -> tuple[Backend, DataSettings]:
    """How images are read: as a Hugging Face folder says, where nothing else is asked for; the model's notes tell.

    Args:
        opened: the model.
        model: what `weights_of` gave for it.
        data: as they are named.
        reading: what was asked.
    """
    folder = model.arch
    are_images = isinstance(data, str | os.PathLike) and (Path(data).is_dir() or str(data).endswith(".tar"))
    if not isinstance(folder, HuggingFaceFolder) or not are_images or reading.image_only or reading.normalizing:
        return opened, reading
    says = folder.preprocessing()
    if says is None:
        return opened, reading
    chosen = replace(reading, resize=says.resize, crop=says.crop, scale=says.scale, mean=says.mean, std=says.std)
    return replace(opened, notes=(*opened.notes, PreprocessedAsSaid(_told(chosen)))), chosen


def _told(reading: DataSettings) -> tuple[tuple[str, str], ...]:
    """What is done to images, by setting."""
    given = {name: getattr(reading, name) for name in ("resize", "crop", "scale", "mean", "std")}
    return tuple((name, _shown(value)) for name, value in given.items() if value is not None)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    return " ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else f"{value:g}"


def _require_inputs(settings: InspectionSettings) -> None:
    """Refuse what cannot be meant before anything is opened: data that do not exist, rules that are none."""
    require_named(settings.data)
    require_named(settings.train_data, argument("train_data"))
    require_named(settings.reference_data, argument("reference_data"))
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
