"""What a recorder holds, as plain values: a file can keep them, and a recorder can be made of them again."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.core import InstanceMoments, Moments, NormLayer
from bncheck.watch.rows import Rows


@dataclass(frozen=True, slots=True, eq=False)
class RememberedCall:
    """What one call of a layer has been fed; see `CallMoments`.

    Attributes:
        name: of the layer.
        call: which of its calls in a forward, from 0.
        layer: the layer called.
        seen: samples whose numbers the call had to count itself.
        moments: of all values.
        instances: what InstanceNorm averages; `None` for other layers.
        groups: of the samples' means; `None` where nobody wanted to know how they spread.
        rows: per-sample moments; `None` where none were kept.
        alone: samples of the largest forward in which it was fed one row; 0 where it was fed others.
    """

    name: str
    call: int
    layer: NormLayer
    seen: int
    moments: Moments
    instances: InstanceMoments | None
    groups: Moments | None
    rows: Rows | None
    alone: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RememberedRecorder:
    """What a recorder holds; see `Recorder`.

    Attributes:
        per_sample: whether it keeps moments per sample.
        errors: whether it took in how the samples' means spread.
        seed: of the draw of samples.
        limit: the key, as a hexadecimal number, below which samples were kept; empty where there was room for all.
        calls: in the order in which they were first met.
        in_part: whether any map was read in part.
    """

    per_sample: bool
    errors: bool
    seed: int
    limit: str
    calls: tuple[RememberedCall, ...]
    in_part: bool = False
