"""Keras' own files, read and run: names, numbers and outputs are Keras', and not all is built without trust."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from contract_nets import saved_by_keras
from keras_files import NORM, archive, legacy, sequential, serialized
from PIL import Image
from sklearn.datasets import load_digits

import bncheck
from bncheck.data import Batch
from bncheck.errors import DataError, ModelError, UsageError
from bncheck.formats import open_model
from bncheck.formats.keras.running.library import Later, keras_module
from bncheck.watch import BATCH, STORED, Recorder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keras() -> Any:
    return keras_module()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keras' arrays warn of NumPy's next version."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        yield


def odd_net(keras: Any) -> Any:
    """Every way in which Keras files a layer: nested, in a list, shared, wrapped, without gamma or beta."""
    layers = keras.layers
    inner = keras.Input((6, 6, 4))
    block = layers.BatchNormalization(name="bn", momentum=0.9)(layers.Conv2D(4, 3, padding="same", name="conv")(inner))
    inputs = keras.Input((6, 6, 2), name="photo")
    shared = layers.BatchNormalization(name="stem_bn", center=False)
    x = keras.ops.relu(shared(shared(layers.Conv2D(4, 3, padding="same", name="stem")(inputs)))) * 2
    x = layers.Dropout(0.2)(keras.Model(inner, block, name="b1")(x))
    own = [layers.Conv2D(3, 1), layers.BatchNormalization(renorm=True, name="rn", epsilon=1e-4)]
    x = keras.Sequential(own, name="seq")(x)
    x = layers.TimeDistributed(layers.BatchNormalization(name="each", scale=False), name="td")(x)
    x = layers.Bidirectional(layers.LSTM(2), name="bi")(layers.Reshape((6, 18))(x))
    x = layers.LayerNormalization(name="ln")(x)
    return keras.Model(inputs, layers.Dense(2, activation="relu", name="head")(x))


NAMES = ["stem_bn", "b1.bn", "seq.rn", "td.each"]


@pytest.fixture(scope="module")
def odd(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The net with values of its own, and its file."""
    model = odd_net(keras)
    rng = np.random.default_rng(2)
    for variable in model.weights:
        variable.assign(rng.uniform(0.3, 1.2, variable.shape))
    folder = tmp_path_factory.mktemp("odd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_weights(folder / "net.weights.h5")
    path = saved_by_keras(model, folder / "net.keras")
    return SimpleNamespace(model=model, path=path, x=rng.normal(0.3, 1.2, (10, 6, 6, 2)).astype(np.float32))


def _norms(keras: Any, model: Any) -> dict[str, Any]:
    found = {one.name: one for one in model._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)}
    return {name: found[name.rpartition(".")[2]] for name in NAMES}


def _run(path: Path, x: np.ndarray, policy: Any = STORED, **how: Any) -> tuple[np.ndarray, Recorder]:
    recorder = Recorder(per_sample=False)
    with open_model(path, **how).session("the data", 0) as session:
        return session.run(Batch(torch.from_numpy(x), None, len(x)), policy, recorder).numpy(), recorder


def test_layers_are_those_that_keras_has(keras: Any, odd: SimpleNamespace) -> None:
    layers = {layer.name: layer for layer in open_model(odd.path).layers}
    assert list(layers) == [*NAMES, "ln"]
    for name, own in _norms(keras, odd.model).items():
        layer = layers[name]
        assert (layer.eps, layer.momentum) == (own.epsilon, pytest.approx(1 - own.momentum))
        pairs = ((layer.mean, own.moving_mean), (layer.var, own.moving_variance))
        for found, variable in (*pairs, (layer.weight, own.gamma), (layer.bias, own.beta)):
            assert (found is None) == (variable is None)
            if variable is not None:
                np.testing.assert_array_equal(found, variable.numpy())


def test_outputs_and_what_layers_are_fed_are_kerass_own(keras: Any, odd: SimpleNamespace) -> None:
    fed: dict[str, list[np.ndarray]] = {}
    for name, layer in _norms(keras, odd.model).items():
        own = layer.call
        layer.__dict__["call"] = lambda x, *rest, own=own, name=name, **named: (
            fed.setdefault(name, []).append(x.detach().numpy()) or own(x, *rest, **named)
        )
    expected = odd.model(odd.x).detach().numpy()
    for layer in _norms(keras, odd.model).values():
        del layer.__dict__["call"]
    outputs, recorder = _run(odd.path, odd.x)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    assert {name: len(calls) for name, calls in recorder.by_layer().items()} == dict(
        zip(NAMES, (2, 1, 1, 6), strict=True)
    )
    for name, calls in recorder.by_layer().items():
        for call, x in zip(calls, fed[name], strict=True):
            axes = tuple(range(x.ndim - 1))
            np.testing.assert_allclose(call.statistics().mean, x.astype(float).mean(axes), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(call.statistics().var, x.astype(float).var(axes), rtol=1e-4, atol=1e-6)


def test_images_are_turned_as_the_model_takes_them(odd: SimpleNamespace) -> None:
    moved, _ = _run(odd.path, np.ascontiguousarray(odd.x.transpose(0, 3, 1, 2)))
    np.testing.assert_array_equal(moved, _run(odd.path, odd.x)[0])


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((4, 8, 8, 7), np.float32), r"expected axis -1 of input shape to have value 3"),
        (np.zeros((4, 8, 3), np.float32), r"it says: Invalid input shape\. Expected shape \(None, "),
        ({"x": np.zeros((4, 8, 8, 3)), "z": np.zeros((4, 8, 8, 3))}, r"The structure of `inputs` doesn't match"),
    ],
)
def test_why_keras_refuses_an_input_is_told(tmp_path: Path, keras: Any, x: Any, said: str) -> None:
    layers = [keras.Input((8, 8, 3), name="photo"), keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()]
    keras.Sequential(layers).save(tmp_path / "net.keras")
    with pytest.raises(DataError, match=said) as caught:
        bncheck.inspect(tmp_path / "net.keras", x)
    assert "It takes photo (N, 8, 8, 3). Check the shape" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "Exception encountered" not in str(caught.value)


def test_a_repair_is_read_by_keras(keras: Any, odd: SimpleNamespace, tmp_path: Path) -> None:
    bncheck.repair_file(odd.path, odd.x, out=tmp_path / "new.keras", force=True)
    repaired = keras.models.load_model(tmp_path / "new.keras")
    before, after = (_norms(keras, model) for model in (odd.model, repaired))
    for name in NAMES:
        assert not np.allclose(before[name].moving_mean.numpy(), after[name].moving_mean.numpy())
    deviation = np.sqrt(after["seq.rn"].moving_variance.numpy() + 1e-4)
    np.testing.assert_allclose(after["seq.rn"].moving_stddev.numpy(), deviation, rtol=1e-5)
    changed = {v.path for v, w in zip(odd.model.weights, repaired.weights, strict=True) if not np.array_equal(v, w)}
    assert {path.rpartition("/")[2] for path in changed} == {"moving_mean", "moving_variance", "moving_stddev"}


ARCHITECTURE = """
import keras


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.stem = keras.layers.Conv2D(3, 3)
        self.bn = keras.layers.BatchNormalization(epsilon=0.01, momentum=0.8)
        self.blocks = [keras.layers.BatchNormalization(center=False), keras.Sequential([keras.layers.Dense(2)])]

    def call(self, x):
        x = self.bn(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return x


def build():
    net = Net()
    net(keras.ops.zeros((1, 6, 6, 2)))
    return net
"""


def test_a_class_of_ones_own_is_built_by_an_architecture(keras: Any, odd: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(ARCHITECTURE)
    scope: dict[str, Any] = {}
    exec(ARCHITECTURE, scope)
    model = scope["build"]()
    model.bn.moving_mean.assign([1, 2, 3])
    path = saved_by_keras(model, tmp_path / "own.keras")
    audited = [(layer.name, layer.eps) for layer in open_model(path).layers]
    assert audited == [("blocks.batch_normalization", None), ("bn", None)]
    with pytest.raises(UsageError, match=r"it asks for Net, which is not among the layers of Keras.*arch=.FILE\.py"):
        bncheck.inspect(path, odd.x)
    arch = f"{tmp_path}/net.py:build"
    layers = open_model(path, arch=arch).layers
    assert sorted((layer.name, layer.eps, layer.momentum) for layer in layers) == [
        ("blocks.batch_normalization", 0.001, 0.01),
        ("bn", 0.01, 0.2),
    ]
    outputs, recorder = _run(path, odd.x, arch=arch)
    np.testing.assert_allclose(outputs, model(odd.x).detach().numpy(), rtol=1e-6)
    assert set(recorder.by_layer()) == {"blocks.batch_normalization", "bn"}
    with pytest.raises(ModelError, match="do not belong together"):
        open_model(odd.path, arch=arch).layers  # noqa: B018


def test_weights_alone_run_in_their_architecture(keras: Any, odd: SimpleNamespace) -> None:
    path = odd.path.with_name("net.weights.h5")
    outputs, recorder = _run(path, odd.x, arch=lambda: odd_net(keras))
    np.testing.assert_array_equal(outputs, _run(odd.path, odd.x)[0])
    layers = {layer.name: layer for layer in open_model(path, arch=lambda: odd_net(keras)).layers}
    assert len(recorder.by_layer()) == 4
    assert {layers[name].eps for name in recorder.by_layer()} == {1e-3, 1e-4}
    with pytest.raises(UsageError, match=r"must return a keras\.Model"):
        open_model(path, arch=lambda: torch.nn.Linear(2, 2))
    with pytest.raises(UsageError, match="is a model, which is not touched"):
        open_model(path, arch=odd.model)


def _legacy_net(**settings: Any) -> dict[str, Any]:
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "dtype": "float32", "name": "x"}},
        {"class_name": "BatchNormalization", "config": NORM | {"axis": [1], "synchronized": True} | settings},
        {"class_name": "Activation", "config": {"name": "relu", "activation": "relu"}},
    ]
    return {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}


def test_a_model_of_keras_2_is_run(tmp_path: Path) -> None:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    held = {f"bn/{name}:0": np.full(3, value, np.float32) for name, value in zip(names, (2, 1, 0.5, 4), strict=True)}
    path = legacy(tmp_path / "net.h5", _legacy_net(), {"bn": held})
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    expected = np.maximum((x - 0.5) / np.sqrt(4 + 0.002) * 2 + 1, 0)
    np.testing.assert_allclose(_run(path, x)[0], expected, rtol=1e-5, atol=1e-6)
    mean, var = x.mean(0), x.var(0)
    by_batch = np.maximum((x - mean) / np.sqrt(var + 0.002) * 2 + 1, 0)
    np.testing.assert_allclose(_run(path, x, BATCH)[0], by_batch, rtol=1e-4, atol=1e-5)


def test_masked_positions_count_for_no_statistics(keras: Any, tmp_path: Path) -> None:
    inputs = keras.Input((5, 3))
    norm = keras.layers.BatchNormalization(name="bn")
    model = keras.Model(inputs, norm(keras.layers.Masking()(inputs)))
    path = saved_by_keras(model, tmp_path / "net.keras")
    x = np.random.default_rng(0).normal(2, 1, (7, 5, 3)).astype(np.float32)
    x[2:, 3:] = 0
    outputs, recorder = _run(path, x)
    kept = x[x.any(-1)].astype(float)
    found = recorder.by_layer()["bn"][0].statistics()
    np.testing.assert_allclose(found.mean, kept.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.var, kept.var(0), rtol=1e-5)
    np.testing.assert_allclose(outputs, x / np.sqrt(1.001), rtol=1e-5)
    by_batch = (x - kept.mean(0)) / np.sqrt(kept.var(0) + 0.001)
    np.testing.assert_allclose(_run(path, x, BATCH)[0], by_batch, rtol=1e-4, atol=1e-5)


CANARY = """
import pathlib
pathlib.Path({canary!r}).write_text("run")
class Canary:
    @classmethod
    def from_config(cls, config):
        return cls()
"""


def _hostile(tmp_path: Path) -> list[tuple[str, dict[str, Any]]]:
    (tmp_path / "mine_canary.py").write_text(CANARY.format(canary=str(tmp_path / "canary")))
    lambda_layer = serialized("Lambda", name="l", function={"class_name": "__lambda__", "config": {"value": "4wAA"}})
    own = {"module": "mine_canary", "class_name": "Canary", "config": {}, "registered_name": None}
    spec = {"class_name": "__typespec__", "config": [], "module": "os"}
    norm = serialized("BatchNormalization", **NORM)
    file = {"module": "keras.src.utils.file_utils", "class_name": "function", "config": "get_file"}
    return [
        ("Lambda", lambda_layer),
        ("Canary", own),
        ("Canary", own | {"class_name": "Canary", "module": "mine_canary", "registered_name": "Canary"}),
        ("function", serialized("Activation", name="a", activation=file)),
        ("Canary", serialized("Dense", name="d", units=2, kernel_initializer=own)),
        ("__typespec__", serialized("Dense", name="d", units=spec)),
        ("TFSMLayer", serialized("TFSMLayer", name="t", filepath="/etc")),
        ("TorchModuleWrapper", serialized("TorchModuleWrapper", name="t", module="gASV")),
        ("StringLookup", serialized("StringLookup", name="t", vocabulary="/etc/passwd")),
        ("system", {"module": "os", "class_name": "system", "config": "true", "registered_name": None}),
        ("Mine>BatchNormalization", norm | {"registered_name": "Mine>BatchNormalization"}),
    ]


def test_what_is_not_keras_own_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    x = np.zeros((4, 3), np.float32)
    for named, layer in _hostile(tmp_path):
        config = sequential(serialized("BatchNormalization", **NORM), layer)
        path = archive(tmp_path / "net.keras", config)
        assert bncheck.inspect(path).layers  # audited all the same
        with pytest.raises(UsageError, match=f"it asks for {named}[^.]*, which is not among"):
            bncheck.inspect(path, x)
    assert not (tmp_path / "canary").exists()
    compiled = sequential(serialized("BatchNormalization", **NORM))
    own = {"module": "mine_canary", "class_name": "Canary", "config": {}, "registered_name": None}
    archive(tmp_path / "net.keras", compiled | {"compile_config": {"optimizer": own, "loss": own}})
    _run(tmp_path / "net.keras", x)
    assert not (tmp_path / "canary").exists()


def test_what_would_fill_the_memory_is_not_built(tmp_path: Path) -> None:
    norm = serialized("BatchNormalization", **NORM)
    x = np.zeros((4, 3), np.float32)
    dense = serialized("Dense", name="d", units=2_000_000_000)
    path = archive(tmp_path / "net.keras", sequential(norm, dense))
    with pytest.raises(ModelError, match="far more than the file holds weights for"):
        bncheck.inspect(path, x)
    archive(path, sequential(norm, serialized("Dense", name="d", units=2)))
    with pytest.raises(ModelError, match=r"has no values for .*do not belong together"):
        bncheck.inspect(path, x)
    archive(path, sequential(norm, serialized("Dense", name="d", units="two")))
    with pytest.raises(ModelError, match="cannot be built by Keras 3"):
        bncheck.inspect(path, x)


def test_with_trust_keras_runs_what_the_file_asks_for(keras: Any, tmp_path: Path) -> None:
    inputs = keras.Input((3,))
    model = keras.Model(
        inputs, keras.layers.Lambda(lambda x: x * 2)(keras.layers.BatchNormalization(name="bn")(inputs))
    )
    path = saved_by_keras(model, tmp_path / "net.keras")
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    with pytest.raises(UsageError, match="it asks for Lambda"):
        bncheck.inspect(path, x)
    outputs, _ = _run(path, x, trust_pickle=True)
    np.testing.assert_allclose(outputs, model(x).detach().numpy(), rtol=1e-6)


def test_keras_leaves_nothing_in_the_home_and_the_environment(tmp_path: Path) -> None:
    code = """
import os
import sys
from bncheck.formats.keras.running.library import keras_module

def environment():  # without what scikit-learn and PyTorch set for themselves when Keras imports them
    return {name: value for name, value in os.environ.items() if not name.startswith(("KMP_", "TORCHINDUCTOR_"))}

before = environment()
assert keras_module().config.backend() == "torch"
assert environment() == before
assert not any(name.startswith("matplotlib") for name in sys.modules)
"""
    homes = ("KERAS", "XDG", "MPL")
    left = {name: value for name, value in os.environ.items() if not name.startswith(homes)}
    subprocess.run([sys.executable, "-c", code], env=left | {"HOME": str(tmp_path)}, check=True)
    assert not list(tmp_path.iterdir())


def test_what_draws_is_imported_by_its_first_use() -> None:
    assert Later("json").dumps is json.dumps
    assert not hasattr(Later("no.such.module"), "__path__")


def test_keras_on_another_backend_is_told(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "net.keras")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    assert {"keras", "h5py"} <= set(bncheck.inspect(path, x).run.versions)
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(UsageError, match=r"imported with its jax backend before.*set KERAS_BACKEND=torch"):
        bncheck.inspect(path, x)


@pytest.mark.training
def test_a_short_training_is_mended_by_recalibration(keras: Any, tmp_path: Path) -> None:
    """Momentum 0.99 leaves the statistics of a short training near where they began."""
    digits = load_digits()
    x = digits.images[..., None].astype(np.float32)
    y = digits.target
    keras.utils.set_random_seed(3)
    layers = keras.layers

    def unit(channels: int) -> list[Any]:
        return [layers.Conv2D(channels, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]

    body = [*unit(16), layers.MaxPooling2D(), *unit(32), *unit(32), *unit(32), layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((8, 8, 1)), *body, layers.Dense(10)])
    optimizer = torch.optim.Adam([v.value for v in model.trainable_variables], 1e-2)
    order = np.random.default_rng(0).permutation(1200)
    for step in range(20):
        chosen = order[(40 * step) % 1200 :][:40]
        loss = torch.nn.functional.cross_entropy(model(x[chosen], training=True), torch.from_numpy(y[chosen]).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def accuracy(one: Any) -> float:
        return float((one(x[1200:]).detach().numpy().argmax(1) == y[1200:]).mean())

    path = saved_by_keras(model, tmp_path / "digits.keras")
    result = bncheck.repair_file(path, (x[:1200], y[:1200]), out=tmp_path / "mended.keras", limit=300)
    mended = keras.models.load_model(tmp_path / "mended.keras")
    assert result.path is not None
    assert accuracy(model) < 0.35
    assert accuracy(mended) > 0.8


def test_photos_are_read_for_a_model_with_channels_last(keras: Any, tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(inputs))
    path = saved_by_keras(model, tmp_path / "net.keras")
    photos = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    for at, photo in enumerate(photos):
        Image.fromarray(photo).save(tmp_path / "photos" / f"{at}.png")
    (layer,) = bncheck.inspect(path, tmp_path / "photos").layers
    np.testing.assert_allclose(layer.table.measured_mean, (photos / 255).mean((0, 1, 2)), rtol=1e-5)
    with zipfile.ZipFile(path) as file:
        assert json.loads(file.read("config.json"))["class_name"] == "Functional"
