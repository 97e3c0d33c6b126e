"""State dicts of transformers without their architecture: what the message proposes, by names and ranks alone."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

import bncheck
from bncheck.errors import UsageError
from bncheck.formats import open_model
from bncheck.formats.state_dict.known import _KNOWN, known_architecture

SMALL = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "num_labels": 3}


@pytest.fixture(scope="module")
def transformers() -> Any:
    """The framework, which takes seconds to load and is loaded when it is asked for."""
    return pytest.importorskip("transformers")


def resnet_state(transformers: Any) -> dict[str, torch.Tensor]:
    config = transformers.ResNetConfig(**SMALL)
    return transformers.ResNetForImageClassification(config).state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("name", _KNOWN)
def test_every_class_is_known_by_the_names_it_has(name: str, transformers: Any) -> None:
    cls: Any = getattr(transformers, name)
    with torch.device("meta"):
        state = cls(cls.config_class()).state_dict()
    found = known_architecture(state, "net.pt")
    assert found is not None
    assert found.name == name


def test_the_message_proposes_the_line(tmp_path: Path, transformers: Any) -> None:
    torch.save(resnet_state(transformers), tmp_path / "net.pt")
    with pytest.raises(UsageError) as caught:
        bncheck.inspect(tmp_path / "net.pt", torch.zeros(4, 3, 32, 32))
    assert "Its names are those of transformers.ResNetForImageClassification" in str(caught.value)
    assert "transformers:ResNetForImageClassification.from_pretrained" in str(caught.value)
    with pytest.raises(UsageError, match=r"those of transformers.ResNet"):
        open_model(tmp_path / "net.pt").module()


def test_where_its_configuration_lies_beside_it_the_folder_is_named(tmp_path: Path, transformers: Any) -> None:
    config = {"architectures": ["ResNetForImageClassification"], "model_type": "resnet", **SMALL}
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save(resnet_state(transformers), tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match="lies beside it: name the folder") as caught:
        bncheck.inspect(tmp_path / "pytorch_model.bin", torch.zeros(4, 3, 32, 32))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "state",
    [
        {"conv1.weight": torch.zeros(4, 3, 3, 3), "classifier.1.weight": torch.zeros(3, 4)},
        {"resnet.embedder.embedder.convolution.weight": torch.zeros(4, 3, 3, 3)},
        {"resnet.embedder.embedder.convolution.weight": torch.zeros(4), "classifier.1.weight": torch.zeros(3, 4)},
    ],
)
def test_what_only_shares_a_name_is_not(state: dict[str, torch.Tensor]) -> None:
    assert known_architecture(OrderedDict(state), "net.pt") is None


def test_nothing_is_imported_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transformers: Any) -> None:
    state = resnet_state(transformers)
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = known_architecture(state, str(tmp_path / "net.pt"))
    assert found is not None
    assert "pip install transformers" in found.proposal
