"""What is accumulated over the outputs: the same whether it was seen in one pass or in shards that are merged."""

import dataclasses
import math
import pickle

import pytest
import torch

from bncheck.errors import DataError
from bncheck.predictions.change import OutputChange, changed_fraction, relative_change
from bncheck.predictions.effect import PredictionEffect
from bncheck.predictions.information import MutualInformation, information_of
from bncheck.predictions.pairs import PairedSums, TaskPairs

GENERATOR = torch.Generator().manual_seed(3)


def normal(*shape):
    return torch.randn(*shape, generator=GENERATOR)


KINDS = {
    "classes": (normal(96, 5), torch.arange(96) % 5),
    "positions": (normal(96, 3, 4, 4), (torch.arange(96 * 16) % 3).reshape(96, 4, 4)),
    "one logit": (normal(96, 1), torch.arange(96) % 2),
    "several labels": (normal(96, 5), (normal(96, 5) > 0).float()),
    "numbers": (normal(96, 2), 3 * normal(96, 2)),
    "embeddings": (torch.nn.functional.normalize(normal(96, 4), dim=1), torch.arange(96) % 4),
    "no labels": (normal(96, 5), None),
}


def taken_in(effect, before, after, labels, batches):
    """Everything that a pass adds, over some of twelve batches of eight."""
    for at in batches:
        part = slice(8 * at, 8 * at + 8)
        wanted = None if labels is None else labels[part]
        effect.add_batch(after[part], wanted)
        effect.add_recalibrated(before[part], after[part], wanted)
        effect.add_noise(after[part], before[part], wanted)
    return effect


def numbers_of(value):
    """A dataclass as a flat list of what it holds."""
    return list(leaves(dataclasses.asdict(value)))


def leaves(value):
    for each in value.values() if isinstance(value, dict) else [value]:
        yield from leaves(each) if isinstance(each, dict) else [each]


def alike(one, other):
    for a, b in zip(numbers_of(one), numbers_of(other), strict=True):
        assert a == (b if b is None or isinstance(b, str) else pytest.approx(b, rel=1e-9, abs=1e-12))


@pytest.mark.parametrize(("before", "labels"), KINDS.values(), ids=list(KINDS))
def test_shards_that_were_pickled_and_merged_equal_the_whole(before, labels):
    after = before + 0.5 * normal(*before.shape)
    whole = taken_in(PredictionEffect(None, None), before, after, labels, range(12))
    merged = PredictionEffect(None, None)
    for batches in (range(5), range(5, 6), range(6, 12)):
        shard = taken_in(PredictionEffect(None, None), before, after, labels, batches)
        merged.merge(pickle.loads(pickle.dumps(shard)))
    alike(merged.result(), whole.result())
    assert (whole.result().task is None) == (labels is None)


def test_an_effect_is_merged_with_nothing_unchanged():
    before, labels = KINDS["classes"]
    effect = taken_in(PredictionEffect(None, None), before, before + 1, labels, range(12))
    expected = effect.result()
    effect.merge(PredictionEffect(None, None))
    assert effect.result() == expected


def test_a_metric_that_cannot_be_pickled_stays_with_the_one_who_merges():
    before, labels = KINDS["classes"]
    after = before + normal(96, 5)

    def right(outputs, wanted):
        return float((outputs.argmax(1) == wanted).double().mean())

    whole = taken_in(PredictionEffect(None, right), before, after, labels, range(12))
    merged = PredictionEffect(None, right)
    for batches in (range(5), range(5, 12)):
        merged.merge(
            pickle.loads(pickle.dumps(taken_in(PredictionEffect(None, right), before, after, labels, batches)))
        )
    alike(merged.result(), whole.result())
    assert merged.result().accuracy.stored == pytest.approx(right(before, labels))
    by_metric = merged.result().task
    assert (by_metric.task, by_metric.has_scale, by_metric.loss) == ("metric", False, None)
    assert by_metric.score.other == pytest.approx(right(after, labels))
    won = (after.argmax(1) == labels).double() - (before.argmax(1) == labels).double()
    assert by_metric.score.error == pytest.approx(float(won.std()) / math.sqrt(len(won)), rel=0.5)
    alone = pickle.loads(pickle.dumps(merged))
    with pytest.raises(ValueError, match="merge it into one that has it"):
        alone.result()


def test_paired_losses_and_discordant_pairs_of_an_effect_by_hand():
    before = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    after = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [2.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 1])
    effect = PredictionEffect(None, None)
    effect.add_recalibrated(before, after, labels)
    found = effect.result().task
    assert (found.score.better, found.score.worse) == (1, 2)
    good, bad = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert found.loss.shipped == pytest.approx((3 * good + bad) / 4, rel=1e-6)
    assert found.loss.other == pytest.approx((2 * good + 2 * bad) / 4, rel=1e-6)
    # differences 0, +d, -d, +d
    d = bad - good
    assert found.loss.gain == pytest.approx(-d / 4, rel=1e-6)
    variance = (3 * d**2 - 4 * (d / 4) ** 2) / 3
    assert found.loss.error == pytest.approx(math.sqrt(variance / 4), rel=1e-6)
    assert found.loss.t == pytest.approx((-d / 4) / math.sqrt(variance / 4), rel=1e-6)
    assert effect.result().lost == 0.5


def test_a_chosen_task_is_used_whatever_the_labels_look_like():
    outputs, labels = torch.tensor([0.2, 0.9, 0.4]), torch.tensor([0.0, 1.0, 1.0])
    chosen = PredictionEffect(None, None, task="numbers")
    chosen.add_recalibrated(outputs, outputs, labels)
    assert chosen.result().task.task == "numbers"
    recognised = PredictionEffect(None, None)
    recognised.add_recalibrated(outputs, outputs, labels)
    assert recognised.result().task.task == "yes-no"


def test_numbers_of_shards_add_up_though_each_has_settled_its_own_unit():
    outputs, labels = normal(40, 1), normal(40, 1) * torch.linspace(1, 20, 40)[:, None]
    whole, first, second = TaskPairs(), TaskPairs(), TaskPairs()
    for part in (slice(0, 20), slice(20, 40)):
        whole.add(outputs[part], outputs[part] + 1, labels[part])
    first.add(outputs[:20], outputs[:20] + 1, labels[:20])
    second.add(outputs[20:], outputs[20:] + 1, labels[20:])
    assert first.task.unit != second.task.unit
    first.merge(second)
    alike(first.effect().loss, whole.effect().loss)
    error = (outputs - labels).square().mean() / labels[:20].var(correction=0)
    assert whole.effect().loss.shipped == pytest.approx(float(error), rel=1e-5)
    assert whole.effect().score.shipped == pytest.approx(float(error), rel=1e-5)


def test_shards_of_different_tasks_do_not_add_up():
    one, other = TaskPairs(), TaskPairs()
    one.add(normal(8, 3), normal(8, 3), torch.arange(8) % 3)
    other.add(normal(8, 3), normal(8, 3), normal(8, 3))
    with pytest.raises(ValueError, match="taken for classes and for numbers"):
        one.merge(other)


def test_paired_sums_leave_out_what_counts_nothing():
    sums = PairedSums()
    sums.add(torch.tensor([1.0, math.nan, 3.0, 4.0]), torch.tensor([2.0, 2.0, math.nan, 1.0]))
    assert (sums.samples, sums.before, sums.after, sums.squares, sums.rose, sums.fell) == (2, 5.0, 3.0, 10.0, 1, 1)
    assert math.isnan(PairedSums().difference)
    assert PairedSums().standard_error == math.inf


def test_equal_differences_leave_no_doubt():
    sums = PairedSums()
    sums.add(torch.zeros(4), torch.ones(4))
    assert sums.t == math.inf
    nothing = PairedSums()
    nothing.add(torch.ones(4), torch.ones(4))
    assert nothing.t == 0.0


def test_one_relative_change():
    before, after = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])
    assert relative_change(before, after) == pytest.approx(0.1)
    assert relative_change(torch.zeros(2), torch.zeros(2)) == 0.0
    assert relative_change(torch.zeros(2), torch.ones(2)) == math.inf
    assert OutputChange().relative() is None
    assert changed_fraction(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 0, 4])) == 0.25


def test_one_mutual_information():
    assert information_of(torch.eye(4)) == pytest.approx(math.log(4))
    assert information_of(torch.full((4, 4), 0.25)) == pytest.approx(0.0)
    assert information_of(None) is None
    assert information_of(torch.zeros(0, 4)) is None
    whole, first, second = MutualInformation(), MutualInformation(), MutualInformation()
    rows = normal(10, 3).softmax(1)
    whole.add(rows)
    first.add(rows[:4])
    second.add(rows[4:])
    first.merge(second)
    assert first.nats() == pytest.approx(whole.nats(), rel=1e-12)
    assert first.classes() == 3


def test_a_rare_yes_counts_as_much_as_the_many_noes():
    labels = torch.tensor([1.0] * 2 + [0.0] * 38)
    before, after = torch.full((40,), -1.0), torch.where(labels > 0, 1.0, -1.0)
    effect = PredictionEffect(None, None)
    effect.add_batch(after, labels)
    effect.add_recalibrated(before, after, labels)
    found = effect.result().task
    assert (found.score_name, found.score.shipped, found.score.other) == ("balanced accuracy", 0.5, 1.0)
    assert (found.score.gain, found.score.error, found.batch_score) == (0.5, 0.0, 1.0)


def test_with_no_task_labels_judge_nothing():
    effect = PredictionEffect(None, None, task="none")
    effect.add_recalibrated(torch.eye(4), torch.eye(4).flip(0), torch.arange(4))
    found = effect.result()
    assert (found.task, found.accuracy, found.predictions_changed) == (None, None, 1.0)


def test_a_metric_may_be_better_when_smaller_and_have_no_value_for_few_samples():
    def spread(outputs, labels):
        if len(labels) < 12:
            raise ValueError("needs twelve samples")
        return float((outputs[:, 0] - labels).abs().max())

    spread.larger_is_better = False
    outputs, labels = normal(12, 1), torch.arange(12)
    effect = PredictionEffect(None, spread)
    effect.add_recalibrated(outputs, labels[:, None] + 0.5, labels)
    found = effect.result().task
    assert found.score.gain == pytest.approx(found.score.shipped - 0.5)
    assert not found.larger_is_better
    assert found.score.error == math.inf  # it has none of fewer


@pytest.mark.parametrize("labels", [None, torch.arange(6)], ids=["no labels", "labels of whole images"])
def test_images_are_no_maps_of_classes(labels):
    """An autoencoder's output: the channel that happens to be the brightest is no prediction that could change."""
    images = normal(6, 3, 4, 4).sigmoid()
    effect = PredictionEffect(None, None)
    effect.add_recalibrated(images, images.flip(1), labels)
    found = effect.result()
    assert (found.predictions_changed, found.classes, found.accuracy) == (None, None, None)
    assert found.output_change > 0.1


def test_maps_of_probabilities_are_predictions_without_labels():
    maps = normal(6, 3, 4, 4)
    for one, other in ((maps.softmax(1), maps.flip(1).softmax(1)), (maps.log_softmax(1), maps.flip(1).log_softmax(1))):
        effect = PredictionEffect(None, None)
        effect.add_recalibrated(one, other, None)
        assert effect.result().predictions_changed > 0.3
    labelled = PredictionEffect(None, None)
    labelled.add_recalibrated(maps, maps.flip(1), maps.argmax(1, keepdim=True).squeeze(1))
    assert labelled.result().accuracy.stored == 1.0


def test_a_mask_of_0_and_255_says_yes_by_255():
    outputs = normal(6, 1, 4, 4)
    mask = (normal(6, 1, 4, 4) > 0).long()
    found = []
    for labels in (mask, 255 * mask):
        effect = PredictionEffect(None, None)
        effect.add_recalibrated(outputs, -outputs, labels)
        found.append(effect.result().task.score)
    assert found[0] == found[1]


def test_a_task_that_the_labels_do_not_fit_is_refused():
    effect = PredictionEffect(None, None, task="numbers")
    with pytest.raises(DataError, match=r"task numbers does not judge outputs \(4, 4\) by labels \(4,\)"):
        effect.add_recalibrated(torch.eye(4), torch.eye(4), torch.arange(4))
