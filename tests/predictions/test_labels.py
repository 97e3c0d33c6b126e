"""Labels as class numbers: which are, and which can be none."""

import pytest
import torch

from bncheck.errors import DataError
from bncheck.predictions.labels import class_labels, class_of_each

SCORES = torch.zeros(3, 4)


@pytest.mark.parametrize(
    ("label", "said"), [(1e300, "1e\\+300"), (-1e300, "-1e\\+300"), (float("inf"), "inf"), (1e20, "1e\\+20")]
)
def test_a_number_that_no_class_can_have_is_told_as_it_is(label: float, said: str) -> None:
    labels = torch.tensor([0.0, label, 2.0], dtype=torch.float64)
    with pytest.raises(DataError, match=f"a label is {said}, which no class can have"):
        class_labels(labels, SCORES)
    assert class_of_each(labels) is None
    assert class_labels(labels, torch.zeros(3, 1)) is labels  # numbers, whatever they are


def test_whole_numbers_are_classes_whatever_their_type() -> None:
    for dtype in (torch.float32, torch.float64, torch.int8, torch.bool):
        labels = torch.tensor([0, 1, 1], dtype=dtype)
        assert class_labels(labels, SCORES).tolist() == [0, 1, 1]
        assert class_of_each(labels).tolist() == [0, 1, 1]
