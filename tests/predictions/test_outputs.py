"""Which tensor of what a model returns is the prediction."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bncheck.predictions.outputs import choose_output

SCORES = torch.arange(6.0).reshape(2, 3)
COUNT = torch.tensor([1, 2])


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (SCORES, SCORES),
        ((COUNT, SCORES), SCORES),
        ({"n": COUNT, "logits": SCORES}, SCORES),
        ((COUNT, (COUNT, {"deep": SCORES})), SCORES),
        ([{"boxes": SCORES[:1], "labels": COUNT, "scores": SCORES[0, :1]}] * 2, torch.tensor([[0.0, 1, 2, 0]] * 2)),
        ([{"boxes": SCORES}, {"boxes": SCORES[:1]}], None),
        ([{"labels": COUNT}] * 2, None),
        (["text"], None),
        (COUNT, None),
    ],
)
def test_the_prediction_is_found(output: Any, expected: torch.Tensor | None) -> None:
    found = choose_output(output, None)
    assert (found is None) == (expected is None)
    assert expected is None or torch.equal(found, expected)
