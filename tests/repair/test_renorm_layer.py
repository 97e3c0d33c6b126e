"""The layer computes what Ioffe 2017 says, and makes none of the mistakes that public implementations made."""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch
from renorm_nets import formula, randomized
from torch import nn

from bncheck import BatchRenorm1d, BatchRenorm2d, BatchRenorm3d, RenormSchedule, UsageError
from bncheck.nn.schedule import ALWAYS_OPEN, BATCH_NORM_ONLY

WIDE_OPEN = RenormSchedule(0, 0, 0, r_max=1e6, d_max=1e6)
LAYERS = (
    (BatchRenorm1d, (6, 3)),
    (BatchRenorm1d, (6, 3, 5)),
    (BatchRenorm2d, (4, 3, 5, 2)),
    (BatchRenorm3d, (4, 3, 2, 3, 2)),
)


def made(kind=BatchRenorm2d, schedule=WIDE_OPEN, **how):
    return randomized(kind(3, schedule=schedule, dtype=torch.float64, **how))


def drawn(*shape, seed=1, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 + 0.7


@pytest.mark.parametrize(("kind", "shape"), LAYERS)
def test_unclipped_the_training_output_is_the_inference_output(kind, shape):
    layer, x = made(kind), drawn(*shape)
    inferred = layer.eval()(x)
    torch.testing.assert_close(layer.train()(x), inferred, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "shape"), LAYERS)
@pytest.mark.parametrize(("r_max", "d_max"), [(1.0, 0.0), (1.2, 0.3), (3.0, 5.0), (1e6, 1e6)])
def test_output_and_gradients_are_those_of_the_formula(kind, shape, r_max, d_max):
    layer = made(kind, RenormSchedule(0, 0, 0, r_max, d_max))
    other, x = copy.deepcopy(layer), drawn(*shape)
    x = (x * torch.tensor([0.1, 1.0, 5.0]).view(1, 3, *[1] * (x.dim() - 2))).requires_grad_()  # both ends clip
    expected = formula(other, x, r_max, d_max)
    towards = drawn(*shape, seed=2)
    wanted = torch.autograd.grad(expected, (x, other.weight, other.bias), towards)
    output = layer.train()(x)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad(output, (x, layer.weight, layer.bias), towards)
    for gradient, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, want, rtol=1e-9, atol=1e-11)


def test_closed_it_is_batch_norm():
    layer, norm, x = made(schedule=BATCH_NORM_ONLY), nn.BatchNorm2d(3, dtype=torch.float64), drawn(4, 3, 5, 5)
    norm.weight, norm.bias = layer.weight, layer.bias
    torch.testing.assert_close(layer(x), norm(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("schedule", [BATCH_NORM_ONLY, RenormSchedule(0, 0, 0, 1.1, 0.1), WIDE_OPEN])
def test_gradcheck_with_r_and_d_held_still(schedule):
    # The averages follow the batch, so r and d are taken once, as the constants they are to the gradient.
    layer, x = made(schedule=schedule), drawn(4, 3, 2, 2).requires_grad_()
    r, d = layer._correction(x.detach().mean((0, 2, 3)), (x.detach().var((0, 2, 3), correction=0) + layer.eps).sqrt())
    layer._correction = lambda mean, std: (r, d)
    assert torch.autograd.gradcheck(layer, (x,))


def test_no_gradient_flows_through_r_and_d():
    # Wide open the output depends on x as the averages do; with a gradient through r and d it would be gamma / sigma.
    layer, x = made(), drawn(8, 3, 4, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_the_averages_are_of_the_mean_and_of_sigma_with_eps_inside():
    layer, x = made(momentum=0.25), drawn(4, 3, 5, 5)
    mean, std = layer.running_mean.clone(), layer.running_std.clone()
    batch_std = (x.var((0, 2, 3), correction=0) + 1e-5).sqrt()
    layer(x)
    torch.testing.assert_close(layer.running_mean, 0.75 * mean + 0.25 * x.mean((0, 2, 3)), rtol=1e-12, atol=0)
    torch.testing.assert_close(layer.running_std, 0.75 * std + 0.25 * batch_std, rtol=1e-12, atol=0)


def test_sigma_is_averaged_and_not_the_variance():
    layer = BatchRenorm1d(1, momentum=None, dtype=torch.float64)
    for scale in (1.0, 3.0):
        layer(torch.tensor([[-scale], [scale]], dtype=torch.float64))
    assert layer.running_std.item() == pytest.approx(2.0, abs=1e-4)  # the root of the mean variance is 2.24


def test_eps_counts_once():
    # Variance 1e-3, eps 1e-3: with eps added again in eval mode the outputs would differ by a fifth.
    layer = BatchRenorm2d(3, eps=1e-3, momentum=None, schedule=WIDE_OPEN, dtype=torch.float64)
    x = drawn(64, 3, 4, 4) * 1e-3**0.5 / 2
    layer(x)
    trained = layer(x)
    torch.testing.assert_close(layer.eval()(x), trained, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        trained.var((0, 2, 3), correction=0), x.var((0, 2, 3), correction=0) / (x.var((0, 2, 3), correction=0) + 1e-3)
    )


def test_no_bessel_factor():
    layer, x = BatchRenorm2d(3, momentum=None, dtype=torch.float64), drawn(2, 3, 1, 2)
    layer(x)
    torch.testing.assert_close(layer.running_std, (x.var((0, 2, 3), correction=0) + 1e-5).sqrt(), rtol=1e-12, atol=0)


def test_momentum_none_averages_all_batches_equally():
    layer, batches = BatchRenorm2d(3, momentum=None, dtype=torch.float64), [drawn(4, 3, 2, 2, seed=s) for s in range(5)]
    for x in batches:
        layer(x)
    means = torch.stack([x.mean((0, 2, 3)) for x in batches])
    torch.testing.assert_close(layer.running_mean, means.mean(0), rtol=1e-12, atol=1e-12)


def test_nothing_is_updated_in_eval_mode():
    layer = made().eval()
    before = {name: tensor.clone() for name, tensor in layer.named_buffers()}
    layer(drawn(4, 3, 5, 5))
    for name, tensor in layer.named_buffers():
        assert torch.equal(tensor, before[name]), name


def test_d_clips_once_however_often_it_is_called():
    layer = made(schedule=RenormSchedule(0, 0, 0, 1.0, 0.5), momentum=1e-9)
    layer.running_mean.fill_(-100.0)
    x = drawn(4, 3, 5, 5)
    for _ in range(2):
        shift = ((layer(x) - layer.bias.view(1, -1, 1, 1)) / layer.weight.view(1, -1, 1, 1)).mean((0, 2, 3))
        torch.testing.assert_close(shift, torch.full_like(shift, 0.5), rtol=1e-6, atol=1e-6)
    assert layer.clipped.tolist() == [1.0, 1.0]


def test_one_channel_keeps_its_axis():
    layer = BatchRenorm2d(1)
    assert layer(drawn(4, 1, 2, 2, dtype=torch.float32)).shape == (4, 1, 2, 2)
    assert layer.running_mean.shape == layer.running_std.shape == (1,)


@pytest.mark.parametrize(
    ("step", "r_max", "d_max"),
    [
        (0, 1, 0),
        (4_999, 1, 0),
        (5_000, 1, 0),
        (15_000, 1 + 2 / 3.5, 2.5),
        (25_000, 1 + 4 / 3.5, 5),
        (40_000, 3, 5),
        (10**6, 3, 5),
    ],
)
def test_the_schedule_is_the_papers(step, r_max, d_max):
    layer = BatchRenorm2d(3, dtype=torch.float64)
    layer.schedule_step.fill_(step)
    assert [limit.item() for limit in layer.limits()] == pytest.approx([r_max, d_max])


def test_a_schedule_for_a_run_is_closed_for_5_percent_and_open_from_30():
    assert RenormSchedule.for_run(1000) == RenormSchedule(50, 300, 300, 3.0, 5.0)
    assert RenormSchedule.for_run(1) == ALWAYS_OPEN
    layer = BatchRenorm1d(1, schedule=ALWAYS_OPEN)
    assert [limit.item() for limit in layer.limits()] == [3.0, 5.0]


@pytest.mark.parametrize(
    "wrong", [{"closed_until": 50_000}, {"closed_until": -1}, {"r_max": 0.5}, {"d_max": -1.0}, {"r_max": float("nan")}]
)
def test_a_schedule_that_means_nothing_is_refused(wrong):
    with pytest.raises(UsageError, match=r"r_max|closed"):
        RenormSchedule(**wrong)


def test_a_scripted_layer_goes_on_opening():
    layer = BatchRenorm2d(3, momentum=1e-6, schedule=RenormSchedule(2, 4, 4))
    scripted = torch.jit.script(copy.deepcopy(layer))
    for _ in range(6):
        x = drawn(16, 3, 4, 4, dtype=torch.float32)
        torch.testing.assert_close(scripted(x), layer(x))
    torch.testing.assert_close(scripted(x), layer.eval()(x), rtol=1e-3, atol=1e-3)


def test_an_exported_training_graph_goes_on_opening():
    net = nn.Sequential(BatchRenorm2d(3, momentum=1e-6, schedule=RenormSchedule(2, 4, 4)))
    x = drawn(16, 3, 4, 4, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(copy.deepcopy(net).train(), (x,)).module()
    closed = program(x)
    for _ in range(5):
        opened = program(x)
    torch.testing.assert_close(opened, net.eval()(x), rtol=1e-3, atol=1e-3)
    assert (closed - opened).abs().max() > 0.1


def test_an_exported_eval_graph_gives_the_same():
    layer, x = made().float().eval(), drawn(4, 3, 5, 5, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(program(x), layer(x))


def test_the_state_survives_saving_and_loading():
    layer = made()
    layer(drawn(4, 3, 5, 5))
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = BatchRenorm2d(3, dtype=torch.float64)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert set(layer.state_dict()) == {
        "weight",
        "bias",
        "running_mean",
        "running_std",
        "num_batches_tracked",
        "schedule_step",
    }
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    x = drawn(4, 3, 5, 5)
    assert torch.equal(layer.eval()(x), other.eval()(x))


def test_a_batch_norm_state_can_be_loaded_and_the_schedule_starts_closed():
    norm = randomized(nn.BatchNorm2d(3, dtype=torch.float64)).eval()
    norm.num_batches_tracked.fill_(10**6)
    state = norm.state_dict()
    layer = BatchRenorm2d(3, dtype=torch.float64).eval()
    layer.load_state_dict(state)
    x = drawn(4, 3, 5, 5)
    torch.testing.assert_close(layer(x), norm(x), rtol=1e-12, atol=1e-12)
    assert [limit.item() for limit in layer.limits()] == [1.0, 0.0]
    assert "running_var" in state  # the user's dict is as it was


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_inputs_are_normalized_in_float32(dtype):
    layer = BatchRenorm2d(3, momentum=None)
    x = (drawn(8, 3, 16, 16) + 100).to(dtype)
    assert layer(x).dtype == dtype
    assert layer.running_mean.dtype == layer.running_std.dtype == torch.float32
    torch.testing.assert_close(layer.running_mean, x.float().mean((0, 2, 3)))
    assert layer.eval()(x).dtype == dtype


def test_autocast_leaves_the_averages_in_float32():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), BatchRenorm2d(3, momentum=None))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = net(drawn(4, 1, 8, 8, dtype=torch.float32))
        output.float().square().mean().backward()
    assert output.dtype == torch.bfloat16
    assert net[1].running_std.dtype == torch.float32
    assert net[1].weight.grad.dtype == torch.float32


def test_without_affine_there_are_no_parameters():
    layer, x = made(affine=False), drawn(4, 3, 5, 5)
    assert list(layer.parameters()) == []
    torch.testing.assert_close(layer.eval()(x), layer.train()(x), rtol=0, atol=1e-12)


def test_one_layer_may_be_used_twice_before_backward():
    layer = BatchRenorm2d(3)
    x = drawn(4, 3, 5, 5, dtype=torch.float32).requires_grad_()
    layer(torch.relu(layer(x))).square().sum().backward()
    assert layer.num_batches_tracked == 2
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("kind", "shape"), [(BatchRenorm1d, (2, 3, 4, 5)), (BatchRenorm2d, (2, 3)), (BatchRenorm3d, (2, 3, 4, 5))]
)
def test_inputs_of_another_rank_are_refused(kind, shape):
    with pytest.raises(ValueError, match="expected an input with"):
        kind(3)(torch.zeros(shape))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [1, 5])
def test_another_number_of_channels_is_refused(training, channels):
    # One channel would be broadcast to the layer's three.
    with pytest.raises(ValueError, match=f"an input with 3 channels, got {channels}"):
        BatchRenorm2d(3).train(training)(torch.zeros(4, channels, 2, 2))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kind", "shape"), [(BatchRenorm1d, (0, 3)), (BatchRenorm2d, (0, 3, 5, 5))])
def test_an_empty_batch_passes_as_in_batch_norm_and_leaves_no_trace(kind, shape, training):
    layer, x = kind(3).train(training), torch.zeros(shape, requires_grad=True)
    before = copy.deepcopy(layer.state_dict())
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == shape
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_one_value_per_channel_is_refused_in_training_only():
    layer = BatchRenorm1d(3)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(torch.zeros(1, 3))
    assert layer.num_batches_tracked == 0
    assert layer.eval()(torch.zeros(1, 3)).shape == (1, 3)


def test_a_constant_batch_is_no_division_by_zero():
    layer = BatchRenorm1d(3)
    x = torch.ones(4, 3, requires_grad=True)
    layer(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(layer.running_std).all()


def test_reset_goes_back_to_the_start():
    layer = made()
    layer(drawn(4, 3, 5, 5))
    layer.reset_parameters()
    assert layer.weight.tolist() == layer.running_std.tolist() == [1.0, 1.0, 1.0]
    assert layer.bias.tolist() == layer.running_mean.tolist() == [0.0, 0.0, 0.0]
    assert layer.schedule_step == layer.num_batches_tracked == 0


def test_gamma_without_beta_is_used():
    layer, x = made(bias=False), drawn(4, 3, 5, 5)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    torch.testing.assert_close(layer.eval()(x), layer.train()(x), rtol=0, atol=1e-12)
    layer.weight.data.zero_()
    assert not layer(x).any()
    layer.reset_parameters()
    assert layer.weight.tolist() == [1.0, 1.0, 1.0]
