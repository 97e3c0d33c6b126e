"""The command that does what a report advises, filled in with what it was called with.

Rules give templates: the command's name and the options that are new, `repair --data TRAIN` or `inspect --scale 255`.
An empty value takes an option out. `TRAIN`, `DATA` and `CHECKPOINT` become what was given as such; where nothing was,
they stay, for the reader to fill in: data to evaluate on are not called training data. Options of the preprocessing
come on top of those that were given already.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bncheck.api.calling import OF_IMAGES, OF_JUDGING, OF_MODEL, OF_REFERENCE, OF_TASK, Call, Expression
from bncheck.api.reading_changed import changed_reading, preprocessing
from bncheck.files import name_here, remote_name
from bncheck.formats import hugging_face_folder
from bncheck.results import FINDINGS, INFO, NOT_CHECKED, OK, Finding, Report, next_command
from bncheck.settings import METHOD
from bncheck.vocabulary import CHECK, Spelling

INSPECT, REPAIR = "inspect", "repair"
FOLDED = "BN705"
_ORDER = (
    *("data", "train_data"),
    *(*OF_MODEL, "amp", *OF_REFERENCE, *OF_TASK),
    *("batch_size", "limit", "until", "by", "reference_data", "against", "batch_sizes", "seed"),
    *(*OF_IMAGES, *OF_JUDGING, "no_config"),
)
_OF_REPAIR = (*OF_MODEL, *OF_TASK, *OF_IMAGES, "batch_size", "seed", "no_config")
_GIVEN = {"TRAIN": ("train_data",), "DATA": ("data",), "CHECKPOINT": ("reference",)}
_IN_PYTHON = {
    "TRAIN": Expression("train_data"),
    "DATA": Expression("data"),
    "CHECKPOINT": Expression("reference"),
    "FILE.py:CALLABLE": Expression("build"),
}
_REPEATED = ("allow_op", "allow_ops", "select", "ignore")


@dataclass(frozen=True, slots=True)
class _Template:
    """What a rule asks for: the command, and by name the options that are new; an empty one is taken out."""

    command: str
    options: Mapping[str, str]


def advised(report: Report, call: Call) -> Report:
    """The report with the commands of its findings filled in, and the one to type next."""
    again = _filled(_read(CHECK), call, report)
    changes = _input_changes(report.findings)
    findings = tuple(
        replace(finding, command=_command(finding, call, report, again, changes)) for finding in report.findings
    )
    run = replace(report.run, again=again)
    return replace(
        report, run=run, findings=findings, summary=replace(report.summary, next=_next(report, findings, call, again))
    )


def _next(report: Report, findings: tuple[Finding, ...], call: Call, again: str) -> str | None:
    verdict = report.summary.verdict
    if verdict == FINDINGS:
        return next_command(findings, again)
    if verdict == NOT_CHECKED:
        return next((finding.command for finding in findings if finding.code == FOLDED), None)
    is_static = report.data is None and report.run.asked.data is None
    return _filled(_read("inspect --data DATA"), call, report) if verdict == OK and is_static else None


def _command(finding: Finding, call: Call, report: Report, again: str, changes: Mapping[str, str]) -> str | None:
    """What does what the finding advises; nothing for a remark, and where no command does it."""
    is_the_reason = finding.code == FOLDED and report.summary.verdict == NOT_CHECKED
    if finding.command is None or (finding.severity == INFO and not is_the_reason):
        return None
    template = _read(finding.command)
    if template.command == REPAIR:
        if not _can_be_repaired(template, call):
            return None
        template = replace(template, options={**changes, **template.options})
    written = _filled(template, call, report)
    return None if written == again else written


def _input_changes(findings: Iterable[Finding]) -> dict[str, str]:
    """What the input has to be changed by first: a repair from data fed wrongly would only hide that."""
    read = (_read(finding.command) for finding in findings if finding.command is not None and finding.severity != INFO)
    changes = (template.options for template in read if set(template.options) & set(OF_IMAGES))
    return dict(next(changes, {}))


def _can_be_repaired(template: _Template, call: Call) -> bool:
    if not call.has_layers:
        return False
    method = template.options.get("method", METHOD)
    if call.model is None:
        return method == METHOD and call.can_be_trained
    return method != "renorm" or call.can_be_trained


def _read(template: str) -> _Template:
    command, *words = shlex.split(template)
    options = {}
    while words:
        name, separator, value = words.pop(0).removeprefix("--").partition("=")
        options[name.replace("-", "_")] = value if separator else words.pop(0)
    return _Template(command, options)


def _filled(template: _Template, call: Call, report: Report) -> str:
    reading = changed_reading(call.reading, template.options)
    new = {name: _given(value, call) for name, value in template.options.items() if name not in OF_IMAGES}
    if template.command == REPAIR:
        arguments = {**call.given(*_OF_REPAIR), "data": _given("TRAIN", call), **new}
        arguments["out"] = free_name(call.model) if call.model else None
    else:
        arguments = {**call.given(*_ORDER), **new}
    if "data" in arguments and report.model.runnable is False and "arch" not in arguments:
        arguments["arch"] = _IN_PYTHON["FILE.py:CALLABLE"] if _is_python(call) else "FILE.py:CALLABLE"
    if reading is not call.reading:
        arguments = {name: value for name, value in arguments.items() if name not in OF_IMAGES}
        arguments |= preprocessing(reading)
    arguments = {name: value for name, value in arguments.items() if value is not None and value != ""}
    return (
        _python(template.command, call, arguments, reading) if _is_python(call) else _typed(template, call, arguments)
    )


def _given(value: str, call: Call) -> Any:
    """What was given as that; a placeholder where nothing was. Training data are not what is inspected."""
    known = next((call.arguments[name] for name in _GIVEN.get(value, ()) if name in call.arguments), None)
    if known is not None:
        return known
    return _IN_PYTHON.get(value, value) if _is_python(call) else value


def free_name(model: str) -> str:
    """A name beside the model's for what it becomes, with its suffix, that nothing bears yet."""
    path = Path(model if remote_name(model) is None else name_here(model))
    suffix = next((end for end in (".safetensors.index.json", ".weights.h5") if path.name.endswith(end)), path.suffix)
    if (folder := hugging_face_folder(path)) is not None and not folder.weights.name.endswith(".json"):
        suffix = folder.weights.suffix  # its weights alone are repaired
    stem = path.name.removesuffix(suffix)
    numbers = ("", *(f"-{number}" for number in range(2, 1000)))
    free = (path.with_name(f"{stem}-repaired{number}{suffix}") for number in numbers)
    return str(next(one for one in free if not one.exists()))


def _is_python(call: Call) -> bool:
    return call.spelling is Spelling.PYTHON


def _typed(template: _Template, call: Call, arguments: Mapping[str, Any]) -> str:
    model = call.model or ""
    words = ["bncheck", template.command, f"./{model}" if model.startswith("-") else model]
    for name in sorted(arguments, key=_place):
        option = f"--{name.removesuffix('s') if name == 'allow_ops' else name}".replace("_", "-")
        for value in _each(name, arguments[name]):
            words += [option] if value is True else [option, _text(value)]
    return shlex.join(words)


def _place(name: str) -> tuple[int, int]:
    """The model's own first, then the data and how they are read, then what is done."""
    first = (*OF_MODEL, "data", "train_data")
    return (0, first.index(name)) if name in first else (2, 0) if name == "out" else (1, 0)


def _each(name: str, value: Any) -> list[Any]:
    """Values that are typed one by one; others of several numbers are typed by comma."""
    if not isinstance(value, list | tuple):
        return [value]
    return list(value) if name in _REPEATED else [",".join(map(_text, value))]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _python(command: str, call: Call, arguments: Mapping[str, Any], reading: Any) -> str:
    """The call in Python; a module in memory is recalibrated to a copy."""
    named = {name: value for name, value in arguments.items() if name not in OF_IMAGES and name != "data"}
    options = preprocessing(reading)
    if options:
        told = ", ".join(f"{name}={value!r}" for name, value in options.items())
        named["data_options"] = Expression(f"DataOptions({told})")
    data = [arguments["data"]] if "data" in arguments else []
    function = f"bncheck.{command}"
    if command == REPAIR:
        function = "bncheck.repair_file"
        if call.model is None:
            named = {name: named[name] for name in ("batch_size", "seed", "device", "data_options") if name in named}
            return f"model = {_called('bncheck.recalibrate', [Expression('model'), *data], named)}"
    return _called(function, [call.model or Expression("model"), *data], named)


def _called(function: str, placed: list[Any], named: Mapping[str, Any]) -> str:
    return f"{function}({', '.join([*map(repr, placed), *(f'{name}={value!r}' for name, value in named.items())])})"
