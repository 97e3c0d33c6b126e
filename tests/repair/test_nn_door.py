"""`bncheck.nn` is public: what it exports, and that its examples are true."""

import doctest
import subprocess
import sys
from importlib import import_module

import pytest
import torch

import bncheck
import bncheck.nn

LAYERS = ("BatchRenorm1d", "BatchRenorm2d", "BatchRenorm3d", "SyncBatchRenorm")


@pytest.mark.parametrize("module", ["bncheck.nn", "bncheck.nn.conversion", "bncheck.nn.renorm"])
def test_examples_are_true(module):
    found = doctest.testmod(import_module(module))
    assert found.attempted > 0
    assert found.failed == 0


def test_the_door_and_the_package_give_the_same_things():
    for name in (
        "BatchRenorm1d",
        "BatchRenorm2d",
        "BatchRenorm3d",
        "RenormSchedule",
        "to_batch_norm",
        "to_batch_renorm",
    ):
        assert getattr(bncheck, name) is getattr(bncheck.nn, name)
    for name in bncheck.nn.__all__:
        assert getattr(bncheck.nn, name) is not None


@pytest.mark.slow
def test_the_door_opens_without_being_imported():
    code = "import bncheck, sys; assert 'torch' not in sys.modules; print(bncheck.nn.BatchRenorm2d(3))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("BatchRenorm2d(3, ")


def test_every_public_layer_and_function_says_what_it_does():
    for name in bncheck.nn.__all__:
        thing = getattr(bncheck.nn, name)
        if isinstance(thing, type) or callable(thing):
            assert thing.__doc__, name


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_what_batch_norm_takes(name):
    layer = getattr(bncheck.nn, name)(4, eps=1e-3, momentum=0.2)
    axes = {"BatchRenorm1d": (3,), "BatchRenorm2d": (3, 3), "BatchRenorm3d": (3, 3, 3)}.get(name, (3, 3))
    assert layer(torch.randn(8, 4, *axes)).shape == (8, 4, *axes)
