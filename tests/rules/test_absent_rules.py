"""BN101 (statistics missing) and BN102 (never updated): what fires them, and what must not."""

from __future__ import annotations

import pytest
import torch
from digit_nets import ARCH, SAMPLES, assert_healthy, codes, conv_net, dense_net, norms, only, train
from torch import nn

import bncheck


@pytest.fixture
def save(tmp_path):
    """Writes a state dict and gives its path."""

    def write(state):
        torch.save(state, tmp_path / "weights.pt")
        return tmp_path / "weights.pt"

    return write


def without(state, *endings):
    return {name: tensor for name, tensor in state.items() if not name.endswith(endings)}


def with_trained_affine(net):
    generator = torch.Generator().manual_seed(0)
    for norm in norms(net):
        norm.bias.data.normal_(0.0, 0.3, generator=generator)
    return net


# BN101


def test_a_checkpoint_of_parameters_alone_lacks_the_statistics_its_architecture_expects(healthy, save):
    parameters = without(healthy.state_dict(), "running_mean", "running_var", "num_batches_tracked")
    report = bncheck.inspect(save(parameters), arch=ARCH)
    finding = only(report, "BN101")
    assert (finding.severity, finding.layer) == ("error", None)
    assert (finding.evidence["missing"], finding.evidence["layers_expected"]) == (6, 6)
    assert "stem.bn" in finding.message
    assert "and 1 more" in finding.message
    assert report.summary.exit_code == 1


@pytest.mark.parametrize("lost", ["running_mean", "running_var"])
def test_one_layer_without_a_statistic_is_named(healthy, save, lost):
    report = bncheck.inspect(save(without(healthy.state_dict(), f"blocks.1.bn.{lost}")), arch=ARCH)
    assert only(report, "BN101").layer == "blocks.1.bn"
    assert {layer.name: layer.codes for layer in report.layers}["blocks.1.bn"] == ("BN101",)


def test_without_an_architecture_layers_named_alike_show_what_is_missing(healthy, save):
    state = without(healthy.state_dict(), "blocks.1.bn.running_mean", "blocks.1.bn.running_var")
    assert only(bncheck.inspect(save(state)), "BN101").layer == "blocks.1.bn"


def test_affine_pairs_alone_may_be_layer_norms(save):
    state = {"encoder.norm1.weight": torch.rand(8), "encoder.norm1.bias": torch.rand(8)}
    assert codes(bncheck.inspect(save(state))) == []


def test_layer_norms_beside_batch_norms_lack_nothing(save):
    net = nn.ModuleDict({"stem": nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)), "norm": nn.LayerNorm(8)})
    assert codes(bncheck.inspect(save(net.state_dict()))) == []


def test_norms_that_keep_no_statistics_by_configuration_lack_none(save):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.GroupNorm(2, 4))
    assert codes(bncheck.inspect(save(net.state_dict()), arch=lambda: net)) == ["BN303"]


def test_files_older_than_the_update_counter_lack_nothing(healthy, save, held_out):
    path = save(without(healthy.state_dict(), "num_batches_tracked"))
    assert codes(bncheck.inspect(path)) == []
    report = bncheck.inspect(path, held_out, arch=ARCH)
    assert (codes(report), report.summary.exit_code) == ([], 0)


# BN102


def test_initial_statistics_under_trained_weights_are_one_finding_for_the_whole_model():
    report = bncheck.inspect(with_trained_affine(conv_net()))
    finding = only(report, "BN102")
    assert (finding.severity, finding.layer) == ("error", None)
    assert finding.evidence["layers"] == [layer.name for layer in report.layers]
    assert (finding.evidence["mean"], finding.evidence["variance"]) == (0.0, 1.0)
    low, high = finding.evidence["beta_min_max"]
    assert low < 0 < high


def test_the_update_counter_tells_batch_norm_where_only_tensors_are_known(save):
    state = with_trained_affine(conv_net()).state_dict()
    assert only(bncheck.inspect(save(state)), "BN102").evidence["updates"] == 0
    uncounted = bncheck.inspect(save(without(state, "num_batches_tracked")))
    assert (only(uncounted, "BN102").severity, uncounted.summary.exit_code) == ("info", 4)


def test_a_single_layer_among_others_is_named(healthy):
    healthy.blocks[1].bn.reset_running_stats()
    assert only(bncheck.inspect(healthy), "BN102").layer == "blocks.1.bn"


def test_scripted_models_are_judged_too():
    report = bncheck.inspect(SAMPLES / "never_updated.torchscript.pt")
    assert only(report, "BN102").severity == "error"


@pytest.mark.parametrize(("statistic", "value"), [("running_mean", 1e-30), ("running_var", 1.0000001)])
def test_one_value_that_moved_shows_that_updates_ran(statistic, value):
    net = with_trained_affine(conv_net())
    for norm in norms(net):
        getattr(norm, statistic)[0] = value
    assert only(bncheck.inspect(net), "BN104").severity == "info"
    for norm in norms(net):
        norm.num_batches_tracked += 100
    assert codes(bncheck.inspect(net)) == []


def test_weights_trained_around_the_identity_need_it(training, held_out):
    """Their norms were in eval mode all along: the statistics are initial, and right."""
    torch.manual_seed(0)
    net = train(dense_net(), training, rate=0.1, norms_frozen=True)
    assert only(bncheck.inspect(net), "BN102").severity == "error"
    report = bncheck.inspect(net, held_out)
    assert_healthy(report)
    finding = report.findings[0]
    assert (finding.code, finding.severity) == ("BN102", "info")
    assert "They serve these data: accuracy is 9" in finding.message
    assert "Leave the statistics as they are" in finding.fix


def fresh():
    return conv_net()


def as_dcgan_begins():
    net = conv_net()
    for norm in norms(net):
        nn.init.normal_(norm.weight, 1.0, 0.02)
        nn.init.zeros_(norm.bias)
    return net


def zero_init_residual():
    net = conv_net()
    nn.init.zeros_(norms(net)[-1].weight)
    return net


def without_affine():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8, affine=False))


@pytest.mark.parametrize("build", [fresh, as_dcgan_begins, zero_init_residual, without_affine])
def test_untrained_networks_have_had_nothing_to_update(build, save):
    torch.manual_seed(0)
    assert codes(bncheck.inspect(build())) == []
    assert codes(bncheck.inspect(save(build().state_dict()))) == []
