"""Every kind of task: recognised by what outputs and labels look like, and scored as worked out by hand."""

import doctest
import itertools
import math
from dataclasses import replace
from importlib import import_module

import pytest
import torch

from bncheck.errors import UsageError
from bncheck.predictions.pairs import TaskPairs
from bncheck.predictions.tasks import recognised, task_named, tasks
from bncheck.predictions.tasks.classes import WORST, Classes
from bncheck.predictions.tasks.embeddings import TEMPERATURE
from bncheck.predictions.tasks.numbers import Numbers
from bncheck.predictions.tasks.task import EMPTY

NAN = math.nan
GENERATOR = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, generator=GENERATOR)


def whole(high, *shape):
    """Class numbers below `high`, all of which occur."""
    values = torch.arange(math.prod(shape)) % high
    return values[torch.randperm(len(values), generator=GENERATOR)].reshape(shape)


def close(found, expected):
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), equal_nan=True, rtol=1e-6, atol=1e-7)


UNIT_ROWS = torch.nn.functional.normalize(normal(12, 8), dim=1)
MAP = torch.nn.functional.one_hot(whole(3, 4, 5, 5), 3).movedim(-1, 1)
EXAMPLES = {
    "class numbers": (normal(12, 5), whole(5, 12), "classes"),
    "class numbers in a column": (normal(12, 5), whole(5, 12, 1), "classes"),
    "whole floats": (normal(12, 5), whole(5, 12).float(), "classes"),
    "one-hot floats": (normal(12, 5), torch.eye(5)[whole(5, 12)], "classes"),
    "one-hot integers": (normal(12, 5), torch.eye(5)[whole(5, 12)].long(), "classes"),
    "mixed-up labels": (normal(12, 5), normal(12, 5).softmax(1), "classes"),
    "probabilities": (normal(12, 5).softmax(1), whole(5, 12), "classes"),
    "saturated probabilities": (torch.eye(5)[whole(5, 12)], whole(5, 12), "classes"),
    "no labels": (normal(12, 5), None, "classes"),
    "masks": (normal(4, 3, 5, 5), whole(3, 4, 5, 5), "positions"),
    "masks with an axis": (normal(4, 3, 5, 5), whole(3, 4, 1, 5, 5), "positions"),
    "masks with void": (normal(4, 3, 5, 5), whole(3, 4, 5, 5).masked_fill(whole(2, 4, 5, 5) > 0, 255), "positions"),
    "one-hot maps": (normal(4, 3, 5, 5), MAP.float(), "positions"),
    "words": (normal(4, 7, 9), whole(9, 4, 7), "positions"),
    "lines": (normal(4, 3, 7), whole(3, 4, 7), "positions"),
    "one logit": (normal(12, 1), whole(2, 12), "yes-no"),
    "one logit, float labels": (normal(12), whole(2, 12).float(), "yes-no"),
    "one logit, a column of floats": (normal(12, 1), whole(2, 12, 1).float(), "yes-no"),
    "several labels": (normal(12, 5), (normal(12, 5) > 0).float(), "yes-no"),
    "several integer labels": (normal(12, 5), (normal(12, 5) > 0).long(), "yes-no"),
    "one-logit maps": (normal(4, 1, 5, 5), whole(2, 4, 5, 5), "yes-no"),
    "one-logit maps with void": (
        normal(4, 1, 5, 5),
        whole(2, 4, 1, 5, 5).masked_fill(whole(3, 4, 1, 5, 5) == 0, 255),
        "yes-no",
    ),
    "several maps": (normal(4, 3, 5, 5), (normal(4, 3, 5, 5) > 0).float(), "yes-no"),
    "one number": (normal(12, 1), normal(12), "numbers"),
    "counts": (normal(12), whole(6, 12), "numbers"),
    "keypoints": (normal(12, 4), normal(12, 4), "numbers"),
    "depth": (normal(4, 1, 5, 5), normal(4, 5, 5), "numbers"),
    "images": (normal(4, 3, 5, 5), normal(4, 3, 5, 5).sigmoid(), "numbers"),
    "identities": (normal(12, 4), whole(6, 12) + 100, "embeddings"),
    "unit norm": (UNIT_ROWS, whole(6, 12), "embeddings"),
    "unit norm without labels": (UNIT_ROWS, None, "embeddings"),
    "scores at one position without labels": (normal(4, 10, 1, 1), None, "positions"),
    "images without labels": (normal(4, 3, 5, 5).sigmoid(), None, None),
    "features without labels": (normal(4, 21, 5, 5), None, None),
    "probability maps without labels": (normal(4, 3, 5, 5).softmax(1), None, "positions"),
    "log probability maps without labels": (normal(4, 3, 5, 5).log_softmax(1), None, "positions"),
    "words without labels": (normal(4, 7, 9).softmax(2), None, "positions"),
    "labels of something else": (normal(4, 5), normal(4, 3), None),
    "measurements beside class scores": (normal(12, 5), normal(12), None),
    "no labels for one score": (normal(12, 1), None, None),
    "other number of samples": (normal(12, 5), whole(5, 8), None),
    "complex labels": (normal(12), normal(12).to(torch.complex64), None),
    "a scalar": (normal(()), None, None),
}


@pytest.mark.parametrize(("outputs", "labels", "name"), EXAMPLES.values(), ids=list(EXAMPLES))
def test_outputs_and_labels_tell_the_task(outputs, labels, name):
    found = recognised(outputs, labels)
    assert (None if found is None else found.name) == name
    if found is None or labels is None:
        return
    assert [task.name for task in tasks().values() if task.fits(outputs, labels)] == [name], "kinds exclude each other"
    assert found.matches(outputs, labels)
    for values in (found.scores(outputs, labels), found.losses(outputs, labels)):
        assert values.shape == (len(outputs),)
        assert values.dtype == torch.float64
        assert not values.isinf().any()


@pytest.mark.parametrize(("outputs", "labels", "name"), EXAMPLES.values(), ids=list(EXAMPLES))
def test_samples_are_judged_one_by_one(outputs, labels, name):
    found = recognised(outputs, labels)
    if found is None or labels is None or name == "embeddings":  # those are judged among each other
        return
    order = torch.randperm(len(outputs), generator=GENERATOR)
    for judge in (found.scores, found.losses):
        torch.testing.assert_close(judge(outputs[order], labels[order]), judge(outputs, labels)[order], equal_nan=True)
        torch.testing.assert_close(judge(outputs[:1], labels[:1]), judge(outputs, labels)[:1], equal_nan=True)


@pytest.mark.parametrize(("outputs", "labels", "name"), EXAMPLES.values(), ids=list(EXAMPLES))
def test_what_is_not_a_number_is_the_worst_and_never_left_out(outputs, labels, name):
    found = recognised(outputs, labels)
    if found is None or labels is None:
        return
    before = found.losses(outputs, labels), found.scores(outputs, labels)
    broken = outputs.clone()
    broken[0] = NAN
    losses, scores = found.losses(broken, labels), found.scores(broken, labels)
    assert bool((losses.isnan() == before[0].isnan()).all())
    if not before[0][0].isnan():
        assert losses[0] >= before[0][0]
        worse = scores[0] <= before[1][0] if found.larger_is_better else scores[0] >= before[1][0]
        assert bool(worse)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.bool, torch.float16, torch.float64, torch.complex64])
def test_labels_of_any_type_and_shape_are_taken_or_left(dtype):
    shapes = [(6,), (6, 1), (6, 3), (6, 3, 4), (6, 3, 4, 4), (6, 1, 4, 4), (6, 4, 4), (6, 0), (0, 3), (3,)]
    for outputs, labels in itertools.product(shapes, shapes):
        scores, wanted = normal(*outputs), (3 * torch.rand(labels, generator=GENERATOR)).to(dtype)
        found = recognised(scores, wanted)
        assert found is None or found.losses(scores, wanted).shape == (len(scores),)


def test_classes_by_hand():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)], [math.log(3), 0.0]])
    close(Classes().scores(logits, torch.tensor([1, 0, 0])), [1.0, 0.0, 1.0])
    close(Classes().losses(logits, torch.tensor([1, 0, 0])), [-math.log(0.75), -math.log(0.25), -math.log(0.75)])


def test_classes_of_probabilities_soft_rows_and_void():
    rows = torch.tensor([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])
    close(Classes().losses(rows, torch.tensor([0, -1, 1])), [-math.log(0.75), NAN, WORST])
    close(Classes().scores(rows, torch.tensor([0, -1, 1])), [1.0, NAN, 0.0])
    soft = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    close(Classes().losses(rows, soft), [-(math.log(0.75) + math.log(0.25)) / 2, -math.log(0.5), WORST])


def test_the_first_batch_settles_what_outputs_are():
    task = Classes().settled(torch.tensor([[2.0, -1.0]]), None)
    close(task.losses(torch.tensor([[0.75, 0.25]]), torch.tensor([0])), [math.log(1 + math.exp(-0.5))])
    assert Classes().settled(torch.tensor([[0.5, 0.5]]), None).are_probabilities


def test_positions_by_hand():
    labels = torch.tensor([[[0, 0], [0, 1]], [[0, 0], [0, 255]], [[255, 255], [255, 255]]])
    says = torch.tensor([[[0, 0], [1, 1]], [[0, 0], [0, 1]], [[0, 1], [0, 1]]])
    logits = torch.nn.functional.one_hot(says, 3).movedim(-1, 1) * math.log(2)
    task = recognised(logits, labels)
    # class 0 fills 6 of 7 positions and is background, class 1: 2 * 1 / (2 + 1), class 2 does not occur
    close(task.scores(logits, labels), [2 / 3, 1.0, NAN])
    close(replace(task, background=None).scores(logits, labels), [(4 / 5 + 2 / 3) / 2, 1.0, NAN])
    right, wrong = -math.log(2 / 4), -math.log(1 / 4)
    close(task.losses(logits, labels), [(3 * right + wrong) / 4, right, NAN])


def test_a_rare_class_that_is_lost_is_seen():
    labels = torch.zeros(1, 10, 10, dtype=torch.long)
    labels[0, 0, 0] = 1
    nothing = torch.stack([torch.ones(1, 10, 10), torch.zeros(1, 10, 10)], dim=1)
    close(task_named("positions").scores(nothing, labels), [(2 * 99 / 199 + 0) / 2])
    close(recognised(nothing, labels).scores(nothing, labels), [0.0])  # and the background is not averaged in


def test_a_class_that_fills_most_of_the_positions_is_background_and_no_other_is():
    maps = torch.zeros(2, 3, 2, 5)
    for filled, background in ((8, 2), (7, None)):
        labels = torch.full((2, 10), 1)
        labels[:, :filled] = 2
        assert recognised(maps, labels.reshape(2, 2, 5)).background == background


def test_samples_without_what_is_looked_for_are_a_group_of_their_own():
    labels = torch.zeros(3, 10, dtype=torch.long).reshape(3, 2, 5)
    labels[0, 0, 0] = 1
    says = labels.clone()
    says[1, 0, 0] = 1  # where there is nothing
    maps = torch.nn.functional.one_hot(says, 2).movedim(-1, 1).float()
    task = recognised(maps, labels)
    assert task.groups(maps, labels).tolist() == [0, EMPTY, EMPTY]
    close(task.scores(maps, labels), [1.0, 0.0, 1.0])
    one_logit = recognised(4.0 * says[:, None] - 2, labels[:, None])
    assert one_logit.groups(4.0 * says[:, None] - 2, labels[:, None]).tolist() == [1, EMPTY, EMPTY]


def test_several_labels_have_no_groups_so_that_always_no_is_not_half_right():
    labels = torch.zeros(20, 5)
    labels[2:, 0] = 1  # two samples have none
    quiet, right = torch.full((20, 5), -2.0), 4 * labels - 2
    task = recognised(quiet, labels)
    assert task.groups(quiet, labels) is None
    pairs = TaskPairs()
    pairs.add(quiet, right, labels)
    score = pairs.effect().score
    assert (score.shipped, score.other) == (pytest.approx(0.1), 1.0)


def paired(found, lost, empty):
    """A map of a rare class that is found in some samples, lost in others, and has nothing to find in the rest."""
    labels = torch.zeros(found + lost + empty, 4, 5, dtype=torch.long)
    labels[: found + lost, 0, 0] = 1
    before = labels.clone()
    before[found : found + lost] = 0
    pairs = TaskPairs()
    pairs.add(*(torch.nn.functional.one_hot(one, 2).movedim(-1, 1).float() for one in (before, labels)), labels)
    return pairs.effect().score


@pytest.mark.parametrize(
    ("found", "lost", "empty", "shipped"), [(10, 0, 190, 1.0), (0, 10, 190, 0.5), (5, 5, 190, 0.75), (5, 5, 7, 0.5)]
)
def test_what_is_rarely_there_counts_as_much_as_what_is_not(found, lost, empty, shipped):
    score = paired(found, lost, empty)
    assert score.shipped == pytest.approx(shipped)
    assert score.other == pytest.approx(1.0)
    assert score.better == lost


def test_what_ten_samples_do_not_show_is_not_excluded_by_the_others():
    score = paired(10, 0, 290)
    assert score.high(2.0) == pytest.approx(3 / (2 * 10))
    assert paired(300, 0, 0).high(2.0) == pytest.approx(3 / 300)


def test_words_have_their_classes_last():
    labels = torch.tensor([[1, 2, 0, 3]])
    logits = 5 * torch.nn.functional.one_hot(torch.tensor([[1, 2, 0, 0]]), 5).float()
    task = recognised(logits, labels)
    assert task.axis == 2
    close(task.scores(logits, labels), [(2 / 3 + 1 + 1 + 0) / 4])
    assert task.predicted(logits).tolist() == [[1, 2, 0, 0]]


def test_yes_no_by_hand():
    one, labels = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([1, 1, 0])
    task = recognised(one, labels)
    close(task.scores(one, labels), [1.0, 0.0, 0.0])
    close(task.losses(one, labels), [math.log(1 + math.exp(-2)), math.log(1 + math.e), math.log(1 + math.exp(0.5))])
    many = torch.tensor([[3.0, 3.0, -3.0, -3.0], [-3.0, -3.0, -3.0, -3.0], [-3.0, 3.0, -3.0, -3.0]])
    wanted = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    # TP 1, FP 1, FN 1; nothing to say and nothing said; a yes too many
    close(recognised(many, wanted).scores(many, wanted), [0.5, 1.0, 0.0])
    many[1, 2] = NAN  # says neither yes nor no: as wrong as a yes too many
    close(recognised(many, wanted).scores(many, wanted), [0.5, 0.0, 0.0])


def test_yes_no_of_probabilities_and_void():
    maps = torch.tensor([[[[0.75, 0.25]]], [[[0.6, 0.9]]]])
    labels = torch.tensor([[[[1, 255]]], [[[255, 255]]]])
    task = recognised(maps, labels)
    assert task.name == "yes-no"
    close(task.losses(maps, labels), [-math.log(0.75), NAN])
    close(task.scores(maps, labels), [1.0, NAN])
    assert task.predicted(maps).tolist() == [[[[1, 0]]], [[[1, 1]]]]


def test_numbers_by_hand():
    outputs = torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]])
    labels = torch.tensor([[1.0, 3.0], [3.0, NAN], [NAN, NAN]])
    task = recognised(outputs, labels)
    variance = ((1 - 7 / 3) ** 2 + 2 * (3 - 7 / 3) ** 2) / 3
    assert task.unit == pytest.approx(variance)
    close(task.losses(outputs, labels), [0.5 / variance, 0.0, NAN])
    close(task.scores(outputs, labels), [0.5 / variance, 0.0, NAN])


def test_always_saying_the_mean_is_a_relative_error_of_one():
    labels = 1000 + 7 * normal(500, 1)
    mean = labels.mean().expand(500, 1)
    task = Numbers().settled(mean, labels)
    assert float(task.losses(mean, labels).mean()) == pytest.approx(1.0, rel=1e-4)
    assert Numbers().settled(mean, torch.full((3, 1), 2.0)).unit == 4.0, "labels that are all equal: their mean square"
    assert Numbers().settled(mean, torch.zeros(3, 1)).unit == 1.0


def test_embeddings_by_hand():
    outputs = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [-1.0, 0.0]])
    labels = torch.tensor([7, 7, 8, 9, 8])
    assert recognised(outputs, labels).name != "embeddings"  # in so few dimensions labels beyond are a mistake
    task = task_named("embeddings")
    close(task.scores(outputs[:4], labels[:4]), [1.0, 1.0, NAN, NAN])
    close(task.scores(outputs[:4], torch.tensor([7, 8, 7, 8])), [0.0, 0.0, 0.0, 0.0])
    zero, one, minus = (math.exp(cosine / TEMPERATURE) for cosine in (0, 1, -1))
    first = -math.log(one / (one + 2 * zero + minus))
    third = -math.log(zero / (3 * zero + one))
    fifth = -math.log(zero / (2 * zero + 2 * minus))
    close(task.losses(outputs, labels), [first, first, third, NAN, fifth])
    close(task.scores(outputs[:1], labels[:1]), [NAN])


def test_tasks_are_found_by_their_files_and_chosen_by_name():
    assert set(tasks()) == {"classes", "positions", "yes-no", "numbers", "embeddings"}
    assert task_named("numbers").score_name == "relative squared error"
    with pytest.raises(UsageError, match=r"task classic \(did you mean classes\?\): choose one of classes, "):
        task_named("classic")


@pytest.mark.parametrize("name", ["tasks", "tasks.task", "change", "information"])
def test_examples_are_true(name):
    found = doctest.testmod(import_module(f"bncheck.predictions.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
