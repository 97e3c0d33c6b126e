"""BN204 (outside the range of half precision): what fires it, in which storage, and what must not."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from digit_nets import codes, only
from hand_built import layer
from torch import nn

import bncheck
from bncheck.core.half_precision import PRECISIONS
from bncheck.errors import UsageError
from bncheck.evidence import Evidence
from bncheck.rules.values.bn204 import judge as out_of_half_range


def judged(*layers, dtype=None):
    return list(out_of_half_range(Evidence(layers, deploy_dtype=dtype)))


def lost(finding):
    return [
        (one["array"], one["folded"], one["fate"], one["channel_indices"])
        for losses in finding.evidence["lost"].values()
        for one in losses
    ]


def test_a_variance_above_65504_is_lost_as_stored_and_fits_when_folded(healthy):
    healthy.stem.bn.running_var[3] = 1e5
    finding = only(bncheck.inspect(healthy, deploy_dtype="float16"), "BN204")
    assert (finding.severity, finding.layer) == ("error", "stem.bn")
    assert lost(finding) == [("running variance", False, "overflows", [3])]
    assert "1e+05, overflows" in finding.message
    assert "its scale and bias fit" in finding.message
    assert "fuse_conv_bn_eval" in finding.fix
    json.dumps(finding.evidence, allow_nan=False)


def test_without_the_option_it_is_a_remark(healthy):
    healthy.stem.bn.running_var[3] = 1e5
    report = bncheck.inspect(healthy)
    assert only(report, "BN204").severity == "info"
    assert (report.summary.verdict, report.summary.exit_code) == ("ok", 0)


def test_what_it_says_is_what_half_precision_does():
    """`model.half()` makes the channel a constant; folding first keeps it."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2)
    conv.weight.data[1] *= 1000
    norm.running_var[1] = 1e5
    norm.num_batches_tracked.fill_(1000)
    net = nn.Sequential(conv, norm).eval()
    finding = only(bncheck.inspect(net, deploy_dtype="float16"), "BN204")
    assert lost(finding) == [("running variance", False, "overflows", [1])]
    x = torch.rand(4, 1, 6, 6)
    exact = net(x)
    folded = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
    torch.testing.assert_close(folded.half()(x.half()).float(), exact, atol=0.02, rtol=0.01)
    assert net.half()(x.half())[:, 1].abs().max() == 0
    assert exact[:, 1].std() > 0.1


def test_a_folded_scale_that_overflows_is_not_to_be_folded():
    (finding,) = judged(layer(var=np.array([1e-12, 4.0]), weight=np.array([300.0, 1.0])), dtype="float16")
    assert finding.severity == "error"
    assert ("scale", True, "overflows", [0]) in lost(finding)
    assert "do not fold" in finding.fix
    assert "where the normalization is folded" in finding.message


def test_a_folded_bias_that_overflows():
    (finding,) = judged(layer(mean=np.array([0.0, 5e4]), var=np.array([4.0, 0.01])), dtype="float16")
    assert lost(finding) == [("bias", True, "overflows", [1])]


def test_a_folded_scale_that_becomes_0_counts_where_the_output_shows_it():
    wide = {"var": np.array([4.0, 1e16])}
    (finding,) = judged(layer(**wide), dtype="float16")
    assert ("scale", True, "becomes 0", [1]) in lost(finding)
    (finding,) = judged(layer(**wide, weight=np.array([1.0, 1e-6])), dtype="float16")
    assert [array for array, *_ in lost(finding)] == ["running variance"]


def test_eps_and_variance_must_not_become_0_together():
    for eps, expected in ((1e-12, [("variance + eps", False, "becomes 0", [1])]), (1e-5, None)):
        small = layer(var=np.array([1.0, 1e-9]), weight=np.array([1.0, 1e-3]), eps=eps)
        found = judged(small, dtype="float16")
        assert (lost(found[0]) if found else None) == expected
    assert judged(layer(var=np.array([1.0, 1e-9]), weight=np.array([1.0, 1e-3]), eps=1e-12)) == []


def test_layers_are_one_finding():
    wide = np.array([1e6, 1.0])
    (finding,) = judged(*(layer(f"bn{n}", var=wide) for n in range(7)), layer("fits"), dtype="float16")
    assert finding.layer is None
    assert finding.evidence["layers"] == [f"bn{n}" for n in range(7)]
    assert "2 more layers" in finding.message


@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16"])
@pytest.mark.parametrize(
    "changes",
    [
        {"var": np.array([6e4, 1e-13])},
        {"var": np.array([0.0, 1e-42])},
        {"var": np.array([1.0, 1e-14]), "eps": None},
        {"mean": np.array([65504.0, -65519.0]), "var": np.array([1e4, 1e4])},
        {"weight": None, "bias": None},
        {"var": np.array([1.0, np.inf])},
        {"var": np.array([1.0, -3.0])},
        {"mean": np.array([0.0, np.nan])},
    ],
)
def test_what_fits_or_belongs_to_another_rule(changes, dtype):
    assert judged(layer(**changes), dtype=dtype) == []


def test_bfloat16_has_the_range_of_float32():
    assert judged(layer(var=np.array([1e30, 1e-30])), dtype="bfloat16") == []
    (finding,) = judged(layer(var=np.array([1.0, 3.4e38])), dtype="bfloat16")
    assert lost(finding) == [("running variance", False, "overflows", [1])]
    assert "or deploy in bfloat16" not in finding.fix


@pytest.mark.parametrize(("name", "dtype"), [("float16", torch.float16), ("bfloat16", torch.bfloat16)])
def test_the_limits_are_where_rounding_puts_them(name, dtype):
    limits = PRECISIONS[name]
    assert limits.largest == torch.finfo(dtype).max
    for value, inside, outside in ((limits.infinite, torch.isfinite, torch.isinf), (limits.zero, torch.ne, torch.eq)):
        just_inside = value * (1 - 1e-5 if value > 1 else 1 + 1e-3)
        rounded, kept = torch.tensor([value, just_inside], dtype=torch.float64).to(dtype)
        arguments = () if value > 1 else (0,)
        assert outside(rounded, *arguments)
        assert inside(kept, *arguments)


def test_a_healthy_net_suits_both(healthy, held_out):
    for dtype in PRECISIONS:
        assert codes(bncheck.inspect(healthy, deploy_dtype=dtype)) == []
        assert codes(bncheck.inspect(healthy, held_out, deploy_dtype=dtype)) == []


def test_a_precision_there_is_not(healthy):
    with pytest.raises(UsageError, match=r"^deploy_dtype int8: choose one of float16, bfloat16\.$"):
        bncheck.inspect(healthy, deploy_dtype="int8")


def test_the_report_says_which_precision_was_meant(healthy):
    assert bncheck.inspect(healthy, deploy_dtype="float16").run.options["deploy_dtype"] == "float16"
    assert "deploy_dtype" not in bncheck.inspect(healthy).run.options
