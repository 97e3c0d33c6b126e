"""The model and its reference, run on the same samples."""

from __future__ import annotations

import copy

import torch
from torch import nn

import bncheck


def test_a_reference_whose_variances_cannot_be_is_compared_without_a_warning() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    x = torch.randn(40, 2, 8, 8)
    for wrong in (-1.0, float("nan"), 0.0):
        reference = copy.deepcopy(net)
        reference[1].running_var.fill_(wrong)
        assert bncheck.inspect(net, data=x, reference=reference).summary.exit_code in (0, 1)
