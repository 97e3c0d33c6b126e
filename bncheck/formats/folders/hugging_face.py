"""A Hugging Face folder: weights beside the `config.json` that names the class they belong to.

The class is taken from the installed transformers by its name, and given the file's configuration; nothing is
downloaded, and code that a repository brings along (`auto_map`) is never run.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.errors import ModelError, UsageError
from bncheck.extras import installing, is_installed
from bncheck.formats.folders.preprocessing import read_preprocessing
from bncheck.settings import DataSettings
from bncheck.vocabulary import argument, with_article

CONFIGURATION = "config.json"
PREPROCESSING = "preprocessor_config.json"
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
PACKAGE = "transformers"
_FETCHING = ("auto_map", "_attn_implementation", "attn_implementation", "quantization_config", "custom_pipelines")
"""What in a configuration names code, kernels or weights that stand elsewhere."""
_LARGEST = 2**24
"""Bytes of a configuration."""


@dataclass(frozen=True, slots=True, eq=False)
class HuggingFaceFolder:
    """A folder with weights and a configuration.

    Attributes:
        path: the folder.
        weights: the file in it that holds them, or their index.
        architecture: the class that its configuration names.
        has_own_code: the repository brings code of its own, which is not run.
    """

    path: Path
    weights: Path
    architecture: str
    has_own_code: bool

    @property
    def __name__(self) -> str:
        """What messages call it."""
        return f"{PACKAGE}.{self.architecture}"

    @property
    def missing(self) -> str | None:
        """Why the class cannot be had; `None` where it can."""
        if importlib.util.find_spec(PACKAGE) is None:
            return f"its class, {self.architecture}, is one of {PACKAGE}: pip install {PACKAGE}"
        if not is_installed("torch"):
            return f"its class, {self.architecture}, is built by PyTorch, which is not installed: {installing('torch')}"
        if self._class() is None:
            own = "; the repository brings code of its own, which is not run" if self.has_own_code else ""
            return f"the installed {PACKAGE} has no model {self.architecture}{own}: name what builds it"
        return None

    def __call__(self) -> Any:
        """The untrained model.

        Raises:
            UsageError: the class is not to be had.
            ModelError: the configuration asks for far more than the weights can fill.
        """
        if (missing := self.missing) is not None:
            raise UsageError(f"{self.path}: {missing}.")
        from bncheck.formats.programs.budget import Budget  # it watches PyTorch's operators

        cls = self._class()
        with _offline():
            configuration = cls.config_class.from_dict(_without_downloads(_read(self.path / CONFIGURATION)))
            held = sum(file.stat().st_size for file in self.path.glob(f"*{self.weights.name.split('.')[1]}*"))
            with Budget(held, self.path / CONFIGURATION):
                return cls(configuration)

    def _class(self) -> Any:
        """The model's class; `None` where the package has none of that name."""
        package = importlib.import_module(PACKAGE)
        found = getattr(package, self.architecture, None)
        return found if isinstance(found, type) and issubclass(found, package.PreTrainedModel) else None

    def preprocessing(self) -> DataSettings | None:
        """What is done to images before they are fed; `None` where the folder does not say."""
        file = self.path / PREPROCESSING
        return read_preprocessing(_read(file), str(file)) if file.is_file() else None


def hugging_face_folder(path: Path) -> HuggingFaceFolder | None:
    """The folder as a model; `None` where it is no such folder.

    Raises:
        ModelError: it has a configuration that cannot be read.
    """
    file = path / CONFIGURATION
    if not file.is_file():  # nor is it under what is no folder
        return None
    weights = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if weights is None:
        return None
    configuration = _read(file)
    named = configuration.get("architectures")
    if not isinstance(named, list) or not named or not isinstance(named[0], str) or not named[0].isidentifier():
        raise ModelError(
            f"{file} does not say whose weights these are (`architectures`): name {weights} itself, and what builds "
            f"the network with {argument('arch')}."
        )
    return HuggingFaceFolder(path, weights, named[0], "auto_map" in configuration)


def _without_downloads(configuration: Any) -> Any:
    """A configuration, or a part of one, without what has other weights, kernels or code fetched."""
    if isinstance(configuration, list):
        return [_without_downloads(one) for one in configuration]
    if not isinstance(configuration, Mapping):
        return configuration
    kept = {name: _without_downloads(value) for name, value in configuration.items() if name not in _FETCHING}
    return {**kept, "use_pretrained_backbone": False} if "use_pretrained_backbone" in kept else kept


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Within, huggingface_hub asks nobody."""
    constants: Any = importlib.import_module("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _read(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise ModelError(f"{file} is no configuration: it is too large.")
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON. Download the folder again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} is no configuration: it holds {with_article(type(content).__name__)}.")
    return content
