"""How a run was called, as far as another command on the same model and data repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bncheck.settings import (
    BATCH_SIZE,
    BATCH_SIZES,
    DEVICE,
    SAMPLE_MEMORY,
    SEED,
    DataSettings,
    InspectionSettings,
    ModelSettings,
    PredictionSettings,
    RepairSettings,
    name_of_callable,
)
from bncheck.vocabulary import FailOn, Spelling

OF_MODEL = ("arch", "arch_kwargs", "key", "trust_pickle", "allow_op", "allow_ops", "device")
OF_REFERENCE = ("reference", "reference_arch", "reference_arch_kwargs", "reference_key")
OF_SLICES = ("by", "aside")
OF_IMAGES = tuple(each.name for each in fields(DataSettings) if each.name not in OF_SLICES)
OF_TASK = ("output", "metric", "task")
OF_JUDGING = ("max_gap", "deploy_dtype", "select", "ignore", "fail_on", "strict", "baseline")
_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "device": (DEVICE,),
    "batch_size": (BATCH_SIZE,),
    "batch_sizes": (",".join(map(str, BATCH_SIZES)), BATCH_SIZES),
    "seed": (SEED,),
    "layout": ("auto",),
    "fail_on": (FailOn.WARNING.value,),
    "until": (0.0,),
    "sample_memory": (SAMPLE_MEMORY,),
    "workers": (0,),
}
_NOTHING: tuple[Any, ...] = (None, False, (), [], {})


class Expression(str):
    """Python that stands in a call as it is: the name of a variable or a function."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What a command is called with.

    Attributes:
        model: the file as it was named; `None` for a module in memory.
        arguments: by name, those that were set, in the order of `inspect`.
        reading: what is done to the data before the model sees them.
        spelling: whether it was typed on a command line or in Python.
        can_be_trained: whether it is a file, or a module, that bncheck can go on training.
        has_layers: whether its layers are its own; a repair has nothing to write where operations stand in for them.
    """

    model: str | None
    arguments: Mapping[str, Any]
    reading: DataSettings
    spelling: Spelling
    can_be_trained: bool = False
    has_layers: bool = True

    def given(self, *names: str) -> dict[str, Any]:
        """Those of these arguments that were set, in this order."""
        return {name: self.arguments[name] for name in names if name in self.arguments}


def call_of(settings: InspectionSettings | RepairSettings) -> Call:
    """The call that settings come from: as typed, or else as Python would write it."""
    source = settings.model.source
    typed = settings.edge.typed
    named = _from_python(settings) if typed is None else dict(typed)
    if isinstance(settings, RepairSettings):
        named.pop("until", None)  # a repair's is another number
        if settings.heldout is not None:  # its reports are on these, and not on what it was made from
            named["data"] = _written(settings.heldout, "heldout")
        named.pop("amp", None)  # and its own is how it trains
    return Call(
        model=str(source) if isinstance(source, str | Path) else None,
        arguments={name: value for name, value in named.items() if not _is_default(name, value)},
        reading=settings.reading,
        spelling=settings.edge.spelling,
    )


def _is_default(name: str, value: Any) -> bool:
    return any(
        value is one or value == one for one in (*_NOTHING, *_DEFAULTS.get(name, ())) if type(one) is type(value)
    )


def _from_python(settings: InspectionSettings | RepairSettings) -> dict[str, Any]:
    model, sampling, judging = settings.model, settings.sampling, settings.judging
    reference = settings.reference if isinstance(settings, InspectionSettings) else None
    return {
        "data": _written(settings.data, "data"),
        "train_data": _written(settings.train_data, "train_data"),
        **_of_run(settings),
        **_of_model(model),
        "amp": model.amp,
        **({} if reference is None else {f"reference{name}": each for name, each in _of_reference(reference).items()}),
        **_of_predictions(settings.predictions),
        "batch_size": sampling.batch_size,
        "limit": sampling.limit,
        "until": sampling.until,
        "by": _named(settings.reading.by),
        "batch_sizes": sampling.batch_sizes,
        "exhaustive": sampling.exhaustive,
        "fast": sampling.fast,
        "seed": sampling.seed,
        "max_gap": judging.max_gap,
        "deploy_dtype": judging.deploy_dtype,
        "select": judging.select,
        "ignore": judging.ignore,
        "fail_on": judging.fail_on,
        "strict": judging.strict,
    }


def _of_run(settings: InspectionSettings | RepairSettings) -> dict[str, Any]:
    if not isinstance(settings, InspectionSettings):
        return {}
    return {name: _written(getattr(settings, name), name) for name in ("reference_data", "against")}


def _of_model(model: ModelSettings) -> dict[str, Any]:
    return {
        "arch": _named(model.arch),
        "arch_kwargs": model.arch_kwargs,
        "key": model.key,
        "trust_pickle": model.trust_pickle,
        "allow_ops": model.allow_ops,
        "device": model.device,
    }


def _of_reference(model: ModelSettings) -> dict[str, Any]:
    known = _of_model(model)
    named = {f"_{name}": known[name] for name in ("arch", "arch_kwargs", "key")}
    return {"": _written(model.source, "reference"), **named}


def _of_predictions(predictions: PredictionSettings) -> dict[str, Any]:
    return {"output": predictions.output, "metric": _named(predictions.metric), "task": predictions.task}


def _written(value: Any, name: str) -> Any:
    """A path as it is; anything else by a variable's name, because a report does not hold it."""
    return str(value) if isinstance(value, str | Path) else None if value is None else Expression(name)


def _named(function: Any) -> Any:
    return function if function is None or isinstance(function, str) else Expression(name_of_callable(function))
