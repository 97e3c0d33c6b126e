"""The words that values are made of, each once: severities, verdicts, statuses, reasons, and how arguments are named.

Every member is a string, so that it compares with, and is written as, what stands in reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, StrEnum

CHECK = "inspect"
"""The command for what no command does: the same inspection once more, afterwards."""


class Severity(StrEnum):
    """How grave a finding is, the gravest first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


class FailOn(StrEnum):
    """The severity from which findings fail a run."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


class Sort(StrEnum):
    """In which order a table lists layers."""

    GAP = "gap"
    ORDER = "order"
    NAME = "name"


class Page(StrEnum):
    """How a result is printed on a terminal: a page to read, or a line for each finding."""

    FULL = "full"
    CONCISE = "concise"


class Verdict(StrEnum):
    """What a report concludes."""

    OK = "ok"
    FINDINGS = "findings"
    INCONCLUSIVE = "inconclusive"
    NOT_CHECKED = "not-checked"


class Status(StrEnum):
    """What was done with a layer."""

    MEASURED = "measured"
    AUDITED = "audited"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why a layer was skipped, or keeps its statistics in a repair."""

    NO_STATISTICS = "no-running-statistics"
    NOT_EXERCISED = "not-exercised"
    FOLDED = "folded"
    UNTOLD = "never-updated-or-folded"
    UNSUPPORTED = "unsupported"
    BY_INPUT = "normalizes-by-its-input"
    NO_PLACE = "nameless-in-the-file"
    NOT_TRAINED = "not-trained"
    NOT_LOST = "not-lost"

    @property
    def words(self) -> str:
        """The reason as a sentence has it."""
        return self.value.replace("-", " ")


class Kind(StrEnum):
    """The kinds of normalization layers."""

    BATCH_NORM = "batch_norm"
    INSTANCE_NORM = "instance_norm"
    GROUP_NORM = "group_norm"
    LAYER_NORM = "layer_norm"
    RMS_NORM = "rms_norm"
    OTHER = "other"


class Worse(StrEnum):
    """In which direction a number gets worse."""

    HIGHER = "higher"
    LOWER = "lower"


class Harm(StrEnum):
    """What measuring the predictions has shown of a fault."""

    LARGE = "large"
    SHOWN = "shown"
    UNKNOWN = "not known"
    EXCLUDED = "excluded"


class Remedy(StrEnum):
    """What was changed, to measure what a finding costs."""

    RECALIBRATED = "recalibrated"
    INPUT = "the input changed"
    EPS = "another eps"
    GROUPED = "grouped batches"
    CALLS = "each call's own statistics"
    INSTANCE = "each instance's own statistics"
    COMPOSITION = "another batch composition"
    REFERENCE = "the reference"


class Spelling(Enum):
    """How arguments are named where a message is read."""

    PYTHON = "python"
    COMMAND_LINE = "command line"
    FILE = "file"


ALSO_CALLED: dict[str, dict[str, str]] = {
    "task": {
        "classification": "classes",
        "multiclass": "classes",
        "segmentation": "positions",
        "tagging": "positions",
        "binary": "yes-no",
        "multilabel": "yes-no",
        "regression": "numbers",
        "depth": "numbers",
        "keypoints": "numbers",
        "retrieval": "embeddings",
        "verification": "embeddings",
        "metric-learning": "embeddings",
        "detection": "none",
    },
    "method": {"fine-tune": "renorm", "batch-renorm": "renorm", "refresh": "recalibrate", "instance-norm": "instance"},
    "deploy_dtype": {"fp16": "float16", "half": "float16", "bf16": "bfloat16"},
    "amp": {"fp16": "float16", "half": "float16", "bf16": "bfloat16"},
    "channels": {"grayscale": "gray", "grey": "gray", "rgba": "rgb"},
    "layout": {"channels-last": "nhwc", "channels-first": "nchw"},
    "fail_on": {"none": "never", "warn": "warning"},
    "device": {"gpu": "cuda"},
}
"""What people call the words that an argument takes, by the argument."""

_ARGUMENT = re.compile("\ue000([a-z_0-9]+)(?:\ue002([^\ue001]*))?\ue001")
_BESIDE = re.compile("(\ue002[^\ue001]*\ue001) (?=\ue000[a-z_0-9]+\ue002)")
"""An argument with its value, and a space before another one."""
_SPELL: dict[Spelling, Callable[[str], str]] = {
    Spelling.PYTHON: lambda name: name,
    Spelling.COMMAND_LINE: lambda name: "--" + name.replace("_", "-"),
    Spelling.FILE: lambda name: name.replace("_", "-"),
}


def argument(name: str, value: str | None = None) -> str:
    """The mark by which a message names an argument: `argument("until")`; the edge spells it, see `spelled`.

    Args:
        name: of the argument.
        value: to give it, which is part of how it is typed.
    """
    return f"\ue000{name}\ue001" if value is None else f"\ue000{name}\ue002{value}\ue001"


def spelled(text: str, spelling: Spelling | Callable[[str], str]) -> str:
    """The text with its arguments named as they are where it is read, or as a function of the name says.

    >>> spelled(f"{argument('batch_size')} is 0", Spelling.COMMAND_LINE)
    '--batch-size is 0'
    >>> spelled(f"{argument('batch_size')} is 0", Spelling.PYTHON)
    'batch_size is 0'
    >>> spelled(f"{argument('arch', 'FILE.py:CALLABLE')} {argument('data', 'D')}", Spelling.COMMAND_LINE)
    '--arch FILE.py:CALLABLE --data D'
    >>> spelled(f"{argument('arch', 'FILE.py:CALLABLE')} {argument('data', 'D')}", Spelling.PYTHON)
    'arch="FILE.py:CALLABLE", data=D'
    >>> spelled(argument("resize", "HEIGHT,WIDTH"), Spelling.PYTHON)
    'resize=(HEIGHT, WIDTH)'
    """
    spell = _SPELL[spelling] if isinstance(spelling, Spelling) else spelling
    is_call = spelling is Spelling.PYTHON

    def written(found: re.Match[str]) -> str:
        name, value = spell(found[1]), found[2]
        return name if value is None else f"{name}={_in_python(value)}" if is_call else f"{name} {value}"

    return _ARGUMENT.sub(written, _BESIDE.sub("\\1, ", text) if is_call else text)


def arguments_named(text: str) -> tuple[str, ...]:
    """The arguments that a marked text names, in order, each once."""
    return tuple(dict.fromkeys(found[1] for found in _ARGUMENT.finditer(text)))


def _in_python(value: str) -> str:
    """A value as a call has it: what stands for something, and numbers, as they are, text in quotes."""
    several = value.split(",")
    written = [one if one.upper() == one else f'"{one}"' for one in several]
    return written[0] if len(written) == 1 else f"({', '.join(written)})"


class Unpredicted(StrEnum):
    """Why a layer's statistics are not predicted from the weights before it, or not judged by that."""

    UNUSABLE = (
        "its own values, or those of the layer before, are initial, folded, impossible or mostly of constant channels"
    )
    NO_WEIGHT = "no weight stands before it"
    FED_BY_INPUT = "it is fed by the input"
    FED_BY_ANOTHER = "no normalization layer feeds the weight before it"
    ACROSS_BLOCKS = "a sum or a branch may stand between it and the layer before"
    TRANSPOSED = "the weight before it is transposed"
    FLATTENED = "positions were flattened into channels"
    OTHER_SHAPE = "the layer before it has other channels than the weight takes"
    TOO_LARGE = "it has more channels, or the file more layers, than are looked at"
    FEW_ALIKE = "too few layers of the file are fed alike"
    UNLIKE = "layers fed alike do not fit their predictions: something else stands between them"
    UNKNOWN_OPERATION = "an operation whose moments are not followed stands before it"
    LARGEST = "the largest of neighbouring values is taken before it, and how alike these are is not known"
    MULTIPLIED = "values are multiplied by other values before it (a gate, an attention)"
    WITHOUT_NORM = "an activation of a weight's own output stands before it, with no normalization layer between"
    REARRANGED = "channels or positions are rearranged before it"
    TWICE = "it is called more than once"
    UNREACHED = "the graph that was read does not call it"


class Activation(StrEnum):
    """What stands between a BatchNorm and the weight that it feeds."""

    LINEAR = "linear"
    RELU = "ReLU"
    LEAKY_RELU = "leaky ReLU"
    RELU6 = "ReLU6"
    SILU = "SiLU"
    HARD_SWISH = "Hardswish"
    GELU = "GELU"
    MISH = "Mish"
    ELU = "ELU"
    TANH = "tanh"
    PRELU = "PReLU"
    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard sigmoid"
    HARD_TANH = "hardtanh"
    SOFTPLUS = "softplus"
    SELU = "SELU"
    ERF = "error function"


def with_article(noun: str) -> str:
    """`a list`, `an int`."""
    return f"{'an' if noun[:1].lower() in 'aeio' else 'a'} {noun}"
