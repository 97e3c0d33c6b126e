"""The tap sees every normalization call and can answer it, without ever writing to the model."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import bncheck
from bncheck.formats import from_module
from bncheck.formats.programs.hooks import custom_norms
from bncheck.formats.programs.tap import Tap
from bncheck.watch.policies import BATCH, STORED, Given, Policy, Statistics
from bncheck.watch.recorder import Recorder


def watch(module: nn.Module, x: torch.Tensor, policy: Policy) -> tuple[torch.Tensor, Recorder]:
    """The output of one forward under `policy`, and what was recorded."""
    model = from_module(module)
    tap, recorder = Tap(model), Recorder(per_sample=True)
    assert model.program is not None
    with custom_norms(model.program, tap), tap.watching(policy, recorder, len(x)):
        return model.program(x), recorder


def settled(module: nn.Module, *shape: int) -> nn.Module:
    """`module` with statistics that are neither initial nor those of the data."""
    torch.manual_seed(0)
    module.train()
    for _ in range(3):
        module(2 * torch.randn(shape) + 1)
    return module


class NormAct(nn.BatchNorm2d):
    """BatchNorm and its activation in one module, calling the functional form."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop = nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )
        return self.act(self.drop(x))


class FunctionalNorm(nn.Module):
    """Buffers of any name, and no norm module at all."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mu", torch.zeros(3))
        self.register_buffer("sigma2", torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, self.mu, self.sigma2, training=self.training, momentum=0.5)


LAYERS = {
    "BatchNorm1d": (nn.BatchNorm1d(3), (9, 3)),
    "BatchNorm1d with length": (nn.BatchNorm1d(3), (9, 3, 5)),
    "BatchNorm2d": (nn.BatchNorm2d(3), (9, 3, 5, 4)),
    "BatchNorm3d": (nn.BatchNorm3d(3), (9, 3, 2, 5, 4)),
    "without affine": (nn.BatchNorm2d(3, affine=False), (9, 3, 5, 4)),
    "cumulative average": (nn.BatchNorm2d(3, momentum=None), (9, 3, 5, 4)),
    "with activation": (NormAct(3), (9, 3, 5, 4)),
    "functional": (FunctionalNorm(), (9, 3, 5, 4)),
    "InstanceNorm2d": (nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (9, 3, 5, 4)),
}


@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS.keys())
def test_policies_give_the_outputs_of_eval_and_train_mode(layer: nn.Module, shape: tuple[int, ...]) -> None:
    layer = settled(copy.deepcopy(layer), *shape)
    x = torch.randn(shape)
    stored, _ = watch(layer, x, STORED)
    batch, _ = watch(layer, x, BATCH)
    trained = copy.deepcopy(layer).train()(x)
    torch.testing.assert_close(stored, copy.deepcopy(layer).eval()(x))
    torch.testing.assert_close(batch, trained, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(stored, batch, atol=1e-2)


def test_sync_batch_norm_is_watched_in_eval_mode_on_the_cpu() -> None:
    layer = nn.Sequential(nn.SyncBatchNorm(3)).eval()
    _, recorder = watch(layer, torch.randn(6, 3, 4, 4), STORED)
    assert list(recorder.by_layer()) == ["0"]


def test_given_statistics_replace_those_of_the_named_layer_only() -> None:
    net = settled(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3)), 9, 3, 5, 4)
    x = torch.randn(9, 3, 5, 4)
    mean, var = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0])
    output, _ = watch(net, x, Given({"2": Statistics(mean.double().numpy(), var.double().numpy())}))
    changed = copy.deepcopy(net).eval()
    changed[2].running_mean.copy_(mean)
    changed[2].running_var.copy_(var)
    torch.testing.assert_close(output, changed(x))


@pytest.mark.parametrize("policy", [STORED, BATCH], ids=["stored", "batch"])
@pytest.mark.parametrize("form", ["eager", "traced", "scripted", "exported", "decomposed"])
def test_every_form_of_a_program_gives_the_same_outputs(policy: Policy, form: str) -> None:
    net = settled(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3)), 9, 2, 6, 6)
    net.eval()
    x = torch.randn(9, 2, 6, 6)
    expected, _ = watch(net, x, policy)
    program: object = net
    if form == "traced":
        program = torch.jit.trace(net, x)
    elif form == "scripted":
        program = torch.jit.script(net)
    elif form != "eager":
        program = torch.export.export(net, (x,))
        program = program.run_decompositions() if form == "decomposed" else program
    # TorchScript profiles, then optimises: the third run is not the first.
    for _ in range(3):
        output, recorder = watch(program, x, policy)
        torch.testing.assert_close(output, expected)
        assert list(recorder.by_layer()) == ["1", "3"]


def test_a_graph_exported_in_training_mode_does_not_update_what_the_user_holds() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).train()
    x = torch.randn(5, 2, 6, 6)
    with warnings.catch_warnings(action="ignore"):  # tracing in training mode warns, rightly
        traced = torch.jit.trace(net, x, check_trace=False)
    before = {name: value.clone() for name, value in traced.state_dict().items()}
    report = bncheck.inspect(traced, torch.randn(40, 2, 6, 6))
    assert report.layers[0].status == "measured"
    for name, value in traced.state_dict().items():
        assert torch.equal(value, before[name]), name


class FrozenBatchNorm2d(nn.Module):
    """As detection libraries write it: buffers and plain arithmetic, no norm operator."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.eps = 1e-5
        for name, value in (("weight", 1.5), ("bias", 0.2), ("running_mean", 0.4), ("running_var", 2.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return x * scale.reshape(1, -1, 1, 1) + (self.bias - self.running_mean * scale).reshape(1, -1, 1, 1)


def test_frozen_batch_norm_is_measured_and_answered() -> None:
    net = nn.Sequential(FrozenBatchNorm2d(3))
    x = 3 * torch.randn(50, 3, 4, 4) + 1
    _, recorder = watch(net, x, STORED)
    measured = recorder.statistics()["0"]
    assert measured.mean == pytest.approx(x.mean((0, 2, 3)).double().numpy(), rel=1e-5)
    assert measured.var == pytest.approx(x.var((0, 2, 3), unbiased=False).double().numpy(), rel=1e-5)
    output, _ = watch(net, x, BATCH)
    expected = F.batch_norm(x, None, None, net[0].weight, net[0].bias, training=True)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


def test_hooks_are_gone_afterwards_even_when_the_forward_fails() -> None:
    net = nn.Sequential(FrozenBatchNorm2d(3))
    model = from_module(net)
    tap = Tap(model)
    with pytest.raises(RuntimeError), custom_norms(model.program, tap), tap.watching(STORED, None, 2):
        model.program(torch.randn(2, 7, 4, 4))
    assert not model.program[0]._forward_hooks
    assert not model.program[0]._forward_pre_hooks


class NormalizesOtherwise(nn.Module):
    """Holds running statistics but does not normalize by them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.full((3,), 0.5))
        self.register_buffer("running_var", torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x)


def test_a_layer_that_does_not_normalize_by_its_buffers_is_skipped_with_a_reason() -> None:
    net = nn.Sequential(NormalizesOtherwise(), nn.BatchNorm2d(3))
    report = bncheck.inspect(net, torch.randn(40, 3, 4, 4))
    assert [(layer.name, layer.status, layer.reason) for layer in report.layers] == [
        ("0", "skipped", "unsupported"),
        ("1", "measured", None),
    ]


class Shared(nn.Module):
    """One layer, called on two different inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x) + self.norm(x + 2)


def test_a_shared_layer_is_reported_per_call_and_together() -> None:
    x = torch.randn(64, 3, 4, 4)
    (layer,) = bncheck.inspect(Shared(), x).layers
    assert layer.calls == 2
    assert layer.call_gaps == pytest.approx([0.0, 2.0], abs=0.1)
    both = torch.cat([x, x + 2])
    assert layer.table.measured_mean == pytest.approx(both.mean((0, 2, 3)).double().numpy(), rel=1e-4)
    assert layer.table.measured_var == pytest.approx(both.var((0, 2, 3), unbiased=False).double().numpy(), rel=1e-4)


class Video(nn.Module):
    """Frames are folded into the batch axis."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def test_frames_of_a_video_are_one_sample() -> None:
    x = torch.randn(40, 1, 3, 4, 4).expand(-1, 8, -1, -1, -1).contiguous()
    folded = bncheck.inspect(Video(), x).layers[0]
    single = bncheck.inspect(nn.Sequential(nn.BatchNorm2d(3)), x[:, 0]).layers[0]
    # Eight equal frames tell no more than one: the noise must not shrink with them.
    assert folded.noise == pytest.approx(single.noise, rel=0.02)


def test_layers_without_stored_statistics_are_listed_with_the_reason() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.LayerNorm([4, 5, 5]), nn.RMSNorm([5])
    )
    layers = {layer.kind: layer for layer in bncheck.inspect(net, torch.randn(40, 3, 5, 5)).layers}
    assert layers["batch_norm"].status == "measured"
    for kind in ("group_norm", "layer_norm", "rms_norm"):
        assert (layers[kind].status, layers[kind].reason) == ("skipped", "no-running-statistics")


class WeightStandardized(nn.Conv2d):
    """Normalizes its own kernel through the batch norm operator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = F.batch_norm(self.weight.reshape(1, self.out_channels, -1), None, None, training=True)
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias)


def test_weight_standardisation_is_no_layer() -> None:
    net = nn.Sequential(WeightStandardized(3, 4, 3), nn.BatchNorm2d(4))
    assert [layer.name for layer in bncheck.inspect(net, torch.randn(40, 3, 6, 6)).layers] == ["1"]


class Casting(nn.BatchNorm2d):
    """Hands copies of its buffers to the operator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(
            x.float(), self.running_mean.float() * 1.0, self.running_var.float() * 1.0, self.weight, self.bias
        )


def test_copied_statistics_still_name_their_layer() -> None:
    net = nn.Sequential(Casting(3), nn.ReLU(), Casting(3))
    _, recorder = watch(net, torch.randn(8, 3, 4, 4), STORED)
    assert list(recorder.by_layer()) == ["0", "2"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_in_other_precisions_are_measured(dtype: torch.dtype) -> None:
    net = settled(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), 200, 4).eval()
    x = torch.randn(300, 4)
    expected = bncheck.inspect(net, x).layers[0]
    layer = bncheck.inspect(copy.deepcopy(net).to(dtype), x).layers[0]
    assert layer.gap == pytest.approx(expected.gap, rel=0.02)
    assert layer.own_gap == pytest.approx(expected.own_gap, rel=0.02)
