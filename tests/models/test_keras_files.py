"""Keras files as data: names, settings, hostile ones, repairs that leave the rest alone; Keras is not imported."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from keras_files import NORM, VECTORS, archive, legacy, sequential, serialized, weights

import bncheck
from bncheck.errors import ModelError, UsageError
from bncheck.formats import Backend, open_model
from bncheck.formats.keras import KERAS_ARCHIVE, KERAS_HDF5


def test_an_archive_gives_names_and_settings(tmp_path: Path) -> None:
    model = open_model(archive(tmp_path / "net.keras"))
    (layer,) = model.layers
    assert (layer.name, layer.kind, layer.eps, layer.momentum, layer.updates) == ("bn", "batch_norm", 0.002, 0.03, None)
    for found, stored in zip((layer.weight, layer.bias, layer.mean, layer.var), VECTORS, strict=True):
        np.testing.assert_array_equal(found, stored)
    assert (model.format, model.container) == ("keras", KERAS_ARCHIVE)
    assert list(model.tensors()) == ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]
    assert bncheck.inspect(tmp_path / "net.keras").summary.layers_skipped == 0


def test_models_within_models_are_filed_by_class_and_count(tmp_path: Path) -> None:
    norm = serialized("BatchNormalization", **NORM | {"name": "inner"})
    nested = {"class_name": "Functional", "module": "keras", "config": {"name": "back", "layers": [norm, norm]}}
    wrapped = serialized("TimeDistributed", name="steps", layer=norm)
    own = serialized("MyBlock", name="block", width=3) | {"module": "mine", "registered_name": "mine>MyBlock"}

    def write(file: h5py.File) -> None:
        one = file["layers/batch_normalization"]
        for path in ("functional/layers/batch_normalization_1", "time_distributed/layer", "my_block/stem/bn1"):
            file.copy(one, f"layers/{path}")
        file["layers/my_block/stem/bn1/vars/3"][...] = 7
        file.copy(one, "layers/functional/layers/batch_normalization")

    config = sequential(nested, serialized("BatchNormalization", **NORM), wrapped, own)
    layers = open_model(archive(tmp_path / "net.keras", config, weights(write))).layers
    names = ["back.inner", "back.inner_1", "bn", "steps.inner", "block.stem.bn1"]
    assert [layer.name for layer in layers] == names
    assert [layer.eps for layer in layers] == [0.002] * 4 + [None]
    assert layers[-1].var is not None
    assert layers[-1].var[0] == 7


@pytest.mark.parametrize(
    ("settings", "vectors", "roles"),
    [
        ({"center": False}, 3, ["weight", "running_mean", "running_var"]),
        ({"scale": False}, 3, ["bias", "running_mean", "running_var"]),
        ({"scale": False, "center": False}, 2, ["running_mean", "running_var"]),
        (
            {"renorm": True},
            7,
            ["weight", "bias", "running_mean", "running_var", "moving_stddev", "renorm_mean", "renorm_stddev"],
        ),
    ],
)
def test_what_a_layer_does_without(tmp_path: Path, settings: dict[str, Any], vectors: int, roles: list[str]) -> None:
    def write(file: h5py.File) -> None:
        del file["layers"]
        for at in range(vectors):
            file[f"layers/batch_normalization/vars/{at}"] = np.full(3, at + 1.0)

    config = sequential(serialized("BatchNormalization", **NORM | settings))
    path = archive(tmp_path / "net.keras", config, weights(write))
    model = open_model(path)
    assert list(model.tensors()) == [f"bn.{role}" for role in roles]
    assert model.layers[0].var is not None
    assert model.layers[0].var[0] == roles.index("running_var") + 1
    plain = sequential(serialized("BatchNormalization", **NORM | {"scale": "center" in settings, "center": True}))
    if vectors != 3:
        with pytest.raises(ModelError, match=r"bn has \d tensors in the file, and by its configuration"):
            open_model(archive(tmp_path / "other.keras", plain, weights(write)))


def test_layers_without_statistics_are_listed_as_elsewhere(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        for name in ("layer_normalization", "group_normalization", "rms_normalization"):
            file[f"layers/{name}/vars/0"] = np.full(3, 1.25)

    others = [
        serialized("LayerNormalization", name="ln", epsilon=1e-6, center=False),
        serialized("GroupNormalization", name="gn", center=False),
        serialized("RMSNormalization", name="rms"),
        serialized("BatchNormalization", **NORM | {"name": "lost"}),
    ]
    config = sequential(serialized("BatchNormalization", **NORM), *others)
    layers = open_model(archive(tmp_path / "net.keras", config, weights(write))).layers
    found = [(layer.name, layer.kind, layer.eps, layer.has_statistics, layer.missing) for layer in layers]
    assert found == [
        ("bn", "batch_norm", 0.002, True, False),
        ("ln", "layer_norm", 1e-6, False, False),
        ("gn", "group_norm", 1e-3, False, False),
        ("rms", "rms_norm", 1e-3, False, False),
        ("lost", "batch_norm", 0.002, False, True),
    ]


DEEP = {"name": "back", "layers": [{"class_name": "SyncBatchNormalization", "config": {"name": "deep"}}]}
LEGACY = {
    "class_name": "Functional",
    "config": {
        "name": "net",
        "layers": [
            {"class_name": "Conv2D", "name": "stem", "config": {"name": "stem"}},
            {"class_name": "BatchNormalization", "config": NORM | {"axis": [3]}},
            {"class_name": "Model", "config": DEEP},
        ],
    },
}


def _norm(prefix: str) -> dict[str, np.ndarray]:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return {f"{prefix}/{name}:0": values for name, values in zip(names, VECTORS, strict=True)}


@pytest.mark.parametrize("config", [LEGACY, None])
def test_files_of_keras_2_go_by_the_names_of_their_weights(tmp_path: Path, config: Any) -> None:
    held = {"stem": {"stem/kernel:0": np.zeros((3, 3, 2, 3))}, "bn": _norm("bn"), "back": _norm("deep")}
    model = open_model(legacy(tmp_path / "net.h5", config, held))
    assert [layer.name for layer in model.layers] == ["bn", "back.deep"]
    assert [layer.eps for layer in model.layers] == ([0.002, 0.001] if config else [None, None])
    assert [layer.momentum for layer in model.layers] == ([0.03, 0.01] if config else [None, None])
    assert model.container == KERAS_HDF5
    assert model.has_convolutions
    assert "stem.kernel" in model.tensors()


def test_weights_alone_go_by_what_the_file_calls_them(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file["layers/batch_normalization/vars"].attrs["name"] = "stem_bn"
        for at in range(4):
            file[f"blocks/residual_1/bn/vars/{at}"] = np.full(2, at + 1.0)
        file["layers/dense/vars/0"] = np.zeros((2, 2))

    path = tmp_path / "net.weights.h5"
    path.write_bytes(weights(write))
    model = open_model(path)
    assert [layer.name for layer in model.layers] == ["blocks.residual_1.bn", "stem_bn"]
    assert [layer.eps for layer in model.layers] == [None, None]
    with pytest.raises(UsageError, match=r"holds weights only.*returns the keras\.Model"):
        bncheck.inspect(path, np.zeros((4, 3), np.float32))


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("shortcut", "blocks.shortcut"),
        ("batch_normalization", "blocks.batch_normalization_1"),
        ("batch_normalization_40", "blocks.batch_normalization_1"),
        ("batch_normalization_x", "blocks.batch_normalization_x"),
        (None, "blocks.batch_normalization_1"),
    ],
)
def test_a_layer_in_a_list_has_the_name_it_was_given(tmp_path: Path, said: str | None, name: str) -> None:
    def write(file: h5py.File) -> None:
        file.copy(file["layers/batch_normalization"], "blocks/batch_normalization_1")
        del file["layers"]
        if said is not None:
            file["blocks/batch_normalization_1/vars"].attrs["name"] = said

    path = tmp_path / "net.weights.h5"
    path.write_bytes(weights(write))
    assert [layer.name for layer in open_model(path).layers] == [name]


def test_hdf5_of_other_programs_is_none(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file["results"] = np.zeros(3)
    with pytest.raises(ModelError, match="HDF5 file, and not one that Keras wrote"):
        open_model(tmp_path / "table.h5")


def _linked(file: h5py.File, link: Any) -> None:
    file["layers/batch_normalization/vars/9"] = link


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), np.float32)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3,), np.float32)
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def _outside(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", (3,), np.uint8, external=[("/etc/passwd", 0, 3)])


def _vast(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", (2**20, 2**18), np.float32, chunks=(1024, 1024), compression="gzip")


def _deep(file: h5py.File) -> None:
    file.create_group("a/" * 150)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda file: _linked(file, h5py.ExternalLink("/etc/passwd", "/x")), "link to another file"),
        (lambda file: _linked(file, h5py.SoftLink("/layers")), "link to a place by its name"),
        (lambda file: _linked(file, file["layers"]), "in two places"),
        (_virtual, "in other files or datasets"),
        (_outside, "in other files or datasets"),
        (_vast, "would take .* bytes, of which the file holds"),
        (_deep, "deeper than 100 levels"),
        (lambda file: file.create_dataset("layers/dense/vars/0", data=h5py.Empty("f")), "holds nothing"),
        (lambda file: file.create_dataset("layers/dense/vars/0", data=["text"]), "where weights are numbers"),
        (lambda file: file.create_dataset("layers/batch_normalization/vars/4", data=np.zeros(5)), "has 5 tensors"),
    ],
    ids=["external link", "soft link", "cycle", "virtual", "external storage", "vast", "deep", "empty", "text", "more"],
)  # fmt: skip
def test_what_leads_elsewhere_or_is_too_large_is_not_read(
    tmp_path: Path, write: Callable[[h5py.File], None], message: str
) -> None:
    content = weights(write)
    (tmp_path / "net.weights.h5").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        open_model(archive(tmp_path / "net.keras", content=content))
    if message != "has 5 tensors":
        with pytest.raises(ModelError, match=message):
            open_model(tmp_path / "net.weights.h5")


def _nested(depth: int) -> dict[str, Any]:
    model = sequential()
    for _ in range(depth):
        model = sequential(model)
    return model


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("no json", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no model's"),
        ('{"class_name": 3, "config": {}}', "no model's"),
        (_nested(80), "deeper than 60 levels"),
    ],
)
def test_hostile_configurations(tmp_path: Path, config: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_model(archive(tmp_path / "net.keras", config))


def test_odd_settings_are_no_settings(tmp_path: Path) -> None:
    for odd in ({"epsilon": "x", "momentum": None}, {"epsilon": 10**400, "momentum": True}, {"name": ["a"]}):
        config = json.dumps(sequential(serialized("BatchNormalization", **NORM | odd)))
        (layer,) = open_model(archive(tmp_path / "net.keras", config)).layers
        assert layer.eps in (0.001, 0.002)
        assert layer.momentum in (0.01, 0.03)


def test_damaged_archives(tmp_path: Path) -> None:
    path = archive(tmp_path / "net.keras")
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("config.json", "{}")
    with pytest.raises(ModelError, match=r"holds config\.json twice"):
        open_model(path)
    bomb = tmp_path / "bomb.keras"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", b" " * (2**26 + 2**24))
        file.writestr("model.weights.h5", weights())
    with pytest.raises(ModelError, match="would take"):
        open_model(bomb)
    cut = archive(tmp_path / "cut.keras").read_bytes()
    for end in (100, len(cut) // 2, len(cut) - 30):
        (tmp_path / "cut.keras").write_bytes(cut[:end])
        with pytest.raises(ModelError):
            open_model(tmp_path / "cut.keras")


def test_damaged_files_are_one_clear_error(tmp_path: Path) -> None:
    path = legacy(tmp_path / "net.h5", LEGACY, {"bn": _norm("bn"), "back": _norm("deep")})
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for signature in (b"TREE", b"HEAP", b"SNOD"):
        at = content.index(signature)
        for _ in range(12):
            damaged = bytearray(content)
            damaged[at + int(rng.integers(0, 24))] = int(rng.integers(0, 256))
            path.write_bytes(damaged)
            try:
                open_model(path)
            except ModelError as error:
                assert "please report" not in str(error)  # noqa: PT017  # some of the damage changes nothing


def _write(model: Backend, target: Path, **tensors: torch.Tensor) -> None:
    model.write({f"bn.{role}": value for role, value in tensors.items()}, target, beside=False)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "<f8"])
def test_a_repair_changes_the_bytes_of_the_statistics_alone(tmp_path: Path, dtype: str) -> None:
    def write(file: h5py.File) -> None:
        for at in range(4):
            del file[f"layers/batch_normalization/vars/{at}"]
            file[f"layers/batch_normalization/vars/{at}"] = VECTORS[at].astype(dtype)

    (tmp_path / "out").mkdir()
    old, new = tmp_path / "net.weights.h5", tmp_path / "out" / "net.weights.h5"
    old.write_bytes(weights(write))
    model = open_model(old)
    name = model.layers[0].name
    model.write({f"{name}.running_mean": torch.tensor([1.0, -2.0, 3.0])}, new, beside=False)
    before, after = old.read_bytes(), new.read_bytes()
    at = before.index(VECTORS[2].astype(dtype).tobytes())
    assert after[:at] + VECTORS[2].astype(dtype).tobytes() + after[at + 3 * np.dtype(dtype).itemsize :] == before
    again = open_model(new).layers[0]
    np.testing.assert_array_equal(again.mean, [1, -2, 3])
    assert again.dtype == {"f2": "float16", "f4": "float32", "f8": "float64"}[dtype[1:]]


def test_a_repair_of_compressed_and_half_precision_weights(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        variables = file["layers/batch_normalization/vars"]
        for at in (2, 3):
            del variables[str(at)]
        variables.create_dataset("2", data=VECTORS[2], chunks=(3,), compression="gzip", dtype="f4")
        raw = torch.from_numpy(VECTORS[3]).bfloat16().view(torch.int16).numpy().view("V2")
        variables.create_dataset("3", data=raw).attrs["dtype"] = "bfloat16"

    (tmp_path / "out").mkdir()
    path = archive(tmp_path / "net.keras", content=weights(write), **{"assets/words.txt": "a b"})
    model = open_model(path)
    np.testing.assert_array_equal(model.layers[0].statistics, [VECTORS[2], VECTORS[3]])
    new = tmp_path / "out" / "net.keras"
    _write(model, new, running_mean=torch.tensor([4.0, 5, 6]), running_var=torch.tensor([0.5, 0.25, 8]))
    np.testing.assert_array_equal(open_model(new).layers[0].statistics, [[4, 5, 6], [0.5, 0.25, 8]])
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(new) as after:
        assert [(one.filename, one.date_time) for one in before.infolist()] == [
            (one.filename, one.date_time) for one in after.infolist()
        ]
        for name in before.namelist():
            assert (before.read(name) == after.read(name)) == (name != "model.weights.h5")
    with pytest.raises(ModelError, match=r"no place for bn\.num_batches_tracked"):
        _write(model, new, num_batches_tracked=torch.tensor(3))


def test_what_is_kept_twice_is_written_twice(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        for at in range(4, 7):
            file[f"layers/batch_normalization/vars/{at}"] = np.full(3, 1.0)

    (tmp_path / "out").mkdir()
    config = sequential(serialized("BatchNormalization", **NORM | {"renorm": True}))
    model = open_model(archive(tmp_path / "net.keras", config, weights(write)))
    _write(model, tmp_path / "out" / "net.keras", running_var=torch.full((3,), 9.0 - 0.002))
    tensors = open_model(tmp_path / "out" / "net.keras").tensors()
    torch.testing.assert_close(tensors["bn.moving_stddev"], torch.full((3,), 3.0, dtype=torch.float64))
    assert tensors["bn.renorm_stddev"].tolist() == [1, 1, 1]


def test_what_moved_between_two_files(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file["layers/batch_normalization/vars/2"][...] = 3
        for at in range(3):
            file[f"optimizer/vars/{at}"] = np.float64(7) if at == 0 else np.zeros(3)

    after = archive(tmp_path / "after.keras", content=weights(write))
    difference = bncheck.diff(archive(tmp_path / "before.keras"), after)
    (layer,) = difference.layers
    assert layer.name == "bn"
    assert difference.to_dict()["tensors"] is not None
    assert open_model(after).optimizer_steps == 7
    assert "optimizer" not in " ".join(open_model(after).tensors())


def test_reading_is_done_without_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)  # which ends every import of it
    path = archive(tmp_path / "net.keras")
    assert open_model(path).layers
    with pytest.raises(UsageError, match=r"run by Keras, which cannot be imported .*pip install 'bncheck\[keras\]'"):
        bncheck.inspect(path, np.zeros((4, 3), np.float32))
    (tmp_path / "saved").write_bytes(path.read_bytes())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r"files of Keras needs h5py, .*: pip install 'bncheck\[keras\]'"):
        open_model(tmp_path / "saved")
