"""What other statistics would do to the predictions, accumulated batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bncheck.data import Labels
from bncheck.evidence import EffectEvidence, TaskEffect
from bncheck.predictions.change import OutputChange
from bncheck.predictions.class_scores import Predictor, class_axis
from bncheck.predictions.deciding import deciding
from bncheck.predictions.heads import judged_by
from bncheck.predictions.hits import Hits
from bncheck.predictions.labels import class_labels, correct
from bncheck.predictions.outputs import floating_outputs, not_finite, read_scores
from bncheck.predictions.pairs import TaskPairs
from bncheck.predictions.remembered import RememberedEffect, pairs_of, remembered_pairs
from bncheck.predictions.tasks.metric import ByMetric, over_batches
from bncheck.predictions.tasks.metric import Metric as Metric
from bncheck.results import Accuracy, FirstOutputJudged, JudgesOneOutput, Note
from bncheck.tensors import torch

STORED, BATCH, RECALIBRATED = "stored", "batch", "recalibrated"
EMBEDDINGS, UNJUDGED = "embeddings", "none"
_SETS = (STORED, BATCH, RECALIBRATED)


class PredictionEffect:
    """Accumulates comparisons of outputs under stored, batch and recalibrated statistics.

    It holds sums, so its memory does not grow with the samples; outputs are kept for a user's metric alone. Two that
    saw different samples are merged. What is pickled leaves the metric behind: it is merged into one that has it.

    Of labels of several outputs each judges its own, and the one that loses most decides; a metric, or a task that was
    chosen, judges the foremost.

    Args:
        output: key or index of the output that is the prediction.
        metric: the user's own, instead of what the task is judged by.
        task: name of the kind of task; without it outputs and labels tell. With `none` labels are not looked at.
    """

    def __init__(self, output: str | None, metric: Metric | None, task: str | None = None) -> None:
        self._output = output
        self._metric = metric
        self._keeps = metric is not None
        self._predictor = Predictor()
        self._change, self._noise = OutputChange(), OutputChange()
        self._hits = {name: Hits() for name in _SETS}
        self._kept: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {name: [] for name in _SETS}
        self._samples = 0
        self._not_finite = [0, 0]
        self._classes: int | None = None
        self._task = task
        self._unjudged = task == UNJUDGED
        self._pairs = TaskPairs(task)
        self._heads: dict[str, PredictionEffect] = {}
        self._notes: tuple[Note, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: everything but the metric."""
        return {**self.__dict__, "_metric": None}

    def add_stored(self, stored: Any, labels: Labels | None) -> None:
        """Take in outputs as shipped, where there is nothing to compare them with."""
        if isinstance(labels, dict):
            for head, own in self._by_heads(stored, labels):
                head.add_stored(stored, own)
            return
        self._score(STORED, self._scores(stored), labels)

    def add_batch(self, output: Any, labels: Labels | None) -> None:
        """Take in outputs under batch statistics."""
        if isinstance(labels, dict):
            for head, own in self._by_heads(output, labels):
                head.add_batch(output, own)
            return
        scores = self._scores(output)
        if scores is not None and labels is not None and self._is_paired:
            self._pairs.add_batch(scores, labels.cpu())
        self._score(BATCH, scores, labels)

    def add_recalibrated(self, stored: Any, recalibrated: Any, labels: Labels | None) -> None:
        """Take in outputs of the same batch as shipped, and under the other fold's statistics."""
        if isinstance(labels, dict):
            for head, own in self._by_heads(stored, labels):
                head.add_recalibrated(stored, recalibrated, own)
            return
        before, after = self._scores(stored), self._scores(recalibrated)
        if before is not None and after is not None and before.shape != after.shape:
            return  # as many boxes as are found: which belongs to which nobody can tell
        if before is not None and after is not None:
            self._samples += len(before) if before.dim() else 1
            self._predictor.settle(before, after)
            self._look_beside(stored, labels)
            for place, one in enumerate((before, after)):
                self._not_finite[place] += not_finite(one, None)
            if labels is not None and self._is_paired:
                self._pairs.add(before, after, labels.cpu())
        self._compare(self._change, before, after, labels)
        self._score(STORED, before, labels)
        self._score(RECALIBRATED, after, labels)

    def add_noise(self, one: Any, other: Any, labels: Labels | None) -> None:
        """Take in outputs of the same batch under the statistics of either fold: what differs is noise."""
        if isinstance(labels, dict):
            for head, own in self._by_heads(one, labels):
                head.add_noise(one, other, own)
            return
        self._compare(self._noise, self._scores(one), self._scores(other), labels)

    def merge(self, other: PredictionEffect) -> None:
        """Take in what another saw of other samples, read in the same way."""
        self._predictor.merge(other._predictor)
        self._change.merge(other._change)
        self._noise.merge(other._noise)
        self._samples += other._samples
        self._not_finite = [one + more for one, more in zip(self._not_finite, other._not_finite, strict=True)]
        self._classes = self._classes or other._classes
        self._notes = self._notes or other._notes
        self._pairs.merge(other._pairs)
        for name in _SETS:
            self._hits[name].merge(other._hits[name])
            self._kept[name] += other._kept[name]
        for name, head in other._heads.items():
            if name not in self._heads:
                self._heads[name] = PredictionEffect(head._output, self._metric, head._task)
            self._heads[name].merge(head)

    def copy(self) -> PredictionEffect:
        """The same state, which then goes on by itself."""
        copied = copy.deepcopy({**self.__dict__, "_metric": None, "_heads": {}})
        twin = PredictionEffect(self._output, self._metric)
        heads = {name: head.copy() for name, head in self._heads.items()}
        twin.__dict__.update(copied | {"_metric": self._metric, "_heads": heads})
        return twin

    def alike(self) -> PredictionEffect:
        """An empty one that judges as this has settled to; by nothing where a metric judges all samples at once."""
        twin = PredictionEffect(self._output, None, UNJUDGED if self._keeps else self._task)
        twin._predictor = Predictor(self._predictor.threshold)
        twin._pairs.task = self._pairs.task
        twin._heads = {name: head.alike() for name, head in self._heads.items()}
        return twin

    def remembered(self) -> RememberedEffect:
        """What it holds, to be kept in a file.

        Raises:
            ValueError: outputs are kept for a metric, which is of all samples at once.
        """
        if self._keeps:
            raise ValueError("outputs that a metric needs are not kept in files")
        return RememberedEffect(
            output=self._output,
            task=self._task,
            threshold=self._predictor.threshold,
            change=self._change,
            noise=self._noise,
            hits=self._hits,
            samples=self._samples,
            not_finite=(self._not_finite[0], self._not_finite[1]),
            classes=self._classes,
            pairs=remembered_pairs(self._pairs),
            heads={name: head.remembered() for name, head in self._heads.items()},
        )

    @classmethod
    def of(cls, kept: RememberedEffect) -> PredictionEffect:
        """What held that; raises `MisfitError` where nothing can have."""
        effect = cls(kept.output, None, kept.task)
        effect._predictor = Predictor(kept.threshold)
        effect._change, effect._noise = kept.change, kept.noise
        effect._hits = {name: kept.hits.get(name, Hits()) for name in _SETS}
        effect._samples, effect._not_finite, effect._classes = kept.samples, list(kept.not_finite), kept.classes
        effect._pairs = pairs_of(kept.pairs)
        effect._heads = {name: cls.of(head) for name, head in kept.heads.items()}
        return effect

    def result(self) -> EffectEvidence | None:
        """The comparison so far; `None` where no output could be compared.

        Raises:
            DataError: the user's metric raised.
        """
        if self._heads:
            found = {name: head.result() for name, head in self._heads.items()}
            known = deciding([replace(one, head=name) for name, one in found.items() if one is not None])
            return None if known is None else replace(known, notes=self._notes)
        if self._change.values == 0 and not any(hits.total for hits in self._hits.values()):
            return None
        return EffectEvidence(
            predictions_changed=self._change.changed_fraction(),
            changed_by_noise=self._noise.changed_fraction(),
            output_change=self._change.relative(),
            output_change_by_noise=self._noise.relative(),
            predictions=self._change.predictions,
            accuracy=self._accuracy(),
            classes=self._classes,
            samples=self._samples or None,
            not_finite=(self._not_finite[0], self._not_finite[1]),
            task=self._task_effect(),
            notes=self._notes,
        )

    def _task_effect(self) -> TaskEffect | None:
        """How well the task is done; by a metric of the user's where there is one."""
        if not self._keeps:
            return self._pairs.effect()
        if not self._kept[RECALIBRATED] or self._metric is None:
            return None
        before, labels = (torch.cat(column) for column in zip(*self._kept[STORED], strict=True))
        after = torch.cat([outputs for outputs, _ in self._kept[RECALIBRATED]])
        if len(before) != len(after):
            return None  # some were compared with nothing
        return ByMetric(self._metric).compared(before, after, labels, self._value(BATCH))

    def _by_heads(
        self, output: Any, labels: dict[str, torch.Tensor]
    ) -> Iterator[tuple[PredictionEffect, torch.Tensor]]:
        """Whatever judges each labelled output, and its labels."""
        judged = judged_by(output, labels, self._output)
        if len(judged) > 1 and (self._keeps or (self._task is not None and not self._unjudged)):
            first, *others = judged
            self._notes = (JudgesOneOutput("metric" if self._keeps else "task", first, tuple(others)),)
        for place, (name, (selector, own)) in enumerate(judged.items()):
            if place and self._keeps:
                return  # a metric takes one output's scores
            if name not in self._heads:
                task = self._task if not place or self._unjudged else None
                self._heads[name] = PredictionEffect(selector, self._metric, task)
            yield self._heads[name], own

    def _look_beside(self, output: Any, labels: torch.Tensor | None) -> None:
        """Note that of several outputs the first is taken for what the labels are of, where nobody has said so."""
        if self._notes or self._output is not None or labels is None or self._unjudged:
            return
        if len(places := floating_outputs(output)) > 1:
            self._notes = (FirstOutputJudged(places[0], len(places)),)

    def _scores(self, output: Any) -> torch.Tensor | None:
        return read_scores(output, self._output)

    def _compare(
        self, change: OutputChange, one: torch.Tensor | None, other: torch.Tensor | None, labels: torch.Tensor | None
    ) -> None:
        if one is None or other is None or one.shape != other.shape:
            return
        change.add(one, other)
        if self._are_embeddings:
            return
        wanted = None if labels is None or self._unjudged else class_labels(labels, one)
        axis = class_axis(one, wanted)
        self._classes = self._classes or (None if axis is None else one.shape[axis])
        predicted = [self._predictor.classes(scores, wanted) for scores in (one, other)]
        if predicted[0] is not None and predicted[1] is not None:
            change.add_predictions(predicted[0], predicted[1])

    @property
    def _is_paired(self) -> bool:
        """Whether samples are scored by a task, rather than by a metric or not at all."""
        return not self._keeps and not self._unjudged

    @property
    def _are_embeddings(self) -> bool:
        """Whether outputs are no decisions, though they look like scores of classes."""
        return self._pairs.task is not None and self._pairs.task.name == EMBEDDINGS

    def _score(self, name: str, scores: torch.Tensor | None, labels: torch.Tensor | None) -> None:
        """Count right predictions under `name`; with a metric, keep what it will need."""
        if scores is None or labels is None or self._unjudged:
            return
        if self._keeps:
            self._kept[name].append((scores, labels))
            return
        if self._are_embeddings:
            return
        wanted = class_labels(labels, scores)
        predicted = self._predictor.classes(scores, wanted)
        found = None if predicted is None else correct(predicted, wanted)
        if found is not None:
            self._hits[name].add(*found)

    def _accuracy(self) -> Accuracy | None:
        values = {name: self._value(name) for name in _SETS}
        return None if all(value is None for value in values.values()) else Accuracy(**values)

    def _value(self, name: str) -> float | None:
        return over_batches(self._metric, self._kept[name]) if self._keeps else self._hits[name].rate()


def merged_effects(one: PredictionEffect, other: PredictionEffect) -> PredictionEffect:
    """What both saw of different samples, read in the same way; neither is changed."""
    merged = one.copy()
    merged.merge(other.copy())
    return merged
