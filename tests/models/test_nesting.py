from collections import OrderedDict

import pytest
import torch
from model_networks import Small, trained

import bncheck
from bncheck.errors import ModelError, UsageError
from bncheck.formats import open_model
from bncheck.results.notes import sentences


def _weights(seed):
    return trained(Small(), seed).state_dict()


def _mean(seed):
    return _weights(seed)["bn1.running_mean"].double().tolist()


def _open(tmp_path, content, **options):
    torch.save(content, tmp_path / "net.ckpt")
    return open_model(tmp_path / "net.ckpt", **options)


OPTIMIZER = {"state": {0: {"weight": torch.ones(3), "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize(
    "name",
    [
        "state_dict",
        "model",
        "net",
        "network",
        "module",
        "model_state_dict",
        "model_state",
        "weights",
        "params",
        "generator",
    ],
)
def test_nested_under_a_name(tmp_path, name):
    model = _open(tmp_path, {"epoch": 3, name: _weights(1), "optimizer": OPTIMIZER, "best": torch.tensor(0.3)})
    assert model.format == "state_dict"
    assert [layer.name for layer in model.layers] == ["bn1"]
    assert model.layers[0].mean.tolist() == _mean(1)
    assert sentences(model.notes) == ()  # there was nothing to choose


def test_bare(tmp_path):
    model = _open(tmp_path, _weights(1))
    assert sentences(model.notes) == ()
    assert not model.runnable
    assert model.has_convolutions


@pytest.mark.parametrize("content", [{"a": {"b": {"state_dict": None}}}, {"runs": [None]}, (None, OPTIMIZER)])
def test_deeper_and_in_sequences(tmp_path, content):
    def filled(part):
        if part is None:
            return _weights(4)
        if isinstance(part, dict) and "param_groups" not in part:
            return {name: filled(value) for name, value in part.items()}
        return type(part)(map(filled, part)) if isinstance(part, (list, tuple)) else part

    assert _open(tmp_path, filled(content)).layers[0].mean.tolist() == _mean(4)


@pytest.mark.parametrize("average", ["ema", "model_ema", "state_dict_ema", "ema_state_dict", "params_ema"])
@pytest.mark.parametrize("raw", ["model", "params"])
def test_raw_weights_before_averaged_ones(tmp_path, raw, average):
    content = {average: _weights(2), raw: _weights(1)}
    model = _open(tmp_path, content)
    assert model.layers[0].mean.tolist() == _mean(1)
    assert sentences(model.notes) == (f"Took {raw!r} from the checkpoint; key chooses another: {average}.",)
    assert _open(tmp_path, content, key=average).layers[0].mean.tolist() == _mean(2)


def test_an_average_alone_is_taken_and_called_one(tmp_path):
    model = _open(tmp_path, {"ema": _weights(2)})
    assert model.layers[0].mean.tolist() == _mean(2)
    assert "averaged copy" in sentences(model.notes)[0]


def test_known_names_before_unknown_ones(tmp_path):
    model = _open(tmp_path, {"criterion": {"weight": torch.ones(5)}, "model": _weights(1)})
    assert model.layers[0].mean.tolist() == _mean(1)


def test_several_networks_are_read_together(tmp_path):
    content = {"generator": _weights(1), "discriminator": _weights(2), "ema": _weights(3), "epoch": 3}
    model = _open(tmp_path, content)
    assert {layer.name: layer.mean.tolist() for layer in model.layers if layer.name.endswith("bn1")} == {
        "generator.bn1": _mean(1),
        "discriminator.bn1": _mean(2),
    }
    assert sentences(model.notes) == (
        "Read generator, discriminator of the checkpoint together, and left ema; key chooses one.",
    )
    assert _open(tmp_path, content, key="discriminator").layers[0].mean.tolist() == _mean(2)


def test_a_finding_in_the_second_of_several_networks_is_told_by_its_whole_name(tmp_path):
    content = {"nets": [_weights(1), dict(_weights(2))]}
    content["nets"][1]["bn1.running_var"] = -content["nets"][1]["bn1.running_var"]
    torch.save(content, tmp_path / "gan.pth")
    report = bncheck.inspect(tmp_path / "gan.pth")
    assert [(finding.code, finding.layers) for finding in report.findings] == [("BN202", ("nets.1.bn1",))]


def test_several_modules_ask_for_a_key(tmp_path):
    content = {"generator": trained(Small()), "discriminator": trained(Small())}
    with pytest.raises(
        UsageError, match=r"several models: generator, discriminator.*with key, for example key generator"
    ):
        _open(tmp_path, content, trust_pickle=True)


def test_a_dotted_key(tmp_path):
    content = {"student": {"net.v2": _weights(1)}, "teacher": {"net.v2": _weights(2)}}
    assert _open(tmp_path, content, key="teacher.net.v2").layers[0].mean.tolist() == _mean(2)


def test_an_unknown_key_lists_what_there_is(tmp_path):
    content = {"model": _weights(1), "ema": _weights(2)}
    with pytest.raises(UsageError, match=r"key nte.*It offers model, ema"):
        _open(tmp_path, content, key="nte")
    with pytest.raises(UsageError, match="one bare state dict: leave key out"):
        _open(tmp_path, _weights(1), key="model")


def test_a_few_tensors_beside_a_state_dict(tmp_path):
    model = _open(tmp_path, {"weight": torch.ones(5), "my_net": _weights(1)})
    assert model.layers[0].mean.tolist() == _mean(1)


def test_a_whole_state_dict_beside_a_nested_extra(tmp_path):
    content = dict(_weights(1)) | {"extra": {"weight": torch.ones(2)}}
    assert _open(tmp_path, content).layers[0].mean.tolist() == _mean(1)


def test_a_lightning_checkpoint(tmp_path):
    content = {
        "epoch": 9,
        "global_step": 100,
        "pytorch-lightning_version": "2.2.0",
        "state_dict": OrderedDict((f"model.{name}", value) for name, value in _weights(1).items()),
        "hyper_parameters": {"lr": 0.1, "width": 4},
        "callbacks": {"EarlyStopping": {"best_score": torch.tensor(1.0)}},
        "optimizer_states": [OPTIMIZER],
        "lr_schedulers": [],
    }
    model = _open(tmp_path, content)
    assert [layer.name for layer in model.layers] == ["model.bn1"]
    fitted = _open(tmp_path, content, arch=Small)
    assert [layer.name for layer in fitted.layers] == ["bn1"]
    assert "To fit the architecture, stripped the prefix 'model.'." in sentences(fitted.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3, 4), r"one tensor of shape \(3, 4\), which is data"),
        ({}, "empty dict"),
        ({"epoch": 3, "lr": 0.1}, "the names at its top are epoch, lr"),
        ([1, 2], "it is a list"),
        ({"optimizer": OPTIMIZER}, "the names at its top are optimizer"),
    ],
)
def test_files_without_a_model(tmp_path, content, message):
    with pytest.raises(ModelError, match=f"net.ckpt holds no model: .*{message}"):
        _open(tmp_path, content)


class _Critic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)


@pytest.mark.parametrize("names", [("net_G", "net_D"), ("net_D", "net_G"), ("critic", "model"), ("model", "critic")])
def test_of_several_networks_the_one_of_the_architecture_is_taken(tmp_path, names):
    mine, other = names
    content = {other: _Critic().state_dict(), mine: _weights(1), "optimizer": OPTIMIZER}
    model = _open(tmp_path, content, arch=Small)
    assert model.layers[0].mean.tolist() == _mean(1)
    assert sentences(model.notes) == (f"Took '{mine}' from the checkpoint; key chooses another: {other}.",)


def test_several_of_one_architecture_are_told_from_the_rest(tmp_path):
    content = {"actor": _weights(1), "critic": _Critic().state_dict(), "actor_target": _weights(2)}
    with pytest.raises(UsageError, match=r"models that fit the architecture: actor, actor_target\. Choose"):
        _open(tmp_path, content, arch=Small)


def test_averages_of_one_network_beside_another(tmp_path):
    content = {"model": _Critic().state_dict(), "net_G": _weights(1), "net_G_ema": _weights(2)}
    model = _open(tmp_path, content, arch=Small)
    assert model.layers[0].mean.tolist() == _mean(1)
    assert [copy.name for copy in model.siblings] == ["net_G_ema"]
