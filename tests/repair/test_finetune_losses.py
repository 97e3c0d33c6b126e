"""What is minimized: for every usual kind of label and output the loss PyTorch has for it, else a clear refusal."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from bncheck.data import open_data
from bncheck.errors import DataError, UsageError
from bncheck.repair.training.finetune import fine_tune
from bncheck.repair.training.losses import Objective, Score
from bncheck.repair.training.options import FineTuneOptions


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loss(outputs, labels, **options):
    return Objective(FineTuneOptions(**options)).loss(outputs, labels)


SCORES, LABELS = drawn(6, 4), torch.tensor([0, 3, 1, 2, 2, 0])
EXPECTED = functional.cross_entropy(SCORES, LABELS)


@pytest.mark.parametrize(
    ("output", "labels"),
    [
        (SCORES, LABELS),
        (SCORES, LABELS.to(torch.uint8)),
        (SCORES, LABELS.double()),
        (SCORES, functional.one_hot(LABELS, 4).float()),
        (SCORES.softmax(1), LABELS),
        (SCORES.log_softmax(1), LABELS),
        ((SCORES, drawn(6, 9)), LABELS),
        ({"hidden": torch.zeros(6, dtype=torch.long), "scores": SCORES}, LABELS),
        (torch.cat([SCORES, drawn(2, 4)]), torch.cat([LABELS, torch.tensor([-1, -100])])),
    ],
    ids=["int", "uint8", "whole floats", "one-hot", "probabilities", "log", "tuple", "dict", "ignored"],
)
def test_cross_entropy(output, labels):
    torch.testing.assert_close(loss(output, labels), EXPECTED)


def test_cross_entropy_with_soft_labels():
    soft = drawn(6, 4, seed=1).softmax(1)
    torch.testing.assert_close(loss(SCORES, soft), functional.cross_entropy(SCORES, soft))


def test_cross_entropy_of_pixels_leaves_out_the_void():
    scores, labels = drawn(2, 4, 3, 3), torch.arange(18).reshape(2, 3, 3) % 4
    labels[0, 0] = 255
    torch.testing.assert_close(loss(scores, labels), functional.cross_entropy(scores, labels, ignore_index=255))


def test_cross_entropy_of_sequences_with_the_classes_last():
    scores, labels = drawn(2, 5, 4), torch.arange(10).reshape(2, 5) % 4
    torch.testing.assert_close(loss(scores, labels), functional.cross_entropy(scores.movedim(-1, 1), labels))


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_one_score_is_binary(shape):
    scores, labels = drawn(*shape), torch.tensor([0, 1, 1, 0, 1, 0])
    expected = functional.binary_cross_entropy_with_logits(scores.flatten(), labels.float())
    torch.testing.assert_close(loss(scores, labels), expected)
    torch.testing.assert_close(loss(scores.sigmoid(), labels), expected)


def test_many_labels_at_once_by_name():
    scores, labels = drawn(6, 4), (drawn(6, 4, seed=1) > 0).long()
    expected = functional.binary_cross_entropy_with_logits(scores, labels.float())
    torch.testing.assert_close(loss(scores, labels, loss="binary_cross_entropy"), expected)


def test_mean_squared_error():
    values, labels = drawn(6, 1), drawn(6, seed=1)
    torch.testing.assert_close(loss(values, labels, loss="mse"), functional.mse_loss(values.flatten(), labels))


def test_half_precision_outputs_are_compared_in_float32():
    assert loss(SCORES.bfloat16(), LABELS).dtype == torch.float32


@pytest.mark.parametrize("output", ["1", "scores", "-1"])
def test_the_output_can_be_chosen(output):
    torch.testing.assert_close(loss({"wrong": drawn(6, 4, seed=1), "scores": SCORES}, LABELS, output=output), EXPECTED)


def test_a_function_gets_all_outputs_or_the_one_chosen():
    both = (SCORES, drawn(6, 4, seed=1))
    by_all = loss(both, LABELS, loss=lambda outputs, labels: functional.cross_entropy(outputs[0], labels))
    by_one = loss(both, LABELS, loss=functional.cross_entropy, output="0")
    torch.testing.assert_close(by_all, EXPECTED)
    torch.testing.assert_close(by_one, EXPECTED)


def test_a_function_needs_no_labels():
    assert loss(SCORES, None, loss=lambda outputs, labels: outputs.square().mean()) == SCORES.square().mean()


@pytest.mark.parametrize(
    ("output", "labels", "options", "says"),
    [
        (SCORES, None, {}, "needs labels, and the data have none.* label_column"),
        (SCORES, drawn(6), {}, "labels are measurements.* loss=.mse."),
        (SCORES, drawn(6, 4), {}, "labels are measurements"),
        (SCORES, LABELS.reshape(2, 3), {}, r"shape \(2, 3\) do not fit outputs of shape \(6, 4\)"),
        (SCORES, LABELS[:5], {}, "do not fit outputs"),
        (drawn(6), LABELS, {}, "Binary cross entropy needs a label from 0 to 1"),
        (SCORES, LABELS, {"loss": "mse"}, "needs a label for every output"),
        ((torch.zeros(6, dtype=torch.long),), LABELS, {}, "without a floating tensor"),
        (SCORES, LABELS, {"loss": lambda outputs, labels: outputs}, r"one number, not one of shape \(6, 4\)"),
        (SCORES, LABELS, {"loss": lambda outputs, labels: 3.0}, "one number, not a float"),
    ],
)
def test_labels_and_outputs_of_the_wrong_kind(output, labels, options, says):
    with pytest.raises(UsageError, match=says):
        loss(output, labels, **options)


def test_classes_the_model_does_not_have_are_the_data_s_fault():
    with pytest.raises(DataError, match="labels run up to 4 but the model gives 4 scores"):
        loss(SCORES, LABELS + 1)


def test_a_function_that_raises_is_told():
    with pytest.raises(DataError, match=r"^loss: the function raised KeyError: 'logits'"):
        loss(SCORES, LABELS, loss=lambda outputs, labels: {}["logits"])


def test_what_outputs_are_is_decided_on_the_first_batch():
    objective = Objective(FineTuneOptions())
    objective.loss(SCORES, LABELS)
    rows = SCORES.softmax(1)
    torch.testing.assert_close(objective.loss(rows, LABELS), functional.cross_entropy(rows, LABELS))


def test_accuracy_decides_before_the_loss():
    assert Score(0.9, -3.0) > Score(0.8, -0.1)
    assert Score(0.9, -1.0) > Score(0.9, -2.0)
    assert Objective(FineTuneOptions()).right(SCORES, SCORES.argmax(1)) == (6, 6)
    assert Objective(FineTuneOptions(loss="mse")).right(SCORES, SCORES) == (0, 0)


class TwoHeads(nn.Module):
    """Gives a dict of two outputs; the second is to be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.one, self.two = nn.Linear(8, 2), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Shape (N, 4) to two outputs."""
        hidden = self.body(x)
        return {"one": self.one(hidden), "two": self.two(hidden)}


def test_the_head_that_is_not_chosen_gets_no_gradient():
    torch.manual_seed(0)
    model = TwoHeads().eval()
    y = torch.arange(40) % 3
    tuned = fine_tune(model, open_data((drawn(40, 4), y)), FineTuneOptions(steps=8, output="two"))
    assert torch.equal(tuned.state["one.weight"], model.state_dict()["one.weight"])
    assert not torch.equal(tuned.state["two.weight"], model.state_dict()["two.weight"])


def test_a_regression_gets_better():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)).eval()
    x = drawn(160, 4)
    data = open_data((x, x.sum(1)))
    tuned = fine_tune(model, data, FineTuneOptions(epochs=40, loss="mse"), heldout=data)
    assert tuned.score is not None
    assert tuned.score.accuracy == -1.0
    assert tuned.score.negative_loss > 0.2 * tuned.score_before.negative_loss
