"""What a command reads and writes, told from its options in one place, so that no output takes the place of an input.

Every option and argument that names a file has its part here; a test looks for those that have none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from bncheck.cli.configuration import configuration_of
from bncheck.cli.destinations import STDOUT, Destination
from bncheck.files import InputFile, InputFiles, OutputFile, remote_name, require_existing, require_free, require_place
from bncheck.vocabulary import argument

MODELS = ("model", "models", "before", "after", "reference")
CODE = ("arch", "reference_arch", "metric", "loss", "by")
DATA = ("data", "train_data", "heldout", "reference_data")
OTHERS = ("saved", "baseline", "parts", "against")
REPORTS = "report"
OUTPUTS = ("resume", "write_baseline", "write_moments")
REPAIRED = "out"
"""Of a repair: it may stand for several files."""
_REPLACES = {"write_baseline": frozenset({argument("baseline")})}
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of one run.

    Attributes:
        inputs: everything that is read.
        outputs: everything that is written.
    """

    inputs: InputFiles
    outputs: tuple[OutputFile, ...]

    def require_free(self) -> None:
        """Refuse outputs over inputs; asked again before anything is written, when more code has been imported.

        Raises:
            UsageError: one would be written over an input, or two into one place.
        """
        require_free(self.outputs, self.inputs)


def files_of(context: typer.Context, destinations: Sequence[Destination] = ()) -> RunFiles:
    """The files that the command is going to read and write, checked before any work is done.

    Args:
        context: of the command; its parameters are as they came from the command line and the configuration.
        destinations: what `--report` says.

    Raises:
        UsageError: a model is not there; an output would be written over an input or another output, or has no folder
            to stand in.
    """
    models = {argument(name): context.params[name] for name in MODELS if context.params.get(name)}
    inputs = _named(context)
    outputs = tuple(_outputs(context, destinations))
    require_free(outputs, inputs)
    for output in outputs:
        if output.option not in (argument(REPAIRED), STEP_SUMMARY):
            require_place(output.path, output.option)
    require_existing(*(path for path in models.values() if isinstance(path, str | Path) and not remote_name(path)))
    if models and any(os.path.lexists(output.path) for output in outputs):  # what is new cannot be a part of anything
        from bncheck.formats import model_inputs

        parts = model_inputs(models)
        require_free(outputs, parts)
        inputs += parts
    beside = tuple(_beside_out(context, outputs))
    if beside:
        require_free((*outputs, *beside), inputs)
    return RunFiles(inputs, (*outputs, *beside))


def _named(context: typer.Context) -> InputFiles:
    """Everything that the options name, without what models consist of besides."""
    values = {name: context.params.get(name) for name in (*MODELS, *CODE, *DATA, *OTHERS)}
    for name in ("loss", "by"):
        if ":" not in (values[name] or ""):
            values[name] = None  # the name of a loss, or of a column
    given = {argument(name): value for name, value in values.items() if value is not None}
    data = {argument(name) for name in DATA}
    configuration = tuple(InputFile(path, "the configuration") for path in configuration_of(context).read)
    return (
        InputFiles.named({role: value for role, value in given.items() if role not in data})
        + InputFiles.of_data({role: value for role, value in given.items() if role in data})
        + InputFiles(configuration)
        + InputFiles(tuple(InputFile(Path(path), argument("parts")) for path in values["parts"] or ()))
    )


def _outputs(context: typer.Context, destinations: Sequence[Destination]) -> Iterator[OutputFile]:
    for destination in destinations:
        if destination.path != STDOUT:
            yield OutputFile(argument(REPORTS), Path(destination.path))
    for name in (REPAIRED, *OUTPUTS):
        value = context.params.get(name)
        if value is not None:
            yield OutputFile(argument(name), Path(value), _REPLACES.get(name, frozenset()))
    summary = os.environ.get(STEP_SUMMARY)
    if summary and any(destination.format == "github" for destination in destinations):
        yield OutputFile(STEP_SUMMARY, Path(summary))


def _beside_out(context: typer.Context, outputs: Sequence[OutputFile]) -> Iterator[OutputFile]:
    """The further files of a repaired model of several: in the end a report must not lie where a shard goes."""
    out = next((output for output in outputs if output.option == argument(REPAIRED)), None)
    if out is None or len(outputs) == 1:  # alone it is checked by whoever writes it
        return
    from bncheck.repair import files_of_out

    for path in files_of_out(out.path, Path(context.params["model"])):
        if path != out.path:
            yield OutputFile(out.option, path)
