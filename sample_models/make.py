"""Train and write the sample models: a healthy one, and one for every planted defect.

    python sample_models/make.py [FOLDER]

Everything is seeded and comes from scikit-learn's digits (real scans, 8x8, carried by the package).
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from digits_net import DigitsNet
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

TRAINING = 1200
EPOCHS = 12
BATCH = 32
State = dict[str, torch.Tensor]


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Images (1797, 1, 8, 8) in 0..1 and labels, shuffled."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = torch.tensor(data.images[order] / 16.0, dtype=torch.float32).unsqueeze(1)
    return images, torch.tensor(data.target[order])


def train(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    epochs: int = EPOCHS,
    rate: float = 0.05,
    one_class: bool = False,
) -> list[State]:
    """SGD with momentum; returns the state after every epoch.

    With `one_class` every batch holds samples of a single class, as a loader sorted by class gives them.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    generator = torch.Generator().manual_seed(1)
    states = []
    model.train()
    for _ in range(epochs):
        for batch in _batches(y, generator, one_class):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        schedule.step()
        states.append(copy.deepcopy(model.state_dict()))
    model.eval()
    return states


def _batches(y: torch.Tensor, generator: torch.Generator, one_class: bool) -> list[torch.Tensor]:
    order = torch.randperm(len(y), generator=generator)
    if not one_class:
        return list(order.split(BATCH))[: len(y) // BATCH]
    batches = [part for label in range(10) for part in order[y[order] == label].split(16) if len(part) == 16]
    return [batches[index] for index in torch.randperm(len(batches), generator=generator)]


def with_statistics_of(weights: State, statistics: State) -> State:
    """The weights of one state, the running statistics of another."""
    return {name: (statistics if "running_" in name else weights)[name].clone() for name in weights}


def never_updated(state: State) -> State:
    """Averaged weights are often saved so: trained parameters, initial statistics."""
    fresh = DigitsNet().state_dict()
    return {name: (fresh if "running_" in name or "num_batches" in name else state)[name].clone() for name in state}


def tampered(state: State, layer: str) -> State:
    """One layer's channels in the wrong order, as a conversion that mixes up tensors leaves them."""
    broken = copy.deepcopy(state)
    for name in ("running_mean", "running_var"):
        broken[f"{layer}.{name}"] = broken[f"{layer}.{name}"].flip(0)
    return broken


def loaded(state: State) -> DigitsNet:
    """A network in eval mode that holds `state`."""
    model = DigitsNet()
    model.load_state_dict(state)
    return model.eval()


def pickled_net() -> nn.Sequential:
    """Built-in layers only, so that its pickle names no class of ours."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )


def write_all(folder: Path) -> None:
    """Write every sample and both data files into `folder`."""
    x, y = digits()
    for name, part in (("train", slice(0, TRAINING)), ("eval", slice(TRAINING, None))):
        np.savez_compressed(folder / f"digits_{name}.npz", x=x[part].numpy(), y=y[part].numpy())
    x, y = x[:TRAINING], y[:TRAINING]

    torch.manual_seed(0)
    epochs = train(model := DigitsNet(), x, y)
    healthy = model.state_dict()
    torch.save(healthy, folder / "healthy.pt")

    stale = with_statistics_of(healthy, epochs[0])
    lightning = {
        "pytorch-lightning_version": "2.5.0",
        "epoch": EPOCHS,
        "state_dict": {f"model.{name}": value for name, value in stale.items()},
    }
    torch.save(lightning, folder / "stale_statistics.ckpt")

    torch.jit.script(loaded(never_updated(healthy))).save(str(folder / "never_updated.torchscript.pt"))

    parameters = {name: value for name, value in healthy.items() if name.endswith((".weight", ".bias"))}
    save_file(parameters, folder / "missing_statistics.safetensors")

    broken = copy.deepcopy(healthy)
    broken["blocks.1.bn.running_var"][3] = float("nan")
    _export(loaded(broken), folder / "nan_statistics.pt2")

    negative = copy.deepcopy(healthy)
    negative["blocks.2.body.0.bn.running_var"][5] = -0.25
    prefixed = {f"module.{name}": value for name, value in negative.items()}
    torch.save(prefixed, folder / "negative_variance.pth", _use_new_zipfile_serialization=False)

    _sharded(tampered(healthy, "blocks.1.bn"), folder, "tampered_layer")

    torch.manual_seed(1)
    train(raw := pickled_net(), x * 16, y)
    torch.save(raw, folder / "unscaled_input.pickled.pt")

    torch.manual_seed(2)
    train(sorted_model := DigitsNet(), x, y, epochs=12, rate=0.005, one_class=True)
    torch.save({"epoch": 6, "model": sorted_model.state_dict()}, folder / "one_class_batches.pt")

    torch.jit.freeze(torch.jit.script(loaded(healthy))).save(str(folder / "folded.torchscript.pt"))


def _export(model: nn.Module, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(model, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names the paths of the machine that wrote the file
    torch.export.save(program, path)


def _sharded(state: State, folder: Path, stem: str) -> None:
    """Two shards and an index, as large models are stored."""
    names = sorted(state)
    shards = {f"{stem}-0000{number}-of-00002.safetensors": names[number - 1 :: 2] for number in (1, 2)}
    for file, members in shards.items():
        save_file({name: state[name].contiguous() for name in members}, folder / file)
    index = {
        "metadata": {"total_size": sum(value.numel() * value.element_size() for value in state.values())},
        "weight_map": {name: file for file, members in shards.items() for name in sorted(members)},
    }
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=str(Path(__file__).parent), type=Path)
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
    torch.use_deterministic_algorithms(True)
    write_all(parser.parse_args().folder)
