"""Which tensor of a file is which of an architecture: by names and shapes alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bncheck.formats.messages import block
from bncheck.formats.quantization import shape_of
from bncheck.formats.state_dict.names.flat import (
    BOOKKEEPING,
    STATISTICS,
    chosen_among,
    is_beside,
    leaf,
    models_in,
    others_beside,
    prefixes_that_fit,
)
from bncheck.formats.state_dict.names.prefixes import Shapes, best_names
from bncheck.formats.state_dict.names.spelling import Spelled, in_pytorch_names
from bncheck.results import ModelChosen, NamesFitted, Note, TensorsLeftOut
from bncheck.tensors import torch


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The tensors of a file as an architecture calls them.

    Attributes:
        spelled: in PyTorch's names.
        names: the architecture's name of each of these that stands under `prefix`.
        stored: their shapes.
        prefix: under which the model stands, where others stand beside it.
        beside: the prefixes of those.
        renaming: what was done to the names, see `best_names`.
        left_out: names of what is called like no part of the architecture.
    """

    spelled: Spelled
    names: Mapping[str, str]
    stored: Shapes
    prefix: str
    beside: tuple[str, ...]
    renaming: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]

    @property
    def given(self) -> dict[str, torch.Tensor]:
        """The tensors that go into the architecture, by its names."""
        return {
            self.names[name]: value
            for name, value in self.spelled.tensors.items()
            if name in self.stored and name not in self.left_out
        }

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """The shapes of what goes in."""
        return {self.names[name]: shape for name, shape in self.stored.items() if name not in self.left_out}

    @property
    def all_shapes(self) -> dict[str, torch.Size]:
        """The same, and of what is left out."""
        return {self.names[name]: shape for name, shape in self.stored.items()}

    @property
    def file_names(self) -> dict[str, str | None]:
        """The file's name of each tensor of the architecture that it holds; of what is computed from several, none."""
        return {new: self.spelled.names.get(old, old) for old, new in self.names.items()}

    @property
    def models(self) -> list[str]:
        """What may be a model each in the file."""
        return models_in(self.spelled.tensors)

    @property
    def notes(self) -> Iterator[Note]:
        """What was chosen, renamed and left out."""
        if self.beside:
            yield ModelChosen(self.prefix.removesuffix("."), self.beside)
        elif self.renaming:
            yield NamesFitted(self.renaming)
        if self.left_out:
            yield TensorsLeftOut(tuple(self.spelled.names.get(name) or name for name in self.left_out))


def matched(tensors: Mapping[str, torch.Tensor], packed: Mapping[str, Any], shapes: Shapes, source: str) -> Match:
    """The names under which the most tensors agree with the architecture in name and shape.

    Args:
        tensors: the file's.
        packed: what quantized layers keep in tuples.
        shapes: of the architecture.
        source: the file, for messages.

    Raises:
        UsageError: several models fit, and none is the raw one of averages.
    """
    spelled = in_pytorch_names(tensors, shapes)
    stored = {name: shape_of(value) for name, value in (*spelled.tensors.items(), *packed.items())}
    prefix, beside = _part_of(stored, shapes, source)
    others = tuple(f"{other}." for other in beside)
    stored = {
        name: shape
        for name, shape in stored.items()
        if name.startswith(prefix) and (prefix or not name.startswith(others))
    }
    names, renaming = best_names(stored, shapes)
    left_out = [name for name in stored if names[name] not in shapes and is_beside(names[name], shapes)]
    return Match(spelled, names, stored, prefix, beside, renaming, tuple(left_out))


def _part_of(stored: Shapes, expected: Shapes, source: str) -> tuple[str, tuple[str, ...]]:
    """The prefix of the model that is meant, where several fit the architecture, and the prefixes of the others."""
    fitting = prefixes_that_fit(stored, expected)
    if len(fitting) < 2:
        others = others_beside(stored, fitting[0]) if fitting and fitting[0] else ()
        return (fitting[0] if others else "", others)
    prefix = chosen_among(fitting, source)
    return prefix, tuple(other.removesuffix(".") for other in fitting if other != prefix)


def misfits(given: Shapes, expected: Shapes) -> list[str]:
    """What is missing, left over and of another shape, as lines; empty where all fits."""
    absent = [name for name in expected if name not in given and leaf(name) not in (*STATISTICS, *BOOKKEEPING)]
    left_over = [name for name in given if name not in expected and leaf(name) not in BOOKKEEPING]
    other_shape = [
        (name, f"file {_shape(value)}", f"architecture {_shape(expected[name])}")
        for name, value in given.items()
        if expected.get(name, value) != value and leaf(name) not in BOOKKEEPING
    ]
    parts: list[tuple[str, Sequence[Sequence[str]]]] = [
        ("missing from the file", [(name, _shape(expected[name])) for name in absent]),
        ("not in the architecture", [(name, _shape(given[name])) for name in left_over]),
        ("of another shape", other_shape),
    ]
    return [line for title, rows in parts if rows for line in block(title, rows)]


def _shape(shape: torch.Size) -> str:
    return str(tuple(shape))
