"""What is known of a model from before its normalization was folded."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bncheck.core import FloatArray, NormLayer
from bncheck.formats.folding.operations import Weights

_NUMBERED = re.compile(r"[A-Za-z_]+?(\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A convolution or linear layer of the reference, as far as it is known.

    Attributes:
        name: of its weight; in a stamp, the name of the folded weight.
        weight: as torch lays it out; `None` where only its norms were kept.
        norms: Euclidean norm of each channel's row, shape (O,), where `weight` is not known.
        bias: shape (O,), `None` without one.
        layer: name of the layer it feeds, where that is on record.
    """

    name: str
    weight: Weights | None = None
    norms: FloatArray | None = None
    bias: FloatArray | None = None
    layer: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The layers and weights of the reference.

    Attributes:
        path: of its file, for messages.
        layers: every layer with statistics.
        sources: what may feed them.
        positions: where each name, of a layer or of a weight, stands in the reference's own order.
        sha256: of its file.
        stamped: whether it is a stamp in the very file it is compared with.
    """

    path: str
    layers: tuple[NormLayer, ...]
    sources: tuple[Source, ...] = ()
    positions: Mapping[str, int] = field(default_factory=dict)
    sha256: str | None = None
    stamped: bool = False

    def after(self, source: Source) -> list[NormLayer]:
        """The layers that `source` may feed, the likeliest first: on record, of the same name, declared next."""
        if source.layer is not None:
            return [layer for layer in self.layers if layer.name == source.layer]
        start = self.positions.get(source.name, -1)
        distances = {layer.name: self.positions.get(layer.name, -1) - start for layer in self.layers}
        module = source.name.rpartition(".")[0]

        def unlikeliness(layer: NormLayer) -> tuple[bool, bool, int]:
            distance = distances[layer.name]
            return not _alike(module, layer.name), distance < 0, abs(distance)

        return sorted(self.layers, key=unlikeliness)

    def named_as(self, names: Collection[str]) -> Reference:
        """The reference without a prefix that all its names share, if that gives it some of `names`, and now none."""
        own = [layer.name for layer in self.layers]
        if any(name in names for name in own):
            return self
        for prefix in _prefixes([*own, *(source.name for source in self.sources)]):
            if any(name.removeprefix(prefix) in names for name in own):
                return self._without(prefix)
        return self

    def _without(self, prefix: str) -> Reference:
        return replace(
            self,
            layers=tuple(replace(layer, name=layer.name.removeprefix(prefix)) for layer in self.layers),
            sources=tuple(replace(source, name=source.name.removeprefix(prefix)) for source in self.sources),
            positions={name.removeprefix(prefix): position for name, position in self.positions.items()},
        )


def _prefixes(names: Sequence[str]) -> list[str]:
    """The dotted beginnings that all names share, the shortest first: `a.` and `a.b.` for `a.b.x` and `a.b.y`."""
    shortest = min(names, default="")
    cuts = [position + 1 for position, letter in enumerate(shortest) if letter == "."]
    return [shortest[:cut] for cut in cuts if all(name.startswith(shortest[:cut]) for name in names)]


def _alike(module: str, layer: str) -> bool:
    """Whether the two are numbered alike in the same block: `block.conv2` and `block.bn2`."""
    (parent, _, name), (other_parent, _, other) = module.rpartition("."), layer.rpartition(".")
    number, other_number = _NUMBERED.fullmatch(name), _NUMBERED.fullmatch(other)
    return bool(parent == other_parent and number and other_number and number[1] == other_number[1])
