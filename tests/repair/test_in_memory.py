"""`bncheck.recalibrate`: a new module, the old one untouched."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from repair_nets import assert_rest_unchanged, assert_statistics, images, stale_net
from torch import nn

import bncheck
from bncheck.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("without_probes")  # what is written does not hang on them


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_the_copy_has_new_statistics_and_the_module_is_as_it_was(training: bool) -> None:
    net = stale_net().train(training)
    before = copy.deepcopy(net.state_dict())
    fresh = bncheck.recalibrate(net, images())
    assert type(fresh) is type(net)
    assert fresh is not net
    assert fresh.training is training
    assert_statistics(fresh.state_dict(), net)
    assert_rest_unchanged(fresh.state_dict(), net.state_dict())
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert not {value.data_ptr() for value in fresh.state_dict().values()} & {
        value.data_ptr() for value in net.state_dict().values()
    }


def test_the_module_is_untouched_when_the_loader_raises() -> None:
    def failing():
        yield torch.from_numpy(images()[:60])
        raise ValueError("disk on fire")

    net = stale_net()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(DataError, match="disk on fire"):
        bncheck.recalibrate(net, failing)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())


def test_a_one_shot_iterator_and_wrapped_modules_will_do() -> None:
    net = stale_net()
    parts = iter(torch.from_numpy(images()).split(30))
    assert_statistics(bncheck.recalibrate(nn.DataParallel(net), images()).module.state_dict(), net)
    compiled = bncheck.recalibrate(torch.compile(net, backend="eager"), images())
    assert_statistics(compiled._orig_mod.state_dict(), net)
    streamed = bncheck.recalibrate(net, parts).stem.norm.running_mean
    torch.testing.assert_close(streamed, bncheck.recalibrate(net, images()).stem.norm.running_mean)


def test_scripted_modules_stay_scripted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(stale_net())
        fresh = bncheck.recalibrate(script, images())
    assert isinstance(fresh, torch.jit.ScriptModule)
    assert_statistics(fresh.state_dict(), stale_net())
    assert_rest_unchanged(dict(fresh.state_dict()), dict(script.state_dict()))


def test_tied_layers_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = self.two = nn.BatchNorm2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(x)

    fresh = bncheck.recalibrate(Tied(), images())
    assert fresh.one is fresh.two
    assert fresh.one.running_mean.abs().max() > 0.1


def test_what_cannot_be_recalibrated_is_said() -> None:
    with pytest.raises(UsageError, match=r"recalibrate takes an nn.Module, not a str; for files: bncheck.repair"):
        bncheck.recalibrate("net.pt", images())
    with pytest.raises(UsageError, match=r"nothing to recalibrate in Sequential"):
        bncheck.recalibrate(nn.Sequential(nn.Conv2d(2, 3, 3)), images())
