"""Nets trained on pictures that were fed in a known way: what do their files say they were fed?

`python -m benchmarks.diagnosis.training_input [--fashion FOLDER] [--seeds N] [--out FILE]`
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

import bncheck
from benchmarks.diagnosis.pictures import Pictures, pictures_named
from benchmarks.readme import put

STEPS, BATCH, RATE = 120, 32, 0.05
FINETUNED = 40
"""Steps on other pictures, fed in the same way, after which the statistics are of these."""
EACH = 100
"""Files after which a line says how far it is."""
RIGHT, UNKNOWN, WRONG = "right", "not known", "wrong"


@dataclass(frozen=True, slots=True)
class Way:
    """How pixels p in 0..1 are fed: (scale p - mean)/std, channels reversed or not.

    Attributes:
        name: in the table.
        family: what is to be said; `None` where nothing may be, because no such way is known.
        scale, mean, std: constants, red first; `None` for the pictures' own.
        bgr: whether the channels are reversed first.
        gray: whether it is a way for gray pictures too.
    """

    name: str
    family: str | None
    scale: float = 1.0
    mean: tuple[float, ...] | None = (0.0,)
    std: tuple[float, ...] | None = (1.0,)
    bgr: bool = False
    gray: bool = True

    def fed(self, x: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
        """Pixels (N, C, H, W) as they are fed among pictures `of`, whose own constants may be used."""
        x, of = ((pixels.flip(1) if self.bgr else pixels) * self.scale for pixels in (x, of))
        mean = of.mean((0, 2, 3)) if self.mean is None else torch.tensor(self.mean)
        std = of.std((0, 2, 3)) if self.std is None else torch.tensor(self.std)
        return (x - mean.reshape(1, -1, 1, 1)) / std.reshape(1, -1, 1, 1)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))
WAYS = (
    Way("0..1", "0..1"),
    Way("0..1, BGR", "0..1", bgr=True, gray=False),
    Way("0..255", "0..255", 255.0),
    Way("0..255, BGR", "0..255", 255.0, bgr=True, gray=False),
    Way("-1..1", "-1..1", 1.0, (0.5,), (0.5,)),
    Way("-1..1, BGR", "-1..1", 1.0, (0.5,), (0.5,), bgr=True, gray=False),
    Way("ImageNet's mean and std", "standardised", 1.0, *IMAGENET, gray=False),
    Way("CIFAR-10's mean and std", "standardised", 1.0, *CIFAR, gray=False),
    Way("the pictures' own mean and std", "standardised", 1.0, None, None),
    Way("0..255 less a mean, BGR", "0..255 less a mean", 255.0, (103.53, 116.28, 123.675), bgr=True, gray=False),
    Way("-0.5..0.5", None, 1.0, (0.5,)),
    Way("0..16", None, 16.0),
    Way("0..1 divided by 255 again", None, 1 / 255),
)


def plain(channels: int, classes: int) -> nn.Module:
    return _net(nn.Conv2d(channels, 16, 3, stride=2, padding=1, bias=False), 16, classes)


def wide(channels: int, classes: int) -> nn.Module:
    return _net(nn.Conv2d(channels, 32, 5, stride=2, padding=2), 32, classes)


def seven(channels: int, classes: int) -> nn.Module:
    return _net(nn.Conv2d(channels, 24, 7, stride=2, padding=3, bias=False), 24, classes)


def _net(first: nn.Module, width: int, classes: int) -> nn.Module:
    return nn.Sequential(
        first,
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """How a net is built and trained.

    Attributes:
        build: of channels and classes.
        steps: of training; 0 for random weights, whose statistics are kept up all the same.
        crops: whether pictures are shifted by up to 4 pixels, black coming in; `"fed"`: 0 as fed comes in.
        finetuned: on other pictures in the end.
    """

    build: Callable[[int, int], nn.Module]
    steps: int = STEPS
    crops: str = ""
    finetuned: bool = False


KINDS = {
    "3 x 3": Kind(plain),
    "5 x 5, bias": Kind(wide),
    "7 x 7": Kind(seven),
    "random weights": Kind(plain, 0),
    "crops, black border": Kind(plain, crops="black"),
    "crops, zero border": Kind(seven, crops="fed"),
    "fine-tuned": Kind(wide, finetuned=True),
}


def trained(kind: Kind, way: Way, pictures: Pictures, other: Pictures, seed: int) -> nn.Module:
    """A net of that kind whose pictures were fed so, in eval mode."""
    torch.manual_seed(seed)
    net = kind.build(pictures.channels, max(pictures.classes, other.classes)).train()
    _train(net, kind, way, pictures, kind.steps)
    if kind.finetuned:
        for norm in (module for module in net.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.num_batches_tracked.zero_()
        _train(net, kind, way, other, FINETUNED)
    return net.eval()


def _train(net: nn.Module, kind: Kind, way: Way, pictures: Pictures, steps: int) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)
    black = way.fed(torch.zeros(1, pictures.channels, 1, 1), pictures.x)
    fed = way.fed(pictures.x, pictures.x)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps or STEPS)
    for _ in range(steps or STEPS):
        chosen = torch.randint(len(fed), (BATCH,))
        x = fed[chosen]
        if kind.crops:
            x = _shifted(x, black if kind.crops == "black" else torch.zeros_like(black))
        loss = nn.functional.cross_entropy(net(x), pictures.y[chosen])
        if steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()


def _shifted(x: torch.Tensor, border: torch.Tensor) -> torch.Tensor:
    """Random crops of 4 pixels of padding, a few different ones a batch."""
    _, _, height, width = x.shape
    padded = border.expand(len(x), -1, height + 8, width + 8).clone()
    padded[:, :, 4:-4, 4:-4] = x
    parts = []
    for part in padded.split(8):
        top, left = torch.randint(9, (2,)).tolist()
        parts.append(part[:, :, top : top + height, left : left + width])
    return torch.cat(parts)


def faults(net: nn.Module, pictures: Pictures, way: Way, seed: int) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """State dicts of the net whose first statistics are wrong, so that nothing may be said of the input."""
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    mean, var = state["1.running_mean"], state["1.running_var"]
    rng = np.random.default_rng(seed)
    order = torch.from_numpy(rng.permutation(len(mean)))
    ones, zeros = torch.ones_like(var), torch.zeros_like(mean)
    second = state["4.running_mean"][: len(mean)], state["4.running_var"][: len(mean)]
    planted = {
        "never updated": (zeros, ones),
        "means initial": (zeros, var),
        "variances initial": (mean, ones),
        "dummy forwards": (zeros, torch.full_like(var, 0.9**7)),
        "channels in another order": (mean[order], var[order]),
        "another layer's": second,
        "means are noise": (mean + 2 * var.sqrt() * torch.from_numpy(rng.normal(size=len(mean))).float(), var),
        "variances are noise": (mean, var * torch.from_numpy(np.exp(1.5 * rng.normal(size=len(mean)))).float()),
        "measured on noise": _on(net, torch.randn(256, *pictures.x.shape[1:])),
    }
    for kept in (0.9, 0.5, 0.2):  # the share that the initial values still have
        planted[f"initial values still {kept:.0%}"] = ((1 - kept) * mean, kept + (1 - kept) * var)
    for name, (means, variances) in planted.items():
        if len(means) == len(mean):
            yield name, {**state, "1.running_mean": means, "1.running_var": variances}


@torch.no_grad()
def _on(net: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    seen = net[0](x)  # type: ignore[index]
    return seen.mean((0, 2, 3)), seen.var((0, 2, 3))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one file said: what it should, nothing, or something else; and of the order of its colours likewise."""

    pictures: str
    way: str
    kind: str
    family: str
    order: str


def outcome_of(state: dict[str, torch.Tensor] | nn.Module, pictures: Pictures, way: Way, kind: str) -> Outcome:
    """What a file says, against what is true."""
    net = state if isinstance(state, nn.Module) else _loaded(state, pictures, kind)
    said = bncheck.inspect(net).run.training_input
    family = UNKNOWN if said is None else (RIGHT if said.family == way.family else WRONG)
    if said is None or said.order is None:
        order = UNKNOWN
    else:
        order = RIGHT if said.order == ("bgr" if way.bgr else "rgb") else WRONG
    return Outcome(pictures.name, way.name, kind, family, order)


def _loaded(state: dict[str, torch.Tensor], pictures: Pictures, kind: str) -> nn.Module:
    channels = state["0.weight"].shape[1]
    net = KINDS[kind.partition(": ")[0]].build(channels, len(state["8.bias"]))
    net.load_state_dict(state)
    return net.eval()


def outcomes(names: list[str], fashion: Path | None, seeds: range) -> Iterator[Outcome]:
    """Every net, and every fault planted into some."""
    for seed in seeds:
        for name in names:
            pictures = pictures_named(name, seed, fashion)
            other = pictures_named(pictures.beside, seed + 1, fashion)
            for way in WAYS if pictures.channels == 3 else (way for way in WAYS if way.gray):
                for kind_name, kind in KINDS.items():
                    net = trained(kind, way, pictures, other, seed)
                    yield outcome_of(net, pictures, way, kind_name)
                    if kind_name in ("3 x 3", "7 x 7"):
                        for fault, state in faults(net, pictures, way, seed):
                            yield outcome_of(state, pictures, way, f"{kind_name}: {fault}")


def page(found: list[Outcome], command: str) -> str:
    """The tables: by what was fed, by kind of net, by fault."""
    healthy = [one for one in found if ": " not in one.kind]
    faulty = [one for one in found if ": " in one.kind]
    lines = [f"Made by `{command}`: {len(healthy)} healthy files, {len(faulty)} with faulty statistics.", ""]
    lines += _table("fed", healthy, lambda one: f"{one.pictures}: {one.way}")
    lines += ["", *_table("net", healthy, lambda one: one.kind)]
    if faulty:
        lines += ["", *_table("faulty statistics", faulty, lambda one: one.kind.partition(": ")[2])]
    return "\n".join(lines)


def _table(title: str, found: list[Outcome], key: Callable[[Outcome], str]) -> Iterator[str]:
    yield f"| {title} | files | right | not known | wrong | order right | order not known | order wrong |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in dict.fromkeys(map(key, found)):
        some = [one for one in found if key(one) == name]
        family, order = (Counter(getattr(one, field) for one in some) for field in ("family", "order"))
        counted = (counts[what] for counts in (family, order) for what in (RIGHT, UNKNOWN, WRONG))
        yield f"| {name} | {len(some)} | {' | '.join(map(str, counted))} |"
    family, order = (Counter(getattr(one, field) for one in found) for field in ("family", "order"))
    counted = (counts[what] for counts in (family, order) for what in (RIGHT, UNKNOWN, WRONG))
    yield f"| all | {len(found)} | {' | '.join(map(str, counted))} |"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST as .npz")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--from-seed", type=int, default=0, help="the first seed; another than 0 has a section of its own"
    )
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    names = ["photographs", "coloured noise", "digits", *(["Fashion-MNIST"] if given.fashion else [])]
    found = []
    for one in outcomes(names, given.fashion, range(given.from_seed, given.from_seed + given.seeds)):
        found.append(one)
        if WRONG in (one.family, one.order):
            print(one, file=sys.stderr, flush=True)
        elif len(found) % EACH == 0:
            print(f"{len(found)} files: {one.pictures}, {one.way}", file=sys.stderr, flush=True)
    shown = [option if not option.startswith("/") else "FOLDER" for option in arguments]
    text = page(found, " ".join(["python -m benchmarks.diagnosis.training_input", *shown]))
    if given.out:
        section = "other nets" if given.from_seed else "nets"
        given.out.write_text(put(given.out.read_text("utf-8"), section, f"{text}\n"), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
