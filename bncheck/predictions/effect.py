"""What other statistics would do to the predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from bncheck.errors import DataError
from bncheck.evidence import EffectEvidence
from bncheck.predictions.outputs import Predictor, choose_output, class_labels, correct, probabilities
from bncheck.predictions.tallies import Hits, Information, OutputChange
from bncheck.results.report import Accuracy
from bncheck.user_code import user_output_to_stderr

Metric = Callable[[torch.Tensor, torch.Tensor], float]
"""`metric(outputs, labels) -> number`, larger is better, over all samples at once."""


class EffectMeter:
    """Accumulates comparisons of outputs, batch by batch; outputs are kept only for a user's metric."""

    def __init__(self, output: str | None, metric: Metric | None) -> None:
        self._output = output
        self._metric = metric
        self._predictor = Predictor()
        self._change = OutputChange()
        self._noise = OutputChange()
        self._before = Information()
        self._after = Information()
        self._hits: dict[str, Hits] = {name: Hits() for name in ("stored", "batch", "recalibrated")}
        self._kept: dict[str, list[torch.Tensor]] = {name: [] for name in self._hits}
        self._labels: dict[str, list[torch.Tensor]] = {name: [] for name in self._hits}
        self._losses = 0
        self._squared_gains = 0.0

    def add_stored(self, stored: Any, labels: torch.Tensor | None) -> None:
        """Outputs as shipped, where there is nothing to compare them with."""
        self._score("stored", self._scores(stored), labels)

    def add_batch(self, output: Any, labels: torch.Tensor | None) -> None:
        """Outputs under batch statistics."""
        self._score("batch", self._scores(output), labels)

    def add_recalibrated(self, stored: Any, recalibrated: Any, labels: torch.Tensor | None) -> None:
        """Outputs of the same batch as shipped, and under the other fold's statistics."""
        before, after = self._scores(stored), self._scores(recalibrated)
        self._change += OutputChange.of(before, after, *self._classes(before, after, labels))
        self._before += self._information(before, labels)
        self._after += self._information(after, labels)
        right_before = self._score("stored", before, labels)
        right_after = self._score("recalibrated", after, labels)
        if right_before is not None and right_after is not None:
            self._losses += int((right_before & ~right_after).sum())
            # The pixels of one sample are no independent predictions: its net gain counts once.
            gains = (right_after.long() - right_before.long()).reshape(len(right_after), -1).sum(1)
            self._squared_gains += float(gains.double().square().sum())

    def add_noise(self, one: Any, other: Any, labels: torch.Tensor | None) -> None:
        """Outputs of the same batch under the statistics of either fold: what differs is noise."""
        a, b = self._scores(one), self._scores(other)
        self._noise += OutputChange.of(a, b, *self._classes(a, b, labels))

    def merge(self, other: EffectMeter) -> EffectMeter:
        """The comparisons of both, of different batches; neither is changed."""
        merged = EffectMeter(self._output, self._metric)
        merged._predictor = self._predictor.merge(other._predictor)
        merged._change = self._change + other._change
        merged._noise = self._noise + other._noise
        merged._before = self._before + other._before
        merged._after = self._after + other._after
        merged._hits = {name: hits + other._hits[name] for name, hits in self._hits.items()}
        merged._kept = {name: [*kept, *other._kept[name]] for name, kept in self._kept.items()}
        merged._labels = {name: [*kept, *other._labels[name]] for name, kept in self._labels.items()}
        merged._losses = self._losses + other._losses
        merged._squared_gains = self._squared_gains + other._squared_gains
        return merged

    def result(self) -> EffectEvidence | None:
        """The comparison so far; `None` where no output could be compared."""
        if self._change.values == 0 and not any(hits.total for hits in self._hits.values()):
            return None
        accuracy = self._accuracy()
        total = self._hits["recalibrated"].total
        paired = accuracy is not None and self._metric is None and total > 0
        gain = None
        if accuracy is not None and accuracy.recalibrated is not None and accuracy.stored is not None:
            gain = accuracy.recalibrated - accuracy.stored
        return EffectEvidence(
            predictions_changed=self._change.changed_fraction,
            changed_by_noise=self._noise.changed_fraction,
            output_change=self._change.relative,
            output_change_by_noise=self._noise.relative,
            predictions=self._change.predictions,
            accuracy=accuracy,
            gain=gain,
            gain_error=math.sqrt(self._squared_gains) / total if paired else None,
            classes=self._before.classes,
            lost=self._losses / total if paired else None,
            information=self._before.nats,
            information_recalibrated=self._after.nats,
        )

    def _information(self, scores: torch.Tensor | None, labels: torch.Tensor | None) -> Information:
        if scores is None:
            return Information()
        return Information.of(probabilities(scores, None if labels is None else class_labels(labels, scores)))

    def _scores(self, output: Any) -> torch.Tensor | None:
        scores = choose_output(output, self._output)
        return None if scores is None else scores.detach().float().cpu()

    def _classes(
        self, one: torch.Tensor | None, other: torch.Tensor | None, labels: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        if one is None or other is None:
            return None, None
        wanted = None if labels is None else class_labels(labels, one)
        return self._predictor.classes(one, wanted), self._predictor.classes(other, wanted)

    def _score(self, name: str, scores: torch.Tensor | None, labels: torch.Tensor | None) -> torch.Tensor | None:
        """Count right predictions under `name`; with a metric, keep what it will need."""
        if scores is None or labels is None:
            return None
        if self._metric is not None:
            self._kept[name].append(scores)
            self._labels[name].append(labels)
            return None
        wanted = class_labels(labels, scores)
        predicted = self._predictor.classes(scores, wanted)
        found = None if predicted is None else correct(predicted, wanted)
        if found is None:
            return None
        right, counted = found
        self._hits[name] += Hits(int(right.sum()), int(counted.sum()))
        return right

    def _accuracy(self) -> Accuracy | None:
        values = {name: self._value(name) for name in self._hits}
        if all(value is None for value in values.values()):
            return None
        return Accuracy(**values)

    def _value(self, name: str) -> float | None:
        if self._metric is None:
            return self._hits[name].rate
        if not self._kept[name]:
            return None
        try:
            with user_output_to_stderr():
                return float(self._metric(torch.cat(self._kept[name]), torch.cat(self._labels[name])))
        except (Exception, SystemExit) as error:
            raise DataError(f"--metric: {type(error).__name__}: {error}") from error
