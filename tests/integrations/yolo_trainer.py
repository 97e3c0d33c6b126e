"""A trainer with the interface that Ultralytics documents for callbacks, and its order of events.

Ultralytics is not installed where the tests run. What is followed here: the events of a run and when metrics are
written, validated and logged; the moving average that is validated; validation batches of bytes under "img", in sizes
that differ from batch to batch; a loader with one iterator for all epochs; the last event of the final evaluation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

EVENTS = ("on_train_start", "on_train_epoch_start", "on_train_epoch_end", "on_fit_epoch_end", "on_train_end")
BATCH = 16


class Images(Dataset[dict[str, Any]]):
    """Labelled images of bytes; rectangular, each batch of neighbours has a size of its own."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, *, rectangular: bool = False) -> None:
        self.images, self.labels, self.rectangular = images, labels, rectangular

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        rows = 4 * (index // BATCH % 3) if self.rectangular else 0
        padded = nn.functional.pad(self.images[index], (0, 0, 0, rows))
        return {"img": padded, "cls": self.labels[index], "im_file": f"{index}.jpg"}

    @staticmethod
    def collate_fn(items: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "img": torch.stack([each["img"] for each in items]),
            "cls": torch.stack([each["cls"] for each in items]),
            "im_file": tuple(each["im_file"] for each in items),
        }


class EndlessLoader(DataLoader[Any]):
    """One iterator that goes on for ever; each pass takes as many batches of it as the data have."""

    def __init__(self, dataset: Images, shuffle: bool) -> None:
        super().__init__(dataset, batch_size=BATCH, shuffle=shuffle, collate_fn=dataset.collate_fn)
        self.endless = self._endless()

    def _endless(self) -> Iterator[Any]:
        while True:
            yield from super().__iter__()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return (next(self.endless) for _ in range(len(self)))


class Trainer:
    def __init__(
        self, model: nn.Module, train: Images, held_out: Images, callbacks: dict[str, list[Any]], **args: Any
    ) -> None:
        self.args = SimpleNamespace(**{"val": True, "epochs": 2, "save_dir": Path(), **args})
        self.model, self.ema = model, SimpleNamespace(ema=deepcopy(model).eval(), updates=0)
        self.train_loader, self.test_loader = EndlessLoader(train, shuffle=True), EndlessLoader(held_out, shuffle=False)
        self.metrics: dict[str, float] = {"val/loss": 0.0}
        self.epoch = 0
        self.csv = self.args.save_dir / "results.csv"
        self.callbacks = defaultdict(list, {event: list(called) for event, called in callbacks.items()})
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.callbacks["on_fit_epoch_end"].append(lambda trainer: trainer.log())  # its loggers come after the script's
        self.validated: list[str] = []

    def log(self) -> None:
        self.logged.append((self.epoch + 1, dict(self.metrics)))

    def run_callbacks(self, event: str) -> None:
        for callback in self.callbacks[event]:
            callback(self)

    def preprocess(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        return batch["img"].float() / 255, batch["cls"]

    def train(self) -> None:
        optimizer = torch.optim.SGD(self.model.parameters(), 0.1)
        self.run_callbacks("on_train_start")
        for epoch in range(self.args.epochs):
            self.epoch = epoch
            self.run_callbacks("on_train_epoch_start")
            self.model.train()
            for batch in self.train_loader:
                images, labels = self.preprocess(batch)
                optimizer.zero_grad()
                nn.functional.cross_entropy(self.model(images), labels).backward()
                optimizer.step()
                self._average()
            self.run_callbacks("on_train_epoch_end")
            if self.args.val or self.epoch + 1 == self.args.epochs:
                self.metrics = self.validate()
            self._save_metrics()
            self.run_callbacks("on_fit_epoch_end")
        self.metrics = self.validate()  # of the best checkpoint
        self.run_callbacks("on_fit_epoch_end")
        self.run_callbacks("on_train_end")

    def validate(self) -> dict[str, float]:
        losses = []
        with torch.inference_mode():
            for batch in self.test_loader:
                self.validated.append(batch["im_file"][0])
                images, labels = self.preprocess(batch)
                losses.append(float(nn.functional.cross_entropy(self.ema.ema(images), labels)))
        return {"val/loss": sum(losses) / len(losses)}

    def _average(self) -> None:
        """Parameters and statistics move together, with a decay that grows."""
        self.ema.updates += 1
        decay = 0.9 * (1 - 0.5**self.ema.updates)
        given = self.model.state_dict()
        for name, value in self.ema.ema.state_dict().items():
            if value.is_floating_point():
                value.mul_(decay).add_(given[name].detach(), alpha=1 - decay)

    def _save_metrics(self) -> None:
        head = "" if self.csv.exists() else ",".join(("epoch", *self.metrics)) + "\n"
        row = ",".join(map(str, (self.epoch + 1, *self.metrics.values())))
        with self.csv.open("a") as file:
            file.write(f"{head}{row}\n")


class YOLO:
    """What a script holds: callbacks are added to it, and `train` makes the trainer that gets them."""

    def __init__(self, net: nn.Module, train: Images, val: Images) -> None:
        self.net, self.data = net, (train, val)
        self.callbacks: dict[str, list[Callable[[Any], None]]] = {event: [] for event in EVENTS}
        self.trainer: Trainer | None = None

    def add_callback(self, event: str, callback: Callable[[Any], None]) -> None:
        self.callbacks[event].append(callback)

    def train(self, **args: Any) -> None:
        self.trainer = Trainer(self.net, *self.data, self.callbacks, **args)
        self.trainer.train()
