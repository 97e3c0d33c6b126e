"""Where a repaired model goes, and what must never be overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bncheck.errors import BncheckError, UsageError
from bncheck.files import InputFiles, OutputFile, require_free, require_place
from bncheck.formats import Model
from bncheck.formats.parts import model_inputs
from bncheck.formats.recognise import ONNX_FILE, SAFETENSORS_FILE, SAFETENSORS_INDEX, recognise
from bncheck.formats.stored_names import written_beside
from bncheck.vocabulary import argument

_SUFFIXES = {SAFETENSORS_FILE: (".safetensors",), SAFETENSORS_INDEX: (".json",), ONNX_FILE: (".onnx",)}
_OF_TORCH = (".pt", ".pth", ".th", ".ckpt", ".tar", ".bin", ".pt2")


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
    model: Model,
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
    container = model.origin.container if model.origin else ""
    source = Path(model.path)
    inputs = model_inputs({argument("model"): source}) + inputs
    require_free([OutputFile(argument("out"), out)], inputs)
    target = destination(out, source, container)
    _require_suffix(target, source, container)
    paths = [target, *written_beside(source, container, target, beside=_lies_beside(target, source))]
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
        container = recognise(model)
    except (BncheckError, OSError, ValueError):
        return (out,)
    target = destination(out, model, container)
    return (target, *written_beside(model, container, target, beside=_lies_beside(target, model)))


def destination(out: Path, model: Path, container: str) -> Path:
    """The file that `out` means: for a sharded model it may name the folder that takes the index and its shards.

    Raises:
        UsageError: it is a folder where a file is needed, or lies in none.
    """
    if container == SAFETENSORS_INDEX and (out.is_dir() or out.suffix != ".json"):
        if not out.absolute().parent.is_dir():
            raise UsageError(f"{argument('out')} {out}: there is no folder {out.parent}.")
        if out.exists() and not out.is_dir():
            raise UsageError(
                f"{argument('out')} {out}: that is a file; a sharded model needs a folder, or an index NAME.json."
            )
        return out / model.name
    require_place(out)
    return out


def _lies_beside(target: Path, source: Path) -> bool:
    return target.parent.exists() and target.parent.samefile(source.absolute().parent)


def _require_suffix(out: Path, model: Path, container: str) -> None:
    """Refuse a name that would have every reader take the file for what it is not; the model's own suffix may stay."""
    own = _SUFFIXES.get(container, _OF_TORCH)
    of_others = {suffix for known in (*_SUFFIXES.values(), _OF_TORCH) for suffix in known if suffix not in own}
    if out.suffix.lower() in of_others and out.suffix != model.suffix:
        raise UsageError(
            f"{argument('out')} {out}: a repaired file keeps its container, and {model} is a {container}: name it "
            f"{out.with_suffix(own[0]).name}."
        )


def _require_free(paths: Iterable[Path], inputs: InputFiles, *, overwrite: bool) -> None:
    """Refuse to write over an input, whatever it is called there, and over anything else unless that is wanted.

    Raises:
        UsageError: one of `paths` is an input (also through links), or exists and `overwrite` is not set.
    """
    outputs = [OutputFile(argument("out"), path) for path in paths]
    require_free(outputs, inputs)
    for output in outputs:
        if output.path.exists() and not overwrite:
            raise UsageError(f"{output}: it exists already; name another file, or pass {argument('overwrite')}.")
