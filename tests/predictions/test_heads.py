"""Labels of several outputs: which output each is of, and each judged by its own task."""

import pickle

import pytest
import torch

from bncheck.data.batches import Batch
from bncheck.data.forms.targets import labels_of_all, labels_of_batch
from bncheck.errors import DataError, UsageError
from bncheck.predictions.effect import PredictionEffect, merged_effects
from bncheck.predictions.heads import judged_by
from bncheck.predictions.outputs import choose_output, floating_outputs, not_finite
from bncheck.rules.judging.harm import harm_of, is_better
from bncheck.vocabulary import Harm

GENERATOR = torch.Generator().manual_seed(4)
N = 400
SCORES, BOXES = torch.randn(N, 4, generator=GENERATOR), torch.randn(N, 2, generator=GENERATOR)
LABELS = {"box": BOXES, "class": SCORES.argmax(1)}
NOISE = torch.randn(N, 2, generator=GENERATOR)
GOOD = {"class": SCORES, "box": BOXES + 0.1 * NOISE}
BAD_BOX = {"class": SCORES, "box": BOXES + 3 * NOISE}
BAD_CLASS = {"class": SCORES.flip(1), "box": GOOD["box"]}
FEATURES = torch.zeros(N, 3)


def effect_of(before, after, labels=LABELS, output=None, metric=None, task=None):
    """What becomes of the outputs, over four batches."""
    effect = PredictionEffect(output, metric, task)
    for start in range(0, N, 100):
        part = slice(start, start + 100)
        chosen = labels[part] if isinstance(labels, torch.Tensor) else {name: one[part] for name, one in labels.items()}
        one, other = ({name: value[part] for name, value in each.items()} for each in (before, after))
        effect.add_batch(other, chosen)
        effect.add_recalibrated(one, other, chosen)
    return effect


@pytest.mark.parametrize(
    ("output", "labels", "expected"),
    [
        (GOOD, ("box", "class"), {"class": "class", "box": "box"}),
        ((SCORES, BOXES), ("0", "1"), {"0": "0", "1": "1"}),
        ((FEATURES, SCORES, BOXES), ("1", "2"), {"1": "1", "2": "2"}),
        ([SCORES, BOXES], ("class", "box"), {"class": "0", "box": "1"}),
        ((SCORES, N, BOXES), ("class", "box"), {"class": "0", "box": "2"}),
        (GOOD | {"features": FEATURES}, ("class", "weight"), {"class": "class"}),
        (SCORES, ("class", "weight"), {"class": "0"}),
    ],
    ids=["by key", "by index", "by index, one without", "in order", "past what is no tensor", "weights", "one output"],
)
def test_labels_find_their_outputs(output, labels, expected):
    given = {name: LABELS["class"] if name in ("class", "0", "1") else BOXES for name in labels}
    assert {name: selector for name, (selector, _) in judged_by(output, given, None).items()} == expected


def test_the_output_that_counts_is_judged_by_its_labels_alone():
    assert list(judged_by(GOOD, LABELS, "box")) == ["box"]
    assert list(judged_by(GOOD, LABELS, "0")) == ["class"]
    assert list(judged_by((SCORES, BOXES), {"class": LABELS["class"], "box": BOXES}, "1")) == ["box"]
    with pytest.raises(DataError, match="none of them is of that output"):
        judged_by(GOOD | {"features": FEATURES}, LABELS, "features")


def test_labels_that_are_of_no_output_are_refused_with_both_names():
    with pytest.raises(DataError, match="named kind, where, and the model returns the keys class, box, features"):
        judged_by(GOOD | {"features": FEATURES}, {"kind": LABELS["class"], "where": BOXES}, None)


@pytest.mark.parametrize(("before", "head"), [(BAD_BOX, "box"), (BAD_CLASS, "class")])
def test_the_output_that_loses_most_decides_and_all_are_told(before, head):
    effect = effect_of(before, GOOD).result()
    assert (effect.head, harm_of(effect), is_better(effect)) == (head, Harm.LARGE, True)
    assert [(one.head, one.task.task) for one in effect.heads] == [("class", "classes"), ("box", "numbers")]
    other = next(one for one in effect.heads if one.head != head)
    assert other.task.score.gain == 0
    assert effect.foremost.head == "class"


def test_what_helps_one_output_and_ruins_another_is_no_improvement():
    effect = effect_of(BAD_BOX, BAD_CLASS).result()
    assert (effect.head, harm_of(effect)) == ("box", Harm.LARGE)
    assert not is_better(effect)


def test_outputs_of_keys_that_are_numbers_are_chosen_as_they_are_typed():
    outputs = {2: SCORES, 0: BOXES}
    assert choose_output(outputs, "2") is SCORES
    assert choose_output(outputs, "0") is BOXES
    assert choose_output(outputs, "-1") is BOXES  # no key: the last
    assert choose_output(outputs, "1") is BOXES  # no key: by its place
    assert choose_output({"2": BOXES, **outputs}, "2") is BOXES
    assert floating_outputs({None: SCORES, (1, 2): BOXES}) == ["None", "(1, 2)"]
    assert not_finite({None: SCORES, (1, 2): BOXES * torch.nan}, None) == N
    assert {name: of for name, (of, _) in judged_by(outputs, {"2": LABELS["class"]}, None).items()} == {"2": "2"}
    assert list(judged_by(outputs, {"0": BOXES, "2": LABELS["class"]}, "2")) == ["2"]
    for odd in ("--5", "²", "9" * 5000):
        with pytest.raises(UsageError, match="the model returns the keys 2, 0"):
            choose_output(outputs, odd)
        with pytest.raises(DataError, match="none of them is of that output"):
            judged_by(outputs, {"2": LABELS["class"], "0": BOXES}, odd)


def test_outputs_that_can_only_be_stored_are_compared_with_nothing():
    odd = torch.empty(4, 2, dtype=torch.float4_e2m1fn_x2)
    assert choose_output(odd, None) is None
    assert floating_outputs({"odd": odd}) == []
    with pytest.raises(UsageError, match=r"output odd: that output is .* of a type that PyTorch can only store"):
        choose_output({"odd": odd}, "odd")


def test_outputs_of_other_shapes_for_the_same_samples_are_not_compared():
    """As of a detector, which gives as many boxes as it finds."""
    effect = PredictionEffect(None, None)
    effect.add_recalibrated(BOXES[:100], BOXES[:70], None)
    effect.add_recalibrated(SCORES[:100], SCORES[:100, :2], SCORES[:100].argmax(1))
    effect.add_noise(BOXES[:100], BOXES[:70], None)
    assert effect.result() is None
    effect.add_recalibrated(BOXES[:100], BOXES[:100], None)
    assert effect.result().output_change == 0


def test_a_metric_over_outputs_that_cannot_be_put_together_is_refused():
    effect = PredictionEffect(None, lambda outputs, labels: 1.0)
    for width in (2, 3):
        effect.add_recalibrated(SCORES[:10, :width], SCORES[:10, :width], torch.zeros(10, dtype=torch.int64))
    with pytest.raises(DataError, match=r"metric is computed over all samples, .* shapes that cannot be put together"):
        effect.result()


def test_a_metric_or_a_task_that_was_chosen_judges_the_foremost():
    effect = effect_of(BAD_BOX, GOOD, metric=lambda scores, labels: float((scores.argmax(1) == labels).float().mean()))
    assert (effect.result().head, effect.result().task.score.gain) == ("class", 0)
    found = effect_of(BAD_BOX, GOOD, task="embeddings").result()
    assert [one.task.task for one in found.heads] == ["embeddings", "numbers"]
    assert effect_of(BAD_BOX, GOOD, task="none").result().task is None


def accuracy(scores, labels):
    return float((scores.argmax(1) == labels).float().mean())


def test_which_of_several_outputs_was_judged_is_said_with_how_to_choose():
    (note,) = effect_of(BAD_BOX, GOOD, metric=accuracy).result().notes
    assert (note.by, note.output, note.others) == ("metric", "class", ("box",))
    assert "box, which has labels too, is not judged. " in note.sentence
    (note,) = effect_of(BAD_BOX, GOOD, task="embeddings").result().notes
    assert (note.by, note.output) == ("task", "class")
    assert "box, which has labels too, is judged by what outputs and labels look like. " in note.sentence
    (note,) = effect_of(GOOD, GOOD, LABELS["class"]).result().notes
    assert (note.output, note.outputs) == ("class", 2)


@pytest.mark.parametrize(
    ("labels", "how"),
    [
        (LABELS, {}),
        (LABELS, {"output": "box", "metric": lambda boxes, labels: -float((boxes - labels).abs().mean())}),
        (LABELS["class"], {"output": "class", "metric": accuracy}),
        (LABELS, {"task": "none"}),
        ({"class": LABELS["class"]}, {"metric": accuracy}),
    ],
    ids=["each by its own", "the other was chosen", "the first was chosen", "nothing is judged", "labels of one alone"],
)
def test_nothing_is_said_where_all_are_judged_or_one_was_chosen(labels, how):
    assert effect_of(BAD_BOX, GOOD, labels, **how).result().notes == ()


def test_shards_copies_and_pickles_are_the_same():
    whole = effect_of(BAD_BOX, GOOD)
    half = effect_of({k: v[:N] for k, v in BAD_BOX.items()}, GOOD)
    assert pickle.loads(pickle.dumps(whole)).result() == whole.copy().result() == whole.result()
    merged = merged_effects(PredictionEffect(None, None), half)
    assert merged.result() == half.result()
    twice = merged_effects(whole, half).result()
    assert [one.task.score.samples for one in twice.heads] == [2 * N, 2 * N]


def test_a_metric_is_back_in_a_copy():
    effect = effect_of(BAD_BOX, GOOD, metric=lambda scores, labels: float(scores.mean()))
    assert effect.copy().result() == effect.result()


def test_labels_are_read_by_head():
    assert set(labels_of_batch({"class": [0, 1], "box": torch.zeros(2, 4)}, "d")) == {"class", "box"}
    assert list(labels_of_batch((torch.zeros(2), torch.zeros(2, 4)), "d")) == ["0", "1"]
    assert isinstance(labels_of_batch((torch.zeros(2),), "d"), torch.Tensor)
    assert labels_of_batch([0, 1], "d").tolist() == [0, 1]
    with pytest.raises(DataError, match="the labels are an empty dict"):
        labels_of_all({}, "d")
    with pytest.raises(DataError, match="the labels of box are complex"):
        labels_of_all({"box": torch.zeros(2, dtype=torch.complex64)}, "d")


def test_batches_keep_the_labels_of_all_outputs():
    batch = Batch(torch.arange(6.0).reshape(6, 1), {name: one[:6] for name, one in LABELS.items()}, 6)
    assert torch.equal(batch.labels, LABELS["class"][:6])
    parts = list(batch.split(4))
    back = Batch.join([part.copy() for part in parts])
    assert all(torch.equal(back.targets[name], one[:6]) for name, one in LABELS.items())
    assert torch.equal(batch.take(torch.tensor([3])).targets["box"], BOXES[3:4])
    assert batch.is_in_step
    assert parts[0].form == parts[1].form != Batch(batch.inputs, batch.labels, 6).form
