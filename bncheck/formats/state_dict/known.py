"""Architectures of transformers that a state dict's names tell, so that a message can propose what to type.

A few with BatchNorm, each by the names of its first convolution and of its head: what has both is of no other. Nothing
is imported, and nothing is built by it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bncheck.formats.folders.hugging_face import CONFIGURATION, PACKAGE, hugging_face_folder
from bncheck.tensors import torch
from bncheck.vocabulary import argument

_KERNEL = 4
"""Axes of a convolution's weight."""
_CLASSIFIED = {
    "ResNet": ("resnet.embedder.embedder.convolution", "classifier.1"),
    "RegNet": ("regnet.embedder.embedder.convolution", "classifier.1"),
    "MobileNetV1": ("mobilenet_v1.conv_stem.convolution", "classifier"),
    "MobileNetV2": ("mobilenet_v2.conv_stem.first_conv.convolution", "classifier"),
    "EfficientNet": ("efficientnet.embeddings.convolution", "classifier"),
    "MobileViT": ("mobilevit.conv_stem.convolution", "classifier"),
    "MobileViTV2": ("mobilevitv2.conv_stem.convolution", "classifier"),
    "Cvt": ("cvt.encoder.stages.0.embedding.convolution_embeddings.projection", "classifier"),
    "Levit": ("levit.patch_embeddings.embedding_layer_1.convolution", "classifier.linear"),
    "TextNet": ("textnet.stem.conv", "fc"),
    "SwiftFormer": ("swiftformer.patch_embed.patch_embedding.0", "head"),
}
_KNOWN = {f"{name}ForImageClassification": parts for name, parts in _CLASSIFIED.items()}


@dataclass(frozen=True, slots=True)
class KnownArchitecture:
    """A class of transformers.

    Attributes:
        name: of the class.
        folder: where the file's configuration lies beside it; `None` where it does not.
        is_installed: whether transformers is.
    """

    name: str
    folder: str | None
    is_installed: bool

    @property
    def proposal(self) -> str:
        """What to type."""
        install = "" if self.is_installed else f" (pip install {PACKAGE})"
        if self.folder is not None:
            return f"its {CONFIGURATION} lies beside it: name the folder, {self.folder}{install}"
        return (
            f"put the {CONFIGURATION} it came with beside it and name the folder, or say {argument('arch')} "
            f"{PACKAGE}:{self.name}.from_pretrained {argument('arch_kwargs')} "
            f'\'{{"pretrained_model_name_or_path": "NAME"}}\' with its name on the Hub{install}'
        )


def known_architecture(tensors: Mapping[str, torch.Tensor], path: str) -> KnownArchitecture | None:
    """The class whose names these are; `None` where none is known.

    Args:
        tensors: by name, without the prefixes of wrappers.
        path: their file.
    """
    found = [name for name, (stem, head) in _KNOWN.items() if _has(tensors, stem) and f"{head}.weight" in tensors]
    if len(found) != 1:
        return None
    beside = hugging_face_folder(Path(path).parent) if (Path(path).parent / CONFIGURATION).is_file() else None
    folder = str(beside.path) if beside is not None and beside.weights == Path(path) else None
    return KnownArchitecture(found[0], folder, importlib.util.find_spec(PACKAGE) is not None)


def _has(tensors: Mapping[str, torch.Tensor], stem: str) -> bool:
    weight = tensors.get(f"{stem}.weight")
    return weight is not None and weight.dim() == _KERNEL
