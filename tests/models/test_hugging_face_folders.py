"""Folders of Hugging Face: the class that `config.json` names, its preprocessing, and what is said where it lacks."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import bncheck
from bncheck.api.next_step import free_name
from bncheck.data import DataOptions
from bncheck.errors import ModelError, UsageError
from bncheck.formats.folders.hugging_face import _without_downloads
from bncheck.formats.folders.preprocessing import read_preprocessing
from bncheck.results import FolderAudited, PreprocessedAsSaid

HALF = [0.5, 0.5, 0.5]
PLAIN = {"do_normalize": False}
CLIP = {"size": {"shortest_edge": 24}, "do_center_crop": True, "crop_size": {"height": 20, "width": 22}}


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({**CLIP, "image_mean": HALF, "image_std": [0.2, 0.2, 0.2]}, (24, (20, 22), None, (0.5,) * 3, (0.2,) * 3)),
        ({"size": {"height": 16, "width": 18}, **PLAIN}, ((16, 18), None, None, None, None)),
        ({"size": 16, "image_mean": HALF, "image_std": HALF}, ((16, 16), None, None, (0.5,) * 3, (0.5,) * 3)),
        (
            {"size": 16, "do_center_crop": True, "crop_size": 12, **PLAIN},
            (16, (12, 12), None, None, None),
        ),
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875, **PLAIN},
            (256, (224, 224), None, None, None),
        ),
        (
            {"size": {"shortest_edge": 384}, "crop_pct": 1.0, **PLAIN},
            ((384, 384), None, None, None, None),
        ),
        ({"do_resize": False, "do_rescale": False, **PLAIN}, (None, None, 255.0, None, None)),
        ({"do_resize": False, "rescale_factor": 2 / 255, **PLAIN}, (None, None, 2.0, None, None)),
    ],
)
def test_what_image_processors_do(configuration: dict[str, Any], expected: tuple[Any, ...]) -> None:
    read = read_preprocessing(configuration, "preprocessor_config.json")
    assert read is not None
    assert (read.resize, read.crop, read.scale, read.mean, read.std) == expected


def test_what_is_said_of_sound_is_not_said_of_images() -> None:
    assert read_preprocessing({"sampling_rate": 16000, "feature_size": 1}, "preprocessor_config.json") is None


@pytest.mark.parametrize("odd", [{"size": {"longest_edge": 3}}, {"size": "large"}, {"size": 0}, {"image_mean": [None]}])
def test_what_no_image_processor_has_is_an_error(odd: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="describes no preprocessing of images that is known"):
        read_preprocessing({"image_std": [1.0], **odd}, "preprocessor_config.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network saved by transformers' own method, with statistics of the images beside it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    shape = {"embedding_size": 6, "hidden_sizes": [6, 8], "depths": [1, 1], "layer_type": "basic", "num_labels": 4}
    net = transformers.ResNetForImageClassification(transformers.ResNetConfig(**shape)).train()
    path = tmp_path_factory.mktemp("hf")
    photos = path / "photos"
    generator = np.random.default_rng(0)
    for label in range(2):
        (photos / str(label)).mkdir(parents=True)
        for number in range(24):
            pixels = generator.integers(0, 256, (20, 22, 3)).astype("uint8")
            Image.fromarray(pixels).save(photos / str(label) / f"{number}.png")
    every = torch.stack([torch.tensor(np.array(Image.open(one))) for one in sorted(photos.glob("*/*.png"))])
    with torch.no_grad():
        for _ in range(40):
            net((every.permute(0, 3, 1, 2) / 255 - 0.5) / 0.25)
    net.eval().save_pretrained(path / "my-resnet")
    said = {"do_resize": False, "image_mean": HALF, "image_std": [0.25] * 3}
    (path / "my-resnet" / "preprocessor_config.json").write_text(json.dumps(said))
    return path


@pytest.mark.slow
def test_a_folder_is_a_model_and_says_how_images_are_fed(folder: Path, tmp_path: Path) -> None:
    report = bncheck.inspect(folder / "my-resnet", data=folder / "photos")
    assert report.summary.gap < 0.1
    said = PreprocessedAsSaid((("mean", "0.5 0.5 0.5"), ("std", "0.25 0.25 0.25")))
    assert said in report.run.noted
    given = bncheck.inspect(folder / "my-resnet", folder / "photos", data_options=DataOptions(scale=2.0))
    assert given.summary.gap > 0.3
    assert said not in given.run.noted
    result = bncheck.repair_file(
        folder / "my-resnet", folder / "photos", out=tmp_path / "model.safetensors", force=True
    )
    assert result.path is not None
    assert max(layer.gap_after or 0 for layer in result.layers) < 0.15


@pytest.mark.slow
def test_what_would_fill_the_memory_is_not_built(folder: Path, tmp_path: Path) -> None:
    said = json.loads((folder / "my-resnet" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**said, "hidden_sizes": [8, 20_000]}))
    shutil.copy(folder / "my-resnet" / "model.safetensors", tmp_path)
    with pytest.raises(ModelError, match=r"asks for tensors of .* values, far more than the file holds weights for"):
        bncheck.inspect(tmp_path, np.zeros((4, 3, 8, 8), np.float32))


@pytest.mark.slow
def test_without_the_class_the_weights_are_audited(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folder / "my-resnet"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    report = bncheck.inspect(model)
    assert len(report.layers) == 6
    (note,) = [one for one in report.run.noted if isinstance(one, FolderAudited)]
    assert "pip install transformers" in note.sentence
    with pytest.raises(UsageError, match="name the architecture"):
        bncheck.inspect(model, folder / "photos")


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("{}", "does not say whose weights these are"),
        ('{"architectures": ["os.system"]}', "does not say whose weights these are"),
        ("[1]", "is no configuration: it holds a list"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_a_configuration_that_is_none(configuration: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(configuration)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match=message):
        bncheck.inspect(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pipeline", "Trainer", "ResNetConfig", "AutoModel"])
def test_what_is_no_model_of_transformers_is_not_built(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [name]}))
    (tmp_path / "model.safetensors").write_bytes((folder / "my-resnet" / "model.safetensors").read_bytes())
    report = bncheck.inspect(tmp_path)
    assert any(f"has no model {name}" in note for note in report.run.notes)


def test_a_configuration_fetches_nothing() -> None:
    asks = {"hidden": 3, "attn_implementation": "org/kernel", "auto_map": {"AutoModel": "m.M"}}
    vision = {"use_pretrained_backbone": True, "backbone": "resnet50", **asks}
    assert _without_downloads({"vision_config": vision, **asks}) == {
        "vision_config": {"use_pretrained_backbone": False, "backbone": "resnet50", "hidden": 3},
        "hidden": 3,
    }


@pytest.mark.slow
def test_code_of_the_repository_is_not_run(folder: Path, tmp_path: Path) -> None:
    own = {"architectures": ["MyNet"], "auto_map": {"AutoModel": "modeling.MyNet"}, "model_type": "my"}
    (tmp_path / "config.json").write_text(json.dumps(own))
    (tmp_path / "modeling.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "model.safetensors").write_bytes((folder / "my-resnet" / "model.safetensors").read_bytes())
    report = bncheck.inspect(tmp_path)
    assert any("brings code of its own, which is not run" in note for note in report.run.notes)
    assert not (tmp_path / "ran").exists()


def test_the_command_to_type_names_a_file_like_the_weights(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config.json").write_text('{"architectures": ["ResNetForImageClassification"]}')
    (tmp_path / "net" / "model.safetensors").touch()
    assert free_name(str(tmp_path / "net")) == str(tmp_path / "net-repaired.safetensors")
    assert free_name(str(tmp_path / "other")) == str(tmp_path / "other-repaired")
