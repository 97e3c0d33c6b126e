"""Conversion changes the normalization layers and nothing else."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from renorm_nets import Configured, Nested, NormAct, randomized
from torch import nn

from bncheck import (
    BatchRenorm1d,
    BatchRenorm2d,
    BatchRenorm3d,
    RenormSchedule,
    UsageError,
    to_batch_norm,
    to_batch_renorm,
)
from bncheck.nn.renorm import BatchRenorm
from bncheck.nn.schedule import ALWAYS_OPEN
from bncheck.nn.synchronized import SyncBatchRenorm

pytestmark = pytest.mark.filterwarnings("ignore:.*all of them as plain BatchNorm:RuntimeWarning")
"""Most of these trainings are of one step."""


def images(n=6, seed=0, **how):
    return torch.randn(n, 1, 9, 9, generator=torch.Generator().manual_seed(seed)).to(**how)


def test_eval_output_is_kept_there_and_back():
    net = randomized(Nested()).double().eval()
    x = images(dtype=torch.float64)
    renorm = to_batch_renorm(net)
    back = to_batch_norm(renorm)
    torch.testing.assert_close(renorm(x), net(x), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(back(x), net(x), rtol=1e-11, atol=1e-12)
    for name, tensor in back.state_dict().items():
        torch.testing.assert_close(tensor, net.state_dict()[name], rtol=1e-12, atol=0)


def test_classes_nesting_names_and_sharing_are_kept():
    renorm = to_batch_renorm(Nested())
    kinds = {name: type(layer) for name, layer in renorm.named_modules() if "Batch" in type(layer).__name__}
    assert kinds == {
        "stem.1": BatchRenorm2d,
        "shared": BatchRenorm2d,
        "frozen": nn.BatchNorm2d,
        "no_statistics": nn.BatchNorm2d,
        "volume": BatchRenorm3d,
        "head.bn": BatchRenorm1d,
    }
    assert renorm.again is renorm.shared
    back = to_batch_norm(renorm)
    assert back.again is back.shared
    assert [(n, type(m)) for n, m in back.named_modules()] == [(n, type(m)) for n, m in Nested().named_modules()]
    assert list(back.state_dict()) == list(Nested().state_dict())


def test_settings_come_back():
    back = to_batch_norm(to_batch_renorm(Nested()))
    assert (back.stem[1].eps, back.stem[1].momentum) == (1e-3, 0.03)
    assert (back.shared.eps, back.shared.momentum) == (1e-5, 0.1)
    assert back.volume.weight is None


def test_the_model_given_is_left_alone():
    net = randomized(Nested())
    before = copy.deepcopy(net.state_dict())
    renorm = to_batch_renorm(net, schedule=ALWAYS_OPEN).train()
    renorm(images()).sum().backward()
    assert not any(isinstance(layer, BatchRenorm) for layer in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_in_place_the_parameters_stay_the_same_objects():
    net = Nested()
    parameters = {name: id(p) for name, p in net.named_parameters()}
    assert to_batch_renorm(net, inplace=True) is net
    assert {name: id(p) for name, p in net.named_parameters()} == parameters
    assert to_batch_norm(net, inplace=True) is net
    assert {name: id(p) for name, p in net.named_parameters()} == parameters


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_kept(training):
    net = Nested().train(training)
    assert {layer.training for layer in to_batch_renorm(net).modules()} == {training}
    assert {layer.training for layer in to_batch_norm(to_batch_renorm(net)).modules()} == {training}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_dtype_and_device_are_kept(dtype):
    layer = to_batch_renorm(nn.BatchNorm2d(3, dtype=dtype))
    assert {t.dtype for t in layer.state_dict().values() if t.is_floating_point()} == {dtype}
    meta = to_batch_renorm(nn.BatchNorm2d(3, device="meta"))
    assert {t.device.type for t in meta.state_dict().values() if t.dim()} == {"meta"}


def test_hooks_go_with_the_layer_and_can_still_be_removed():
    seen = []
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    handle = net[1].register_forward_hook(lambda module, args, output: seen.append(type(module).__name__))
    net[1].register_forward_pre_hook(lambda module, args: seen.append("before"))
    net[1].register_full_backward_hook(lambda module, into, out: seen.append("backward"))
    renorm = to_batch_renorm(net, inplace=True)
    renorm(images()).sum().backward()
    assert seen == ["before", "BatchRenorm2d", "backward"]
    handle.remove()
    seen.clear()
    to_batch_norm(renorm, inplace=True)(images()).sum().backward()
    assert seen == ["before", "backward"]


def test_the_schedule_starts_closed_whatever_the_counter_says():
    norm = nn.BatchNorm2d(1)
    norm.num_batches_tracked.fill_(10**6)
    renorm = to_batch_renorm(norm)
    assert isinstance(renorm, BatchRenorm2d)
    assert [limit.item() for limit in renorm.limits()] == [1.0, 0.0]
    x = images() * 3 + 1
    torch.testing.assert_close(renorm(x), nn.BatchNorm2d(1)(x))
    assert to_batch_norm(renorm).num_batches_tracked == 10**6 + 1


def test_batch_norm_momentum_none_counts_on():
    norm = nn.BatchNorm2d(1, momentum=None)
    for seed in range(3):
        norm(images(seed=seed))
    renorm = to_batch_renorm(norm, momentum=None)
    renorm(images(seed=3))
    batches = torch.stack([images(seed=seed).mean() for seed in range(4)])
    torch.testing.assert_close(renorm.running_mean, batches.mean().reshape(1))
    assert to_batch_norm(renorm).momentum is None


def test_sigma_a_little_below_eps_gives_variance_zero():
    layer = BatchRenorm2d(2)
    layer.running_std.copy_(torch.tensor([layer.eps**0.5 * (1 - 1e-6), 2.0]))
    var = to_batch_norm(layer).running_var
    assert var[0] == 0.0
    assert var[1].item() == pytest.approx(4.0 - 1e-5, rel=1e-6)


def test_layers_in_eval_mode_inside_a_training_module_are_frozen():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1)).train()
    net[0].eval()
    assert [type(layer) for layer in to_batch_renorm(net)] == [nn.BatchNorm2d, BatchRenorm2d]
    assert [type(layer) for layer in to_batch_renorm(net.eval())] == [BatchRenorm2d, BatchRenorm2d]


def test_a_frozen_beta_alone_is_not_a_frozen_layer():
    norm = nn.BatchNorm2d(1)
    norm.bias.requires_grad_(False)
    renorm = to_batch_renorm(norm)
    assert isinstance(renorm, BatchRenorm2d)
    assert not renorm.bias.requires_grad


def test_subclasses_that_only_configure_are_converted():
    net = randomized(nn.Sequential(Configured(1))).eval()
    renorm = to_batch_renorm(net)
    assert type(renorm[0]) is BatchRenorm2d
    torch.testing.assert_close(renorm(images()), net(images()))
    assert (to_batch_norm(renorm)[0].eps, to_batch_norm(renorm)[0].momentum) == (1e-3, 0.03)


def test_subclasses_with_a_forward_of_their_own_are_refused_by_name():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Sequential(NormAct(1)))
    with pytest.raises(UsageError, match=r"1\.0 \(NormAct\) does more than BatchNorm"):
        to_batch_renorm(net, inplace=True)
    assert isinstance(net[0], nn.BatchNorm2d)  # nothing is half converted


def test_the_refusal_is_short_where_many_are_refused():
    with pytest.raises(UsageError, match=r"; and 3 more\.$"):
        to_batch_renorm(nn.Sequential(*(NormAct(1) for _ in range(8))))


def test_lazy_layers_are_converted_once_they_have_a_shape():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nn.Sequential(nn.LazyBatchNorm2d())
    with pytest.raises(UsageError, match=r"0 \(LazyBatchNorm2d\) has no shape yet"):
        to_batch_renorm(net)
    net(images())
    assert type(to_batch_renorm(net)[0]) is BatchRenorm2d


def test_parametrized_layers_are_refused():
    norm = nn.BatchNorm2d(1)
    nn.utils.parametrize.register_parametrization(norm, "weight", nn.Softplus())
    with pytest.raises(UsageError, match="has modules inside"):
        to_batch_renorm(nn.Sequential(norm))


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -1.0])
def test_statistics_that_are_no_statistics_are_refused(broken):
    net = nn.Sequential(nn.BatchNorm2d(2))
    net[0].running_var[1] = broken
    with pytest.raises(UsageError, match=r"0 \(BatchNorm2d\) has statistics that are negative or not finite"):
        to_batch_renorm(net)


def test_scripted_modules_are_refused():
    scripted = torch.jit.script(nn.Sequential(nn.BatchNorm2d(1)))
    for convert in (to_batch_renorm, to_batch_norm):
        with pytest.raises(UsageError, match="convert the eager module"):
            convert(scripted)


def test_sync_batch_norm_goes_there_and_back_and_runs_in_one_process():
    net = nn.SyncBatchNorm.convert_sync_batchnorm(randomized(nn.Sequential(nn.BatchNorm2d(1))))
    renorm = to_batch_renorm(net, schedule=ALWAYS_OPEN)
    assert type(renorm[0]) is SyncBatchRenorm
    plain = to_batch_renorm(randomized(nn.Sequential(nn.BatchNorm2d(1))), schedule=ALWAYS_OPEN)
    torch.testing.assert_close(renorm(images()), plain(images()))
    assert type(to_batch_norm(renorm)[0]) is nn.SyncBatchNorm


def test_converted_modules_can_be_copied_and_scripted():
    renorm = to_batch_renorm(
        randomized(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))), schedule=RenormSchedule(1, 3, 3)
    )
    copied, scripted = copy.deepcopy(renorm), torch.jit.script(copy.deepcopy(renorm))
    for seed in range(4):
        x = images(seed=seed)
        expected = renorm(x)
        torch.testing.assert_close(copied(x), expected)
        torch.testing.assert_close(scripted(x), expected)


def test_a_module_without_batch_norm_comes_back_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4))
    assert [type(layer) for layer in to_batch_renorm(net)] == [nn.Conv2d, nn.GroupNorm]


def test_gamma_without_beta_is_kept():
    norm = randomized(nn.BatchNorm2d(1)).eval()
    norm.bias = None  # what `bias=False` gives where torch has it
    renorm = to_batch_renorm(norm)
    assert renorm.bias is None
    torch.testing.assert_close(renorm(images()), norm(images()))
    torch.testing.assert_close(renorm.train()(images()), nn.BatchNorm2d(1)(images()) * norm.weight)
    assert to_batch_norm(renorm).bias is None


def trained(steps, **how):
    net = to_batch_renorm(nn.Sequential(nn.BatchNorm2d(1)), **how)
    for step in range(steps):
        net.train()(images(seed=step))
    return net


def test_a_schedule_that_never_opened_is_said_so_in_the_repr_and_where_the_training_ends():
    net = trained(3)
    assert "BatchNorm so far: step 3, opens after 5000" in repr(net)
    with pytest.warns(RuntimeWarning, match=r"trained for 3 steps, all of them as plain BatchNorm.*total_steps"):
        to_batch_norm(net)


@pytest.mark.parametrize(
    ("steps", "how"),
    [
        (0, {}),
        (10, {"total_steps": 10}),
        (3, {"schedule": ALWAYS_OPEN}),
        (3, {"schedule": RenormSchedule(1, 5, 5)}),
        (3, {"schedule": RenormSchedule(0, 0, 0, 1.0, 0.0)}),
    ],
    ids=["not trained", "scaled to the run", "always open", "opening", "BatchNorm on purpose"],
)
def test_a_schedule_that_opened_or_never_should_warns_of_nothing(steps, how):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_batch_norm(trained(steps, **how))


def test_the_schedule_follows_the_length_of_the_run():
    layer = trained(0, total_steps=1000)[0]
    assert (layer.closed_until, layer.r_open_at, layer.d_open_at) == (50, 300, 300)
    assert "opening: step 10 of 18" in repr(trained(10, total_steps=60))
    assert "step" not in repr(trained(10, total_steps=10))
    with pytest.raises(UsageError, match="not both"):
        trained(0, total_steps=10, schedule=ALWAYS_OPEN)
