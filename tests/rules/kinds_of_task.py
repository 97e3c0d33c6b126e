"""Models of every kind of task, small and untrained, that do their task perfectly; see `test_kinds_of_task.py`.

Weights are random, statistics are those of other batches, and labels are what the model says.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from digit_nets import norms
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

WIDTH = 10
Make = Callable[[torch.Generator], Any]
"""Inputs of one batch."""


@dataclass(frozen=True)
class Kind:
    """A kind of task.

    Attributes:
        build: an untrained model.
        batch: the inputs of a batch: a tensor, or what else the model is called with.
        label: labels from what the model returns; `None` for a task without any.
        given: a batch as the loader gives it, from inputs and labels.
        batches: how many there are.
        dtype: of the weights.
    """

    build: Callable[[], nn.Module]
    batch: Make
    label: Callable[[Any], Any] | None = lambda said: said.argmax(1)
    given: Callable[[Any, Any], Any] = lambda inputs, labels: (inputs, labels)
    batches: int = 6
    dtype: torch.dtype = torch.float32


def drawn(*shape: int) -> Make:
    """Samples, each with its own level and size of noise, as recordings and photographs have."""

    def batch(generator: torch.Generator) -> torch.Tensor:
        levels = torch.rand(shape[0], shape[1], *[1] * (len(shape) - 2), generator=generator)
        return levels + torch.randn(shape, generator=generator) * (0.5 + levels)

    return batch


def blocks(inputs: int, *, dims: int = 2, depth: int = 4, transposed: bool = False) -> nn.Sequential:
    """Convolutions with their norms."""
    conv: Any = {0: nn.Linear, 1: nn.Conv1d, 2: nn.Conv2d}[dims]
    norm: Any = nn.BatchNorm2d if dims == 2 else nn.BatchNorm1d
    if transposed:
        conv = nn.ConvTranspose1d
    options = {} if dims == 0 else {"padding": 1}
    sizes = () if dims == 0 else (3,)
    layers: list[nn.Module] = []
    for channels in (inputs, *[WIDTH] * (depth - 1)):
        layers += [conv(channels, WIDTH, *sizes, bias=False, **options), norm(WIDTH), nn.ReLU()]
    return nn.Sequential(*layers)


class Net(nn.Module):
    """A trunk and a head; what is between inputs and outputs is the subclass's."""

    def __init__(self, trunk: nn.Module, outputs: int = 4) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(WIDTH, outputs)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """What the trunk makes of every sample, (N, WIDTH)."""
        features: torch.Tensor = self.trunk(x)
        return features.flatten(2).mean(2) if features.dim() > 2 else features

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.pooled(x))


class Positions(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(x).movedim(1, -1)).movedim(-1, 1)


class Detector(Net):
    """Images of several sizes in, one dict for each out."""

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        high = max(image.shape[1] for image in images)
        padded = [nn.functional.pad(image, (0, 0, 0, high - image.shape[1])) for image in images]
        said = self.head(self.pooled(torch.stack(padded)))
        return [{"boxes": one[None], "scores": one[:1].sigmoid()} for one in said]


class Generator(Net):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.trunk(z[:, :, None, None].expand(-1, -1, 6, 6) * torch.linspace(0.5, 1.5, 6)).tanh()


class Siamese(Net):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.head(self.pooled(left) - self.pooled(right))


class Embedding(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.head(self.pooled(x)))


class TwoHeads(Net):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        said = self.head(self.pooled(x))
        return {"class": said[:, :3], "age": said[:, 3:]}


class TwoOutputs(Net):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.pooled(x)
        return self.head(pooled), pooled


class OnGraph(Net):
    """Each node hears of its neighbours between layers."""

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        for layer in self.trunk:  # type: ignore[attr-defined]
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                x = x + 0.2 * torch.zeros_like(x).index_add_(0, edge_index[0], x[edge_index[1]])
        return self.head(x)


class FullGraph(Net):
    """One graph, which the model has; only the nodes' features come from outside."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__(trunk)
        self.register_buffer("edges", torch.randint(400, (2, 900)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.trunk:  # type: ignore[attr-defined]
            x = layer(x)
        return self.head(x + 0.2 * torch.zeros_like(x).index_add_(0, self.edges[0], x[self.edges[1]]))


class Padded(Net):
    def forward(self, sound: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        said = self.trunk(sound * mask[:, None]) * mask[:, None]
        return self.head(said.sum(2) / mask.sum(1, keepdim=True))


class Video(Net):
    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        pooled = self.pooled(frames.flatten(0, 1))
        return self.head(pooled.unflatten(0, frames.shape[:2]).mean(1))


class Recurrent(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.zeros(len(x), WIDTH, dtype=x.dtype)
        for step in range(x.shape[2]):
            state = 0.5 * state + self.trunk(x[:, :, step])
        return self.head(state)


class Recommender(Net):
    def __init__(self, trunk: nn.Module) -> None:
        super().__init__(trunk, 1)
        self.users = nn.Embedding(50, 6)

    def forward(self, user: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(torch.cat([self.users(user), features], 1)))[:, 0]


class Packed(Net):
    def forward(self, sequences: PackedSequence) -> torch.Tensor:
        return self.head(self.trunk(sequences.data))


class Named(Net):
    """Takes the loader's dict as it is."""

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.head(self.pooled(batch["image"])) * batch["weight"][:, None]


def images(generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    sizes = [(3, 6 + number % 3, 8) for number in range(48)]
    return tuple(drawn(1, *size)(generator)[0] for size in sizes)


def graph(generator: torch.Generator) -> dict[str, torch.Tensor]:
    nodes = int(torch.randint(120, 160, (1,), generator=generator))
    edges = torch.randint(nodes, (2, 3 * nodes), generator=generator)
    return {"x": drawn(nodes, 3)(generator), "edge_index": edges}


def padded(generator: torch.Generator) -> dict[str, torch.Tensor]:
    lengths = torch.randint(12, 30, (48,), generator=generator)
    mask = (torch.arange(30) < lengths[:, None]).float()
    return {"sound": drawn(48, 3, 30)(generator) * mask[:, None], "mask": mask}


def rated(generator: torch.Generator) -> dict[str, torch.Tensor]:
    return {"user": torch.randint(50, (64,), generator=generator), "features": drawn(64, 4)(generator)}


def sequences(generator: torch.Generator) -> PackedSequence:
    return pack_sequence([drawn(1, 30 - number, 3)(generator)[0] for number in range(8)])


def above(said: torch.Tensor) -> torch.Tensor:
    """0 or 1, each for half of the samples or so."""
    return (said > said.median(0).values).float()


def numbers(said: Any) -> Any:
    return said


def rare(said: torch.Tensor) -> torch.Tensor:
    """Two classes by position, one of which is rare."""
    return said.argmax(1)


def with_void(said: torch.Tensor) -> torch.Tensor:
    labels = said.argmax(1)
    labels[:, 0] = 255
    return labels


IMAGE = drawn(64, 3, 8, 8)
KINDS: dict[str, Kind] = {
    "classes": Kind(lambda: Net(blocks(3)), IMAGE),
    "segmentation": Kind(lambda: Positions(blocks(3), 2), drawn(32, 3, 8, 8), rare),
    "segmentation with void": Kind(lambda: Positions(blocks(3)), drawn(32, 3, 8, 8), with_void),
    "multi-label": Kind(lambda: Net(blocks(3), 5), IMAGE, above),
    "detection": Kind(lambda: Detector(blocks(3)), images, None, lambda given, _: (given, [{"boxes": 1}] * len(given))),
    "keypoints": Kind(lambda: Net(blocks(3), 6), IMAGE, numbers),
    "denoiser": Kind(lambda: Positions(blocks(3), 3), drawn(32, 3, 8, 8), numbers),
    "generator": Kind(lambda: Generator(blocks(5)), drawn(64, 5), None, lambda given, _: given),
    "discriminator": Kind(lambda: Net(blocks(3), 1), IMAGE, above),
    "siamese": Kind(lambda: Siamese(blocks(3)), lambda g: (IMAGE(g), IMAGE(g)), numbers),
    "metric learning": Kind(lambda: Embedding(blocks(3), 16), IMAGE, lambda said: said.argmax(1) * 7),
    "several tasks": Kind(
        lambda: TwoHeads(blocks(3)), IMAGE, lambda said: {"class": said["class"].argmax(1), "age": said["age"]}
    ),
    "tuple of outputs": Kind(lambda: TwoOutputs(blocks(3)), IMAGE, lambda said: said[0].argmax(1)),
    "graphs": Kind(
        lambda: OnGraph(blocks(3, dims=0)), graph, given=lambda given, labels: {**given, "y": labels}, batches=8
    ),
    "full graph": Kind(lambda: FullGraph(blocks(3, dims=0)), drawn(400, 3), batches=1),
    "padded sound": Kind(lambda: Padded(blocks(3, dims=1)), padded, given=lambda given, labels: {**given, "y": labels}),
    "video": Kind(lambda: Video(blocks(3)), drawn(16, 3, 3, 6, 6), batches=10),
    "recurrent": Kind(lambda: Recurrent(blocks(3, dims=0)), drawn(64, 3, 5)),
    "recommender": Kind(
        lambda: Recommender(blocks(10, dims=0)), rated, above, lambda given, labels: {**given, "label": labels}
    ),
    "transposed": Kind(lambda: Net(blocks(3, dims=1, transposed=True)), drawn(64, 3, 20)),
    "packed": Kind(lambda: Packed(blocks(3, dims=0)), sequences, numbers, batches=20),
    "dict taken whole": Kind(
        lambda: Named(blocks(3)),
        lambda g: {"image": IMAGE(g), "weight": torch.ones(64), "path": ["a.png"] * 64},
        given=lambda given, labels: {**given, "label": labels},
    ),
    "float64": Kind(lambda: Net(blocks(3)), IMAGE, dtype=torch.float64),
    "bfloat16": Kind(lambda: Net(blocks(3)), IMAGE, dtype=torch.bfloat16),
    "channels last": Kind(lambda: Net(blocks(3)).to(memory_format=torch.channels_last), IMAGE),
}


def generator_of(name: str, seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(name.encode()) + seed)


def called(net: nn.Module, given: Any) -> Any:
    """The model called as its own training loop would."""
    if isinstance(given, dict) and not isinstance(net, Named):
        return net(**given)
    return net(*given) if isinstance(net, Siamese) else net(given)


def healthy(name: str) -> tuple[nn.Module, list[Any]]:
    """A model that does its task perfectly by statistics of batches like the ones that are given."""
    kind = KINDS[name]
    torch.manual_seed(zlib.crc32(name.encode()) % 1000)
    net = kind.build()
    with torch.no_grad():
        for norm in norms(net):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
            norm.momentum = None
        net.train()
        other = generator_of(name, 1)
        for _ in range(3 * kind.batches + 5):
            called(net, kind.batch(other))
        for norm in norms(net):
            norm.momentum = 0.1
            norm.num_batches_tracked.fill_(1000)  # enough for the counter not to contradict them
        net.eval()
        spread(net, called(net, kind.batch(other)))
        own = generator_of(name, 2)
        inputs = [kind.batch(own) for _ in range(kind.batches)]
        given = [kind.given(one, None if kind.label is None else kind.label(called(net, one))) for one in inputs]
    return net.to(kind.dtype), given


def spread(net: nn.Module, said: Any) -> None:
    """Standardize the scores of a classifier, so that every class wins now and then."""
    head = getattr(net, "head", None)
    if isinstance(said, tuple):
        said = said[0]
    if not isinstance(said, torch.Tensor) or head is None or said.dim() < 2 or said.shape[1] != head.out_features:
        return
    scores = said.movedim(1, -1).flatten(0, -2)
    head.bias.copy_((head.bias - scores.mean(0)) / scores.std(0))
    head.weight.div_(scores.std(0)[:, None])
