"""What other statistics would do to the predictions, accumulated batch by batch."""

from __future__ import annotations

import copy
from typing import Any

import torch

from bncheck.evidence import EffectEvidence
from bncheck.predictions.change import OutputChange
from bncheck.predictions.class_scores import Predictor, probabilities
from bncheck.predictions.hits import Hits, PairedHits
from bncheck.predictions.information import MutualInformation
from bncheck.predictions.labels import class_labels, correct
from bncheck.predictions.outputs import read_scores
from bncheck.predictions.pairs import TaskComparison, TaskPairs
from bncheck.predictions.tasks.metric import ByMetric
from bncheck.predictions.tasks.metric import Metric as Metric
from bncheck.results import Accuracy

STORED, BATCH, RECALIBRATED = "stored", "batch", "recalibrated"
_SETS = (STORED, BATCH, RECALIBRATED)


class PredictionEffect:
    """Accumulates comparisons of outputs under stored, batch and recalibrated statistics.

    It holds sums, so its memory does not grow with the samples; outputs are kept only for a user's metric, which is
    of all samples at once. Two that saw different samples are merged. It can be pickled; the metric stays behind, since
    a function need not be picklable: what comes out is to be merged into one that has it.

    Args:
        output: key or index of the output that is the prediction.
        metric: the user's own, instead of top-1 accuracy.
        task: name of the kind of task; without it outputs and labels tell.
    """

    def __init__(self, output: str | None, metric: Metric | None, task: str | None = None) -> None:
        self._output = output
        self._metric = metric
        self._keeps = metric is not None
        self._predictor = Predictor()
        self._change, self._noise = OutputChange(), OutputChange()
        self._before, self._after = MutualInformation(), MutualInformation()
        self._hits = {name: Hits() for name in _SETS}
        self._kept: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {name: [] for name in _SETS}
        self._paired = PairedHits()
        self._pairs = TaskPairs(task)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: everything but the metric."""
        return {**self.__dict__, "_metric": None}

    def add_stored(self, stored: Any, labels: torch.Tensor | None) -> None:
        """Take in outputs as shipped, where there is nothing to compare them with."""
        self._score(STORED, self._scores(stored), labels)

    def add_batch(self, output: Any, labels: torch.Tensor | None) -> None:
        """Take in outputs under batch statistics."""
        self._score(BATCH, self._scores(output), labels)

    def add_recalibrated(self, stored: Any, recalibrated: Any, labels: torch.Tensor | None) -> None:
        """Take in outputs of the same batch as shipped, and under the other fold's statistics."""
        before, after = self._scores(stored), self._scores(recalibrated)
        self._compare(self._change, before, after, labels)
        self._inform(before, after, labels)
        right_before = self._score(STORED, before, labels)
        right_after = self._score(RECALIBRATED, after, labels)
        if right_before is not None and right_after is not None:
            self._paired.add(right_before, right_after)
        if before is not None and after is not None and labels is not None and not self._keeps:
            self._pairs.add(before, after, labels.cpu())

    def add_noise(self, one: Any, other: Any, labels: torch.Tensor | None) -> None:
        """Take in outputs of the same batch under the statistics of either fold: what differs is noise."""
        self._compare(self._noise, self._scores(one), self._scores(other), labels)

    def merge(self, other: PredictionEffect) -> None:
        """Take in what another saw of other samples, read in the same way."""
        self._predictor.merge(other._predictor)
        self._change.merge(other._change)
        self._noise.merge(other._noise)
        self._before.merge(other._before)
        self._after.merge(other._after)
        self._paired.merge(other._paired)
        self._pairs.merge(other._pairs)
        for name in _SETS:
            self._hits[name].merge(other._hits[name])
            self._kept[name] += other._kept[name]

    def copy(self) -> PredictionEffect:
        """The same state, which then goes on by itself."""
        copied = copy.deepcopy({**self.__dict__, "_metric": None})
        twin = PredictionEffect(self._output, self._metric)
        twin.__dict__.update(copied | {"_metric": self._metric})
        return twin

    def result(self) -> EffectEvidence | None:
        """The comparison so far; `None` where no output could be compared.

        Raises:
            DataError: the user's metric raised.
        """
        if self._change.values == 0 and not any(hits.total for hits in self._hits.values()):
            return None
        accuracy = self._accuracy()
        total = self._hits[RECALIBRATED].total
        paired = accuracy is not None and not self._keeps and total > 0
        gain = None
        if accuracy is not None and accuracy.recalibrated is not None and accuracy.stored is not None:
            gain = accuracy.recalibrated - accuracy.stored
        return EffectEvidence(
            predictions_changed=self._change.changed_fraction(),
            changed_by_noise=self._noise.changed_fraction(),
            output_change=self._change.relative(),
            output_change_by_noise=self._noise.relative(),
            predictions=self._change.predictions,
            accuracy=accuracy,
            gain=gain,
            gain_error=self._paired.gain_error(total) if paired else None,
            classes=self._before.classes(),
            lost=self._paired.lost / total if paired else None,
            information=self._before.nats(),
            information_recalibrated=self._after.nats(),
        )

    def comparison(self) -> TaskComparison | None:
        """Scores and losses as shipped against recalibrated, sample by sample; `None` where no task was recognised.

        With a metric of the user's the samples are judged by it one at a time, which calls it twice for each of them.
        """
        if self._metric is None:
            return self._pairs.comparison()
        pairs = TaskPairs(task=ByMetric(self._metric))
        for (before, labels), (after, _) in zip(self._kept[STORED], self._kept[RECALIBRATED], strict=False):
            pairs.add(before, after, labels)
        return pairs.comparison()

    def _inform(self, before: torch.Tensor | None, after: torch.Tensor | None, labels: torch.Tensor | None) -> None:
        for scores, information in ((before, self._before), (after, self._after)):
            if scores is not None:
                wanted = None if labels is None else class_labels(labels, scores)
                information.add(probabilities(scores, wanted))

    def _scores(self, output: Any) -> torch.Tensor | None:
        return read_scores(output, self._output)

    def _compare(
        self,
        change: OutputChange,
        one: torch.Tensor | None,
        other: torch.Tensor | None,
        labels: torch.Tensor | None,
    ) -> None:
        if one is None or other is None:
            return
        change.add(one, other)
        wanted = None if labels is None else class_labels(labels, one)
        predicted = [self._predictor.classes(scores, wanted) for scores in (one, other)]
        if predicted[0] is not None and predicted[1] is not None:
            change.add_predictions(predicted[0], predicted[1])

    def _score(self, name: str, scores: torch.Tensor | None, labels: torch.Tensor | None) -> torch.Tensor | None:
        """Count right predictions under `name`; with a metric, keep what it will need."""
        if scores is None or labels is None:
            return None
        if self._keeps:
            self._kept[name].append((scores, labels))
            return None
        wanted = class_labels(labels, scores)
        predicted = self._predictor.classes(scores, wanted)
        found = None if predicted is None else correct(predicted, wanted)
        if found is None:
            return None
        right, counted = found
        self._hits[name].add(right, counted)
        return right

    def _accuracy(self) -> Accuracy | None:
        values = {name: self._value(name) for name in _SETS}
        if all(value is None for value in values.values()):
            return None
        return Accuracy(**values)

    def _value(self, name: str) -> float | None:
        if not self._keeps:
            return self._hits[name].rate()
        if not self._kept[name]:
            return None
        if self._metric is None:
            raise ValueError("the metric stayed behind when this was pickled: merge it into one that has it")
        outputs, labels = (torch.cat(column) for column in zip(*self._kept[name], strict=True))
        return ByMetric(self._metric).over_all(outputs, labels)


def merged_effects(one: PredictionEffect, other: PredictionEffect) -> PredictionEffect:
    """What both saw of different samples, read in the same way; neither is changed."""
    merged = one.copy()
    merged.merge(other.copy())
    return merged
