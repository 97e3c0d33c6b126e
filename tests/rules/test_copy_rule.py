"""BN401 (averaged weights with statistics of another model): what fires it, and what must not."""

from __future__ import annotations

import copy

import pytest
import torch
from digit_nets import ARCH, assert_healthy, codes, conv_net, measure_statistics, norms, only, train
from torch import nn

import bncheck


@pytest.fixture
def save(tmp_path):
    def write(content):
        torch.save(content, tmp_path / "last.ckpt")
        return tmp_path / "last.ckpt"

    return write


def without_statistics(state):
    """The weights, and buffers as a new network has them."""
    fresh = {"running_mean": torch.zeros_like, "running_var": torch.ones_like, "num_batches_tracked": torch.zeros_like}
    return {name: fresh.get(name.rpartition(".")[2], torch.clone)(value) for name, value in state.items()}


def nudged(state, by=0.01):
    """Slightly other weights over the same buffers."""
    return {name: value if "running" in name or "num_" in name else value * (1 + by) for name, value in state.items()}


@pytest.mark.parametrize("name", ["ema", "state_dict_ema", "model_ema", "swa"])
@pytest.mark.parametrize("options", [{}, {"arch": ARCH}])
def test_an_averaged_copy_without_statistics_is_an_error(healthy, held_out, save, name, options):
    state = healthy.state_dict()
    path = save({"model": state, name: without_statistics(nudged(state)), "epoch": 3})
    finding = only(bncheck.inspect(path, **options), "BN401")
    assert (finding.severity, finding.layer) == ("error", None)
    assert finding.evidence["copy"] == name
    assert len(finding.evidence["copy_layers"]) == 6
    assert f"`{name}`" in finding.message
    chosen = bncheck.inspect(path, held_out if options else None, key=name, **options)
    finding = only(chosen, "BN401")
    assert (finding.severity, finding.evidence["raw"]) == ("error", "model")
    assert finding.evidence["layers"] == [layer.name for layer in chosen.layers]
    assert "update_bn" not in finding.fix
    assert "recalibrate" in finding.fix
    assert {layer.codes for layer in chosen.layers} == {("BN401",)}


def test_who_names_the_raw_model_is_not_told_of_the_other(healthy, save):
    path = save({"model": healthy.state_dict(), "ema": without_statistics(healthy.state_dict())})
    assert codes(bncheck.inspect(path, key="model")) == []


def test_what_is_wrong_beside_the_model_hides_nothing_about_it(healthy, held_out, save):
    x, y = held_out
    path = save({"model": healthy.state_dict(), "ema": without_statistics(healthy.state_dict())})
    assert codes(bncheck.inspect(path, (16 * x, y), arch=ARCH)) == ["BN401", "BN601"]


def test_prefixes_and_counts_of_averagers_do_not_matter(healthy, save):
    averager = torch.optim.swa_utils.AveragedModel(copy.deepcopy(healthy))
    for norm in norms(averager):
        norm.reset_running_stats()
    state = averager.state_dict()
    assert any(name.startswith("module.") for name in state)
    path = save({"state_dict": {f"model.{name}": value for name, value in healthy.state_dict().items()}, "ema": state})
    assert only(bncheck.inspect(path), "BN401").severity == "error"


def test_what_a_warm_up_left_is_initial_too(healthy, save):
    average = without_statistics(nudged(healthy.state_dict()))
    for name in average:
        if name.endswith("running_var"):
            average[name] *= 0.9
    path = save({"model": healthy.state_dict(), "ema": average})
    assert codes(bncheck.inspect(path)) == codes(bncheck.inspect(path, key="ema")) == ["BN401"]


def test_pickled_modules_are_compared_too(training, save):
    torch.manual_seed(0)
    net = train(conv_net(), training, steps=100)
    average = copy.deepcopy(net)
    for norm in norms(average):
        norm.reset_running_stats()
    path = save({"model": net, "ema": average})
    assert only(bncheck.inspect(path, trust_pickle=True), "BN401").evidence["copy"] == "ema"


def test_buffers_copied_along_are_a_remark(healthy, held_out, save):
    state = healthy.state_dict()
    path = save({"model": state, "ema": nudged(state)})
    beside = only(bncheck.inspect(path), "BN401")
    assert (beside.severity, beside.evidence["copy"]) == ("info", "ema")
    for data in (None, held_out):
        report = bncheck.inspect(path, data, arch=ARCH, key="ema")
        assert_healthy(report)
        finding = only(report, "BN401")
        assert finding.severity == "info"
        assert ("run it on data (data)" in finding.fix) == (data is None)
        assert (finding.fix == "Nothing: they fit these data.") == (data is not None)
    assert beside.fix.endswith('on data too (key="ema", data=D).')
    given = only(bncheck.inspect(path, held_out, arch=ARCH), "BN401")
    assert given.fix.endswith('on these data too (key="ema").')


@pytest.mark.slow
def test_data_show_where_copied_buffers_do_not_fit(healthy, training, held_out, save):
    """An average of weights that lie far apart, over the buffers of the last."""
    state = healthy.state_dict()
    torch.manual_seed(1)
    other = train(copy.deepcopy(healthy), training, rate=0.5, epochs=4).state_dict()
    average = {name: (state[name] + other[name]) / 2 if "num_" not in name else state[name] for name in state}
    stale = {name: state[name] if "running" in name else average[name] for name in average}
    path = save({"model": state, "ema": stale})
    finding = only(bncheck.inspect(path, held_out, arch=ARCH, key="ema"), "BN401")
    assert finding.severity == "error"
    assert "Inspect the raw model" in finding.fix
    assert codes(bncheck.inspect(path, held_out, arch=ARCH, key="model")) == []


def with_measured_statistics(net, data):
    average = copy.deepcopy(net)
    average.load_state_dict(nudged(net.state_dict()))
    return measure_statistics(average, data[0]).state_dict()


@pytest.mark.slow
def test_an_average_with_statistics_of_its_own(healthy, training, held_out, save):
    path = save({"model": healthy.state_dict(), "ema": with_measured_statistics(healthy, training)})
    for key in (None, "ema"):
        assert codes(bncheck.inspect(path, key=key)) == []
        assert codes(bncheck.inspect(path, held_out, arch=ARCH, key=key)) == []


@pytest.mark.parametrize("key", [None, "ema"])
def test_copies_that_are_no_other_model(healthy, save, key):
    state = healthy.state_dict()
    parameters = {name: value for name, value in state.items() if not name.endswith(("mean", "var", "tracked"))}
    fresh = conv_net().state_dict()
    assert codes(bncheck.inspect(save({"model": state, "ema": dict(state)}), key=key)) == []
    assert codes(bncheck.inspect(save({"model": fresh, "ema": nudged(fresh, 0.0)}), key=key)) == []
    assert "BN401" not in codes(bncheck.inspect(save({"model": state, "ema": parameters}), key=key))
    other = {f"{name}": value for name, value in nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).state_dict().items()}
    assert codes(bncheck.inspect(save({"model": state, "ema": other}), key=key)) == []


def test_two_raw_models_are_no_copies_of_each_other(healthy, save):
    path = save({"generator": healthy.state_dict(), "discriminator": nudged(healthy.state_dict())})
    assert codes(bncheck.inspect(path, key="generator")) == []


def test_a_layer_that_the_raw_model_has_not_learned_either(healthy, save):
    healthy.blocks[1].bn.reset_running_stats()
    path = save({"model": healthy.state_dict(), "ema": nudged(healthy.state_dict())})
    found = [(finding.code, finding.severity) for finding in bncheck.inspect(path).findings]
    assert found == [("BN102", "error"), ("BN401", "info")]
