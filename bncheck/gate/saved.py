"""Reading a report back from the JSON that `--report json=FILE` wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bncheck.errors import UnreadableError, UsageError
from bncheck.results.finding import Finding
from bncheck.results.notes import Note, notes_of
from bncheck.results.report import (
    MEASURED,
    SCHEMA_VERSION,
    Accuracy,
    BatchSize,
    DataFacts,
    Effect,
    LayerReport,
    ModelFacts,
    Report,
    Run,
    Summary,
)
from bncheck.vocabulary import Reason, Severity, Verdict

_ADVICE = "Reports are written by `bncheck inspect MODEL --report json=FILE`."


def read_report(path: str | Path) -> Report:
    """The report in a JSON file; numbers that were not finite, and null there, are NaN again where layers have one.

    Its layers have no `table` of channels: the JSON keeps none.

    Raises:
        UsageError: there is no such file.
        UnreadableError: it holds no report of bncheck, or one of another `schema_version`.
    """
    name = str(path)
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError as error:
        raise UsageError(f"there is no report {name}. {_ADVICE}") from error
    except OSError as error:
        raise UnreadableError(f"{name} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # neither UTF-8 nor JSON
        raise UnreadableError(f"{name} is no report of bncheck: {_first_line(error)}. {_ADVICE}") from error
    return report_of(document, name)


def report_of(document: object, source: str = "the document") -> Report:
    """The report that `Report.to_dict()` made `document` of.

    Raises:
        UnreadableError: as for `read_report`; it is called `source` there.
    """
    if not isinstance(document, dict) or "schema_version" not in document:
        raise UnreadableError(f"{source} is no report of bncheck: it has no schema_version. {_ADVICE}")
    if document["schema_version"] != SCHEMA_VERSION:
        raise UnreadableError(
            f"{source} has schema_version {document['schema_version']!r}; this bncheck reads {SCHEMA_VERSION}. "
            "Inspect the model again, or judge the report with the bncheck that wrote it."
        )
    part = _Part(source, "", document)
    data, effect = part.maybe_part("data"), part.maybe_part("effect")
    layers = tuple(_layer(layer) for layer in part.parts("layers"))
    return Report(
        version=part.text("bncheck"),
        run=_run(part.part("run")),
        model=_model(part.part("model")),
        data=None if data is None else _data(data),
        summary=_summary(part.part("summary"), measured=any(layer.status == MEASURED for layer in layers)),
        effect=None if effect is None else _effect(effect),
        batch_sizes=tuple(_batch_size(row) for row in part.parts("batch_sizes")),
        findings=tuple(_finding(finding) for finding in part.parts("findings")),
        layers=layers,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """An object of the document, and where it stands; every look at it checks what is there."""

    source: str
    place: str
    values: Mapping[str, Any]

    def text(self, key: str) -> str:
        value = self.maybe_text(key)
        return self.wrong(key, "text") if value is None else value

    def maybe_text(self, key: str) -> str | None:
        value = self._get(key)
        return value if value is None or isinstance(value, str) else self.wrong(key, "text")

    def whole(self, key: str) -> int:
        value = self.maybe_whole(key)
        return self.wrong(key, "a whole number") if value is None else value

    def maybe_whole(self, key: str) -> int | None:
        value = self._get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        return self.wrong(key, "a whole number")

    def maybe_number(self, key: str) -> float | None:
        value = self._get(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        return self.wrong(key, "a number")

    def number(self, key: str) -> float:
        """A number; what was not finite is NaN."""
        value = self.maybe_number(key)
        return math.nan if value is None else value

    def flag(self, key: str) -> bool:
        value = self._get(key)
        return value if isinstance(value, bool) else self.wrong(key, "true or false")

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        return self.wrong(key, "a list of texts")

    def maybe_numbers(self, key: str) -> tuple[float, ...] | None:
        """Numbers; those that were not finite are NaN."""
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, list) and all(item is None or isinstance(item, int | float) for item in value):
            return tuple(math.nan if item is None else float(item) for item in value)
        return self.wrong(key, "a list of numbers")

    def table(self, key: str) -> Mapping[str, Any]:
        value = self._get(key)
        return value if isinstance(value, dict) else self.wrong(key, "an object")

    def part(self, key: str) -> _Part:
        return _Part(self.source, self._called(key), self.table(key))

    def maybe_part(self, key: str) -> _Part | None:
        return None if self._get(key) is None else self.part(key)

    def parts(self, key: str) -> list[_Part]:
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            return self.wrong(key, "a list of objects")
        return [_Part(self.source, f"{self._called(key)}[{at}]", item) for at, item in enumerate(value)]

    def _get(self, key: str) -> Any:
        if key not in self.values:
            raise UnreadableError(f"{self.source} is no whole report: {self._called(key)} is missing. {_ADVICE}")
        return self.values[key]

    def _called(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def wrong(self, key: str, expected: str) -> NoReturn:
        found = json.dumps(self.values[key])
        shown = found if len(found) <= 40 else f"{found[:40]}..."
        raise UnreadableError(
            f"{self.source} is no report of bncheck: {self._called(key)} should be {expected} and is {shown}. {_ADVICE}"
        )


def _run(part: _Part) -> Run:
    versions = part.table("versions")
    thresholds = part.part("thresholds")
    thresholds.number("margin")  # what the verdict is told with
    return Run(
        command=part.text("command"),
        options=part.table("options"),
        seed=part.whole("seed"),
        versions={name: str(version) for name, version in versions.items()},
        thresholds={name: thresholds.number(name) for name in thresholds.values},
        noted=_noted(part),
    )


def _noted(part: _Part) -> tuple[Note, ...]:
    texts = part.texts("notes") if "notes" in part.values else ()
    return notes_of(texts, [each.values for each in part.parts("noted")] if "noted" in part.values else None)


def _model(part: _Part) -> ModelFacts:
    return ModelFacts(part.text("path"), part.maybe_text("sha256"), part.text("format"), part.whole("norm_layers"))


def _data(part: _Part) -> DataFacts:
    return DataFacts(part.text("source"), part.whole("samples"), part.whole("batch_size"), part.flag("labelled"))


def _summary(part: _Part, *, measured: bool) -> Summary:
    smallest = part.maybe_number("smallest_detectable_gap")
    return Summary(
        verdict=Verdict(part.text("verdict")),
        exit_code=part.whole("exit_code"),
        gap=part.number("gap") if measured else part.maybe_number("gap"),
        own_gap=part.maybe_number("own_gap"),
        smallest_detectable_gap=math.inf if smallest is None and measured else smallest,
        layers_measured=part.whole("layers_measured"),
        layers_skipped=part.whole("layers_skipped"),
    )


def _effect(part: _Part) -> Effect:
    accuracy = part.maybe_part("accuracy")
    return Effect(
        part.maybe_number("predictions_changed"),
        part.maybe_number("output_change"),
        None if accuracy is None else Accuracy(*map(accuracy.maybe_number, ("stored", "batch", "recalibrated"))),
    )


def _batch_size(part: _Part) -> BatchSize:
    return BatchSize(part.whole("batch_size"), *map(part.number, ("gap", "shift", "scale_low", "scale_high")))


def _finding(part: _Part) -> Finding:
    return Finding(
        code=part.text("code"),
        severity=Severity(part.text("severity")),
        layers=part.texts("layers") if "layers" in part.values else _layers_before(part),
        message=part.text("message"),
        fix=part.text("fix"),
        evidence=part.table("evidence"),
        accepted=part.maybe_text("accepted") if "accepted" in part.values else None,
    )


def _layers_before(part: _Part) -> tuple[str, ...]:
    """Of a report from before findings listed their layers."""
    layer, listed = part.maybe_text("layer"), part.table("evidence").get("layers", ())
    return tuple(map(str, listed)) if layer is None else (layer,)


def _layer(part: _Part) -> LayerReport:
    stored, status = part.part("stored"), part.text("status")
    measured = part.number if status == MEASURED else part.maybe_number
    return LayerReport(
        name=part.text("name"),
        kind=part.text("kind"),
        channels=part.whole("channels"),
        status=status,
        reason=_reason(part),
        calls=part.maybe_whole("calls"),
        call_gaps=part.maybe_numbers("call_gaps"),
        stored_eps=stored.maybe_number("eps"),
        stored_momentum=stored.maybe_number("momentum"),
        stored_updates=stored.maybe_whole("updates"),
        gap=measured("gap"),
        gap_max=measured("gap_max"),
        worst_channel=part.maybe_whole("worst_channel"),
        own_gap=part.maybe_number("own_gap"),
        noise=measured("noise"),
        shift_max=measured("shift_max"),
        scale_min=measured("scale_min"),
        scale_max=measured("scale_max"),
        codes=part.texts("codes"),
    )


def _reason(part: _Part) -> Reason | None:
    text = part.maybe_text("reason")
    if text is not None and text not in tuple(Reason):
        part.wrong("reason", f"one of {', '.join(Reason)}")
    return None if text is None else Reason(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _first_line(error: ValueError) -> str:
    return (str(error).splitlines() or ["it cannot be read"])[0].rstrip(".")
