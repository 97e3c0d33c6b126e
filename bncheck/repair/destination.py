"""Where a repaired model goes, and what must never be overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bncheck.errors import BncheckError, UsageError
from bncheck.files import InputFiles, OutputFile, no_folder, require_free, require_ordinary, require_place
from bncheck.formats import Backend, Container, format_of, known_formats, leading_file, model_inputs
from bncheck.vocabulary import argument, with_article


@dataclass(frozen=True, slots=True)
class Target:
    """Where the model goes, and what must not be written over.

    Attributes:
        out: the main file.
        inputs: everything that is read.
        overwrite: whether an existing `out` may be written over.
        beside: whether it lies in the folder of the original.
    """

    out: Path
    inputs: InputFiles
    overwrite: bool
    beside: bool

    def require_free(self, staged: Path) -> None:
        """Refuse where a file in the folder `staged` would take the place of another."""
        parts = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
        _require_free([self.out.parent / part for part in parts], self.inputs, overwrite=self.overwrite)


def target_of(
    model: Backend,
    out: Path,
    *,
    inputs: InputFiles,
    checkpoint: Path | None,
    overwrite: bool,
) -> Target:
    """The target that `out` means.

    Args:
        model: what is repaired.
        out: as typed.
        inputs: what is read besides.
        checkpoint: what else is written.
        overwrite: as typed.

    Raises:
        UsageError: it is an input, exists already, cannot be written or has the suffix of another container.
    """
    source = Path(model.path)
    inputs = model_inputs({argument("model"): source}) + inputs
    require_free([OutputFile(argument("out"), out)], inputs)
    target = destination(out, source, model.container)
    if model.container is not None:
        _require_suffix(target, source, model.container)
    paths = [target, *_written_beside(source, target)]
    _require_free(paths, inputs, overwrite=overwrite)
    if checkpoint is not None:
        kept = OutputFile(argument("resume"), checkpoint)
        require_free([*(OutputFile(argument("out"), path) for path in paths), kept], inputs)
    return Target(target, inputs, overwrite, _lies_beside(target, source))


def files_of_out(out: Path, model: Path) -> tuple[Path, ...]:
    """Every file that the repair of `model` is going to write to `out`; `out` alone where the model cannot be read.

    Raises:
        UsageError: it is a folder where a file is needed, or lies in none.
    """
    try:
        model = leading_file(model)
        _, container = format_of(model)
    except (BncheckError, OSError, ValueError):
        return (out,)
    target = destination(out, model, container)
    return (target, *_written_beside(model, target))


def _written_beside(model: Path, target: Path) -> tuple[Path, ...]:
    """The files that `target` is going to consist of besides."""
    try:
        found, container = format_of(model)
        return found.parts_written(model, container, target, beside=_lies_beside(target, model))
    except (BncheckError, OSError, ValueError):
        return ()


def destination(out: Path, model: Path, container: Container | None) -> Path:
    """The file that `--out` means: for a sharded model it may name the folder that takes the index and its shards.

    Raises:
        UsageError: it is a folder where a file is needed, or lies in none.
    """
    if container is not None and container.in_parts and (out.is_dir() or out.suffix not in container.suffixes):
        if not out.absolute().parent.is_dir():
            raise no_folder(out)
        if out.exists() and not out.is_dir():
            raise UsageError(
                f"{argument('out')} {out}: that is a file; a sharded model needs a folder, or an index NAME.json."
            )
        return out / model.name
    require_place(out)
    return out


def _lies_beside(target: Path, source: Path) -> bool:
    return target.parent.exists() and target.parent.samefile(source.absolute().parent)


def _require_suffix(out: Path, model: Path, container: Container) -> None:
    """Refuse a name that would have every reader take the file for what it is not; the model's own suffix may stay."""
    known = {suffix for one in known_formats() for other in one.containers for suffix in other.suffixes}
    if out.suffix.lower() in known.difference(container.suffixes) and out.suffix != model.suffix:
        raise UsageError(
            f"{argument('out')} {out}: a repaired file keeps its container, and {model} is "
            f"{with_article(container.name)}: name it {out.with_suffix(container.suffixes[0]).name}."
        )


def _require_free(paths: Iterable[Path], inputs: InputFiles, *, overwrite: bool) -> None:
    """Refuse to write over an input, whatever it is called there, and over anything else unless that is wanted.

    Raises:
        UsageError: one of `paths` is an input (also through links), or exists and `overwrite` is not set.
    """
    outputs = [OutputFile(argument("out"), path) for path in paths]
    require_free(outputs, inputs)
    for output in outputs:
        require_ordinary(output.path)
        if output.path.exists() and not overwrite:
            raise UsageError(f"{output}: it exists already; name another file, or pass {argument('overwrite')}.")
