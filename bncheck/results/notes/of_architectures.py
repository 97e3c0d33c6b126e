"""Notes tell how a file's tensors found the network that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import listed
from bncheck.vocabulary import argument


@dataclass(frozen=True, slots=True)
class Unpacked(Note):
    """The model stands in a compressed file or an archive."""

    member: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Unpacked {self.member}."


@dataclass(frozen=True, slots=True)
class PrefixStripped(Note):
    """All names of a state dict lost the prefix of a wrapper."""

    prefix: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Stripped the prefix {self.prefix!r}."


@dataclass(frozen=True, slots=True)
class NamesFitted(Note):
    """Names of a state dict were changed to those of the architecture: (`stripped` or `added`, prefix), in order."""

    changes: tuple[tuple[str, str], ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        changes = " and ".join(f"{done} the prefix {prefix!r}" for done, prefix in self.changes)
        return f"To fit the architecture, {changes}."


@dataclass(frozen=True, slots=True)
class FolderAudited(Note):
    """The class of a Hugging Face folder is not to be had, so its weights alone were audited."""

    qualifies: ClassVar[bool] = True
    folder: str
    missing: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{self.folder} was audited without its network: {self.missing}."


@dataclass(frozen=True, slots=True)
class PreprocessedAsSaid(Note):
    """Images are preprocessed as a Hugging Face folder says: (setting, value) each."""

    said: tuple[tuple[str, str], ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        shown = ", ".join(f"{name} {value}" for name, value in self.said)
        return f"Images are preprocessed as the model's preprocessor_config.json says: {shown}."


@dataclass(frozen=True, slots=True)
class PreprocessedAsTrained(Note):
    """Images are preprocessed as the weights say that they were in training: how, and (setting, value) each."""

    how: str
    said: tuple[tuple[str, str], ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        shown = ", ".join(f"{argument(name)} {value}" for name, value in self.said)
        return f"Images are preprocessed as the weights say they were in training, {self.how}: {shown}."


@dataclass(frozen=True, slots=True)
class TensorsLeftOut(Note):
    """Tensors of the file are called like no part of the architecture, and were not used."""

    qualifies: ClassVar[bool] = True
    names: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Not in the architecture, and not used: {listed(self.names)}."


@dataclass(frozen=True, slots=True)
class ArchitectureIgnored(Note):
    """An architecture was given for a file that holds a whole module."""

    qualifies: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{argument('arch')} was ignored: the file holds a whole module."
