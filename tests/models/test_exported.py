import time
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from model_networks import Hostile, Net, Shared, Small, export_program, rewritten, save_program, torch_pickle, trained
from torch import nn

from bncheck.errors import ModelError
from bncheck.formats import from_module, open_model
from bncheck.results.notes import sentences

BATCH = ({0: torch.export.Dim("batch")},)


@pytest.fixture(scope="module")
def net():
    return trained(Net())


@pytest.fixture(scope="module")
def exported(net):
    return export_program(net, torch.rand(2, 3, 8, 8), BATCH)


@pytest.fixture(scope="module")
def archive(exported, tmp_path_factory):
    return save_program(exported, tmp_path_factory.mktemp("exported") / "net.pt2")


def test_layers_and_program(archive, net):
    model = open_model(archive)
    assert model.format == "exported"
    assert [(layer.name, layer.kind, layer.channels, layer.eps) for layer in model.layers] == [
        ("stem.bn_odd_9", "batch_norm", 4, 1e-3),
        ("stem.inst", "instance_norm", 4, 1e-5),
        ("group", "group_norm", 4, 1e-5),
        ("no_stats", "batch_norm", 4, 1e-5),
        ("inner.1", "batch_norm", 6, 1e-5),
        ("layer", "layer_norm", 6, 1e-5),
        ("rms", "rms_norm", 6, None),
    ]
    first = model.layers[0]
    assert first.mean.tolist() == net.stem.bn_odd_9.running_mean.double().tolist()
    assert (first.momentum, first.updates, first.trainable_class, first.dtype) == (0.03, 17, True, "float32")
    assert [layer.expects_statistics for layer in model.layers] == [True, True, False, False, True, False, False]
    x = torch.rand(3, 3, 8, 8)
    assert torch.equal(model.program(x), net(x))
    assert model.has_convolutions
    assert model.fixed_batch is None
    assert model.tensor_names[model.program.get_buffer("inner.1.running_var").data_ptr()] == "inner.1.running_var"


def test_a_decomposed_program_has_the_same_layers(exported, archive):
    whole = {layer.name: layer for layer in open_model(archive).layers}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decomposed = exported.run_decompositions()
    model = from_module(decomposed)
    assert {layer.name: layer.kind for layer in model.layers} == {name: layer.kind for name, layer in whole.items()}
    for layer in model.layers:
        other = whole[layer.name]
        assert layer.has_statistics == other.has_statistics
        if layer.has_statistics:
            np.testing.assert_array_equal(layer.var, other.var)
            assert layer.updates == other.updates == 17


def test_a_fixed_batch(tmp_path):
    model = open_model(save_program(export_program(trained(Small()), torch.rand(1, 3, 8, 8)), tmp_path / "one.pt2"))
    assert model.fixed_batch == 1


def test_a_shared_layer_once_under_its_first_name(tmp_path):
    model = open_model(save_program(export_program(trained(Shared()), torch.rand(2, 3, 8, 8)), tmp_path / "shared.pt2"))
    assert [layer.name for layer in model.layers] == ["first"]
    assert not model.has_convolutions


class Frozen(nn.Module):
    """Written by hand: no normalization operator is in its graph."""

    class FrozenBatchNorm(nn.Module):
        def __init__(self):
            super().__init__()
            for name in ("weight", "bias", "running_mean", "running_var"):
                self.register_buffer(name, torch.ones(3))

        def forward(self, x):
            scale = self.weight * (self.running_var + 1e-5).rsqrt()
            return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]

    def __init__(self):
        super().__init__()
        self.body = self.FrozenBatchNorm()

    def forward(self, x):
        return self.body(x)


def test_a_layer_without_operator(tmp_path):
    model = open_model(save_program(export_program(Frozen().eval(), torch.rand(2, 3, 4, 4)), tmp_path / "f.pt2"))
    (layer,) = model.layers
    assert (layer.name, layer.kind, layer.trainable_class) == ("body", "batch_norm", False)


def test_the_users_program_is_left_alone(net):
    exported = export_program(net, torch.rand(2, 3, 8, 8), BATCH)
    program = exported.module()
    before = net.stem.inst.running_var.clone()
    for handed in (exported, program):
        model = from_module(handed)
        assert model.format == "exported"
        with torch.no_grad():
            for tensor in model.program.buffers():
                tensor.zero_()
        assert torch.equal(exported.state_dict["stem.inst.running_var"], before)
        assert torch.equal(program.get_buffer("stem.inst.running_var"), before)


def test_constants_are_records_too(tmp_path):
    class WithConstant(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.constant = torch.arange(3.0)

        def forward(self, x):
            return self.norm(x) + self.constant

    model = open_model(save_program(export_program(trained(WithConstant()), torch.rand(2, 3)), tmp_path / "c.pt2"))
    assert [layer.name for layer in model.layers] == ["norm"]


def test_the_layout_of_older_versions(exported, tmp_path, net):
    from torch._export.serde.schema import SCHEMA_VERSION
    from torch._export.serde.serialize import serialize

    artifact = serialize(exported)
    records = {
        "version": ".".join(map(str, SCHEMA_VERSION)),
        "serialized_exported_program.json": artifact.exported_program,
        "serialized_state_dict.pt": artifact.state_dict,
        "serialized_constants.pt": artifact.constants,
        "serialized_example_inputs.pt": artifact.example_inputs,
    }
    _write(tmp_path / "old.pt2", records)
    model = open_model(tmp_path / "old.pt2")
    assert model.layers[0].name == "stem.bn_odd_9"
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(model.program(x), net(x))

    marker = tmp_path / "marker"
    for record in ("serialized_state_dict.pt", "serialized_example_inputs.pt", "serialized_constants.pt"):
        _write(tmp_path / "bad.pt2", records | {record: torch_pickle(Hostile(str(marker)), tmp_path)})
        with pytest.raises(ModelError, match=rf"{record} asks for \w+\.system"):
            open_model(tmp_path / "bad.pt2")
        assert not marker.exists()


def _write(path, records):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.995])
def test_truncated_archives(archive, tmp_path, share):
    whole = archive.read_bytes()
    (tmp_path / "cut.pt2").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match="cut off or damaged"):
        open_model(tmp_path / "cut.pt2")


@pytest.mark.parametrize(
    "record", ["model_weights_config.json", "weight_0", "archive_version", "sample_inputs/model.pt"]
)
def test_a_missing_record(archive, tmp_path, record):
    path = rewritten(archive, tmp_path / "less.pt2", lambda name, old: None if name.endswith(record) else old)
    with pytest.raises(ModelError, match=r"cannot be loaded|was not loaded|cut off or damaged") as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


def test_compiled_machine_code(archive, tmp_path):
    path = rewritten(archive, tmp_path / "a.pt2", lambda name, old: old)
    with zipfile.ZipFile(path, "a") as target:
        target.writestr("net/data/aotinductor/model/model.so", b"\x7fELF")
    with pytest.raises(ModelError, match="AOTInductor"):
        open_model(path)


def test_options_without_use_are_noted(archive):
    assert sentences(open_model(archive, arch="nowhere.py:f", key="ema").notes) == (
        "arch was ignored: a torch.export archive needs none.",
        "key was ignored: a torch.export archive needs none.",
    )


def test_threads_load_one_after_another(archive, monkeypatch):
    """PyTorch holds what it is loading in a global, and refuses to load two at once."""
    load, inside, most = torch.export.load, [], []

    def counted(*given, **options):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)  # another thread that may come in comes in now
        try:
            return load(*given, **options)
        finally:
            inside.pop()

    monkeypatch.setattr(torch.export, "load", counted)
    with ThreadPoolExecutor(3) as threads:
        assert [model.format for model in threads.map(open_model, [archive] * 3)] == ["exported"] * 3
    assert most == [1, 1, 1]
