"""The runtime's own normalization is compared with float64: wrong kernels are found, sound ones never."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from wrong_kernels import WRONG, Kernel, installed, last_sample_off, one_channel_off, right

import bncheck
from bncheck.core.layers import BATCH_NORM, NormLayer
from bncheck.core.thresholds import ROUNDINGS
from bncheck.data import DataOptions, open_data
from bncheck.evidence import RuntimeCheck
from bncheck.formats import from_module
from bncheck.formats.programs.runtime import SAMPLES, VALUES, compared, compared_tensors, spread
from bncheck.measure.observing import observe
from bncheck.measure.plan import Plan
from bncheck.watch.sites import Site

# BN704 is judged by what is compared while the model is measured.
pytestmark = pytest.mark.usefixtures("without_probes")
SITE = Site("bn", 0)


def settled(net: nn.Module, seed: int = 0) -> nn.Module:
    """`net` in eval mode, with statistics and parameters of any values."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.2, 3.0, generator=generator)
        if getattr(module, "running_mean", None) is not None and module.weight is not None:
            nn.init.normal_(module.weight, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
    return net.eval()


def conv_net() -> nn.Module:
    torch.manual_seed(0)
    return settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)))


def images(samples: int = 40) -> torch.Tensor:
    return torch.randn(samples, 3, 9, 7, generator=torch.Generator().manual_seed(1))


def checks(net: nn.Module, x: torch.Tensor, batch_size: int = 64) -> tuple[RuntimeCheck, ...]:
    """What observing `net` on `x` compares."""
    with from_module(net).session("x", 0) as session:
        seen = observe(session, open_data(x, DataOptions()), Plan(batch_size), lambda *_: None)
    return seen.session.runtime


def assert_sound(net: nn.Module, x: torch.Tensor, calls: int) -> None:
    found = checks(net, x)
    assert len(found) == calls
    assert all(check.values > 0 for check in found)
    assert max(check.error for check in found) <= ROUNDINGS
    assert "BN704" not in [finding.code for finding in bncheck.inspect(net, x).findings]


def test_the_stand_in_kernel_is_sound() -> None:
    with installed(right):
        assert_sound(conv_net(), images(), calls=2)


@pytest.mark.parametrize("kernel", WRONG, ids=lambda kernel: kernel.__name__)
def test_a_wrong_kernel_is_found_in_every_layer_it_serves(kernel: Kernel) -> None:
    with installed(kernel):
        report = bncheck.inspect(conv_net(), images())
    finding = next(finding for finding in report.findings if finding.code == "BN704")
    assert (finding.severity, finding.layer, finding.layers) == ("error", None, ("1", "3"))
    assert finding.evidence["roundings"] > ROUNDINGS
    assert report.summary.exit_code == 1
    assert "BN603" not in [other.code for other in report.findings]
    assert_sound(conv_net(), images(), calls=2)


def traced(net: nn.Module) -> nn.Module:
    return torch.jit.trace(net, images(3))


def exported(net: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(net, (images(3),), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
    return program.run_decompositions()


@pytest.mark.parametrize("form", [traced, torch.jit.script, exported], ids=["traced", "scripted", "decomposed"])
def test_a_wrong_kernel_is_found_in_every_form_of_a_program(form: Callable[[nn.Module], nn.Module]) -> None:
    program = form(conv_net())
    with installed(one_channel_off):
        report = bncheck.inspect(program, images())
    (finding,) = (finding for finding in report.findings if finding.code == "BN704")
    assert finding.evidence["channel"] == 1
    assert finding.evidence["channels_off"] == 1
    assert finding.evidence["runtime"] - finding.evidence["expected_value"] == pytest.approx(1e-3, rel=1e-2)
    assert "BN704" not in [finding.code for finding in bncheck.inspect(program, images()).findings]


def test_a_wrong_kernel_serves_instance_norm_too() -> None:
    net = settled(nn.Sequential(nn.InstanceNorm2d(3, affine=True, track_running_stats=True)))
    assert_sound(net, images(), calls=1)
    with installed(last_sample_off):
        assert checks(net, images())[0].error > ROUNDINGS


def test_the_last_of_many_samples_is_among_those_compared() -> None:
    net = settled(nn.Sequential(nn.BatchNorm1d(3)))
    with installed(last_sample_off):
        (check,) = checks(net, torch.randn(300, 3))
    assert check.values == 3 * SAMPLES
    assert check.error > ROUNDINGS


def test_no_forward_is_added_and_only_the_first_batch_compared() -> None:
    net, x = conv_net(), images(40)
    with installed(right) as fed:
        found = checks(net, x, batch_size=5)
    stored = [shape for shape in fed if shape[0] == 5]
    # Forty samples in fives, three times: as shipped, by the other half's statistics, and for the noise by their own.
    assert len(stored) == 2 * 3 * 8
    assert [(check.layer, check.call, check.values) for check in found] == [("1", 0, 5 * 4 * 35), ("3", 0, 5 * 4 * 35)]


def test_the_report_is_otherwise_the_same() -> None:
    found = bncheck.inspect(conv_net(), images()).to_dict()
    assert found["run"]["thresholds"]["roundings"] == ROUNDINGS
    assert "BN704" not in str(found)


SHAPES = {
    "vectors": (nn.BatchNorm1d(5), (40, 5)),
    "sequences": (nn.BatchNorm1d(5), (40, 5, 9)),
    "images": (nn.BatchNorm2d(5), (40, 5, 9, 7)),
    "volumes": (nn.BatchNorm3d(5), (40, 5, 3, 9, 7)),
    "one position": (nn.BatchNorm2d(5), (40, 5, 1, 1)),
    "no affine": (nn.BatchNorm2d(5, affine=False), (40, 5, 9, 7)),
    "tracked instances": (nn.InstanceNorm1d(5, affine=True, track_running_stats=True), (40, 5, 9)),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("norm", "shape"), SHAPES.values(), ids=SHAPES.keys())
def test_sound_kernels_of_every_type_and_rank_are_quiet(
    norm: nn.Module, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    net = settled(nn.Sequential(copy.deepcopy(norm))).to(dtype)
    assert_sound(net, torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(dtype), calls=1)


def test_sound_kernels_are_quiet_in_channels_last() -> None:
    net = conv_net().to(memory_format=torch.channels_last)
    assert_sound(net, images().to(memory_format=torch.channels_last), calls=2)


def with_values(mean: float = 0.0, var: float = 1.0, gamma: float = 1.0, eps: float = 1e-5) -> nn.Module:
    net = settled(nn.Sequential(nn.BatchNorm2d(3, eps=eps)))
    net[0].running_mean.add_(mean)
    net[0].running_var.mul_(var)
    with torch.no_grad():
        net[0].weight.mul_(gamma)
    return net


EXTREMES = {
    "mean of 1e4 standard deviations": (with_values(mean=1e4), 1e4, 1.0),
    "mean of 1e4, far from the data": (with_values(mean=1e4), 0.0, 1.0),
    "variance far below eps": (with_values(var=1e-12), 0.0, 1e-3),
    "variance zero": (with_values(var=0.0), 0.0, 1.0),
    "tiny eps, tiny variance": (with_values(var=1e-9, eps=1e-12), 0.0, 1e-4),
    "gamma zero": (with_values(gamma=0.0), 0.0, 1.0),
    "activations of a million": (with_values(), 0.0, 1e6),
    "activations that are hardly there": (with_values(), 0.0, 1e-42),
    "constant input": (with_values(), 3.0, 0.0),
}


@pytest.mark.parametrize(("net", "offset", "spread_"), EXTREMES.values(), ids=EXTREMES.keys())
def test_sound_kernels_are_quiet_on_extreme_values(net: nn.Module, offset: float, spread_: float) -> None:
    assert_sound(net, images() * spread_ + offset, calls=1)


def test_half_precision_that_overflows_is_no_wrong_kernel() -> None:
    net = with_values().half()
    net[0].running_var.fill_(1e-7)
    found = checks(net, (images() * 1e4).half())
    assert max((check.error for check in found), default=0.0) <= ROUNDINGS


@pytest.mark.parametrize("values", ["mean", "var"])
def test_statistics_that_are_not_finite_are_left_to_their_own_rule(values: str) -> None:
    net = conv_net()
    getattr(net[1], f"running_{values}")[2] = float("nan")
    codes = [finding.code for finding in bncheck.inspect(net, images()).findings]
    assert "BN201" in codes
    assert "BN704" not in codes
    (first, *_) = checks(net, images())
    assert first.errors[2] == 0.0
    assert first.values == 3 * SAMPLES * 35


def test_negative_variances_are_left_to_their_own_rule() -> None:
    net = with_values()
    net[0].running_var[0] = -9.99e-6  # all that is left of eps is its rounding
    codes = [finding.code for finding in bncheck.inspect(net, images()).findings]
    assert "BN202" in codes
    assert "BN704" not in codes


class OwnArithmetic(nn.Module):
    """Normalizes by its buffers nearly as batch norm does: eps stands outside the root."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.tensor([0.1, -0.2, 0.3]))
        self.register_buffer("running_var", torch.tensor([1.0, 2.0, 0.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = 1 / (self.running_var.sqrt() + 1e-5)
        return (x - self.running_mean[:, None, None]) * scale[:, None, None]


def test_arithmetic_of_the_models_own_is_not_judged() -> None:
    net = nn.Sequential(OwnArithmetic()).eval()
    assert bncheck.inspect(net, images()).layers[0].status == "measured"
    assert checks(net, images()) == ()


def test_layers_that_normalize_by_their_input_are_not_judged() -> None:
    class ByInput(nn.BatchNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, training=True, momentum=0.0)

    assert checks(nn.Sequential(ByInput(3), nn.BatchNorm2d(3, track_running_stats=False)).eval(), images()) == ()


def test_each_call_of_a_shared_layer_is_compared() -> None:
    norm = settled(nn.BatchNorm2d(3))
    assert [(c.layer, c.call) for c in checks(nn.Sequential(norm, nn.ReLU(), norm), images())] == [("0", 0), ("0", 1)]


def layer(**changes: object) -> NormLayer:
    values: dict[str, object] = {
        "mean": np.array([1.0, 10.0]),
        "var": np.array([3.0, 0.0]),
        "eps": 1.0,
        "weight": np.array([4.0, 2.0]),
        "bias": np.array([-1.0, 0.5]),
    }
    return NormLayer("bn", BATCH_NORM, 2, **(values | changes))


def test_an_error_counts_in_roundings_of_the_terms_that_are_added() -> None:
    # Channel 0: a = 4 / sqrt(3 + 1) = 2, so 2 (x - 1) - 1; channel 1: a = 2 / sqrt(0 + 1) = 2, so 2 (x - 10) + 0.5.
    x = np.array([[[3.0, 5.0], [10.0, 10.0]]])
    expected = np.array([[[3.0, 7.0], [0.5, 0.5]]])
    eps = float(np.finfo(np.float32).eps)
    off = expected.copy()
    off[0, 1, 1] += 1e-3
    check = compared(SITE, layer(), x, off, np.array([4, 9]), torch.float32)
    # The terms are 2 x 10, 2 x 10 and 0.5, although the answer is only 0.5.
    np.testing.assert_allclose(check.errors, [0.0, 1e-3 / (eps * 40.5)], rtol=1e-6)
    assert (check.layer, check.call, check.dtype, check.values) == ("bn", 0, "float32", 4)
    assert (check.channel, check.position) == (1, 9)
    assert (check.fed, check.expected, check.came) == (10.0, 0.5, 0.5 + 1e-3)
    assert check.error == check.errors[1]
    coarse = compared(SITE, layer(), x, off, np.array([4, 9]), torch.bfloat16)
    assert coarse.error == pytest.approx(1e-3 / (2**-7 * 40.5), rel=1e-6)


def test_without_gamma_and_beta_they_are_one_and_zero() -> None:
    x = np.array([[[3.0], [12.0]]])
    check = compared(
        SITE, layer(weight=None, bias=None), x, np.array([[[1.0], [2.0]]]), np.zeros(1, int), torch.float64
    )
    assert check.error == 0.0


def test_answers_that_are_not_finite_are_left_out() -> None:
    x, y = np.array([[[3.0, 3.0], [10.0, 10.0]]]), np.array([[[np.inf, 3.0], [np.nan, -np.inf]]])
    check = compared(SITE, layer(), x, y, np.arange(2), torch.float16)
    assert (check.values, check.error) == (1, 0.0)


def test_where_nothing_can_be_compared_there_is_no_check() -> None:
    nothing = np.full((1, 2, 1), np.nan)
    assert compared(SITE, layer(), nothing, nothing, np.zeros(1, int), torch.float32) is None
    x = torch.zeros(0, 2, 3)
    assert compared_tensors(SITE, layer(), x, x) is None
    assert compared_tensors(SITE, layer(), torch.zeros(4, 3), torch.zeros(4, 3)) is None
    assert compared_tensors(SITE, layer(), torch.zeros(4, 2).to_sparse(), torch.zeros(4, 2).to_sparse()) is None


def test_a_coarse_parameter_makes_the_check_coarse() -> None:
    x = torch.ones(4, 2)
    check = compared_tensors(SITE, layer(), x, x, torch.ones(2, dtype=torch.float16), None)
    assert check.dtype == "float16"


@pytest.mark.parametrize(
    ("total", "wanted", "expected"),
    [(5, 9, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (9, 0, [0]), (1, 4, [0]), (100, 2, [0, 99])],
)
def test_what_is_compared_is_spread_from_end_to_end(total: int, wanted: int, expected: list[int]) -> None:
    assert spread(total, wanted).tolist() == expected


def test_large_maps_are_bounded_and_keep_all_channels() -> None:
    x = torch.randn(20, 2, 300, 300)
    y = 2 * x - torch.tensor([3.0, 19.5])[:, None, None]
    check = compared_tensors(SITE, layer(), x, y)
    assert VALUES // 2 <= check.values <= VALUES
    assert check.errors.shape == (2,)
    assert check.error < ROUNDINGS
