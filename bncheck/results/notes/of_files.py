"""Notes tell how a model file was read, run and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bncheck.results.notes.note import Note
from bncheck.results.notes.wording import count, listed
from bncheck.vocabulary import argument, with_article


@dataclass(frozen=True, slots=True)
class PrecisionChanged(Note):
    """Values are run in another type than the file stores."""

    qualifies: ClassVar[bool] = True
    stored: str
    run: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Values stored in {self.stored} are run in the architecture's {self.run}."


@dataclass(frozen=True, slots=True)
class FetchedFrom(Note):
    """The model lies elsewhere, and a copy was read.

    Attributes:
        name: as it was named.
        commit: of the repository; `None` where there is none.
    """

    name: str
    commit: str | None = None

    @property
    def sentence(self) -> str:
        """See `Note`."""
        at = "" if self.commit is None else f" at commit {self.commit}"
        return f"Fetched {self.name}{at}."


@dataclass(frozen=True, slots=True)
class HalfPrecisionRaised(Note):
    """A pickled module in half precision is run in float32."""

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return "The module is stored in half precision; it is run in float32."


@dataclass(frozen=True, slots=True)
class ModelChosen(Note):
    """One of several models in a checkpoint was taken, or its only one is an averaged copy.

    Attributes:
        path: of the one taken; empty for the checkpoint's own tensors.
        others: paths of those left.
    """

    qualifies: ClassVar[bool] = True
    path: str
    others: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """See `Note`."""
        where = f"Took {self.path!r} from the checkpoint" if self.path else "Took the checkpoint's own tensors"
        if not self.others:
            return f"{where}, an averaged copy; there is no other."
        return f"{where}; {argument('key')} chooses another: {listed(self.others)}."


@dataclass(frozen=True, slots=True)
class ModelsTogether(Note):
    """Several models in a checkpoint were read as one, which no architecture or key asked otherwise.

    Attributes:
        paths: of those read.
        others: paths of those left.
    """

    paths: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """See `Note`."""
        left = f", and left {listed(self.others)}" if self.others else ""
        return f"Read {listed(self.paths)} of the checkpoint together{left}; {argument('key')} chooses one."


@dataclass(frozen=True, slots=True)
class ArgumentIgnored(Note):
    """An argument was given that a file of this kind has no use for.

    Attributes:
        name: of the argument.
        container: what the file is.
    """

    qualifies: ClassVar[bool] = True
    name: str
    container: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{argument(self.name)} was ignored: {with_article(self.container)} needs none."


@dataclass(frozen=True, slots=True)
class DeviceIgnored(Note):
    """A device was given for a model that runs on the CPU alone."""

    device: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{argument('device')} {self.device} was ignored: ONNX models are run on the CPU."


@dataclass(frozen=True, slots=True)
class LayerUnmeasurable(Note):
    """A layer stands where this format lets nothing be measured."""

    qualifies: ClassVar[bool] = True
    layer: str
    why: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{self.layer} cannot be measured: {self.why}"


@dataclass(frozen=True, slots=True)
class ArithmeticRead(Note):
    """Normalization that the file writes as arithmetic is read as layers."""

    layers: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"{count(self.layers, 'layer')} written as Sub, Div, Mul and Add with constants, read as BatchNorm."


@dataclass(frozen=True, slots=True)
class NotRun(Note):
    """Data were given, and the model cannot be run on any."""

    qualifies: ClassVar[bool] = True
    why: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"not run: {self.why}"


@dataclass(frozen=True, slots=True)
class FunctionsInlined(Note):
    """An ONNX file was written without its functions."""

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return "Its functions were inlined: a layer stands inside one of them."


@dataclass(frozen=True, slots=True)
class BatchWidened(Note):
    """A graph that declares one batch size was run in larger ones."""

    declared: int

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"declared for batches of exactly {self.declared}, but run in larger ones: its graph takes any"


@dataclass(frozen=True, slots=True)
class ComputedInFloat32(Note):
    """A graph in a type that the runtime has no kernels for was run in float32."""

    qualifies: ClassVar[bool] = True
    stored: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"computed in float32: onnxruntime cannot run this model in {self.stored} on the CPU"


@dataclass(frozen=True, slots=True)
class RuntimeNotCompared(Note):
    """The runtime's normalization could not be checked."""

    qualifies: ClassVar[bool] = True
    why: str

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"the runtime's own normalization was not compared with float64: {self.why}"


@dataclass(frozen=True, slots=True)
class OwnGapsInherit(Note):
    """A layer that is not found passes errors on that its successors' own gaps contain."""

    qualifies: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return "Own gaps behind a layer that is not found contain what it passes on."


@dataclass(frozen=True, slots=True)
class EpsUnknown(Note):
    """Neither of two compared files says its layers' eps."""

    assumed: float

    @property
    def sentence(self) -> str:
        """See `Note`."""
        return f"Neither file says the layers' eps; gaps are in units of sqrt(variance + {self.assumed:g})"
