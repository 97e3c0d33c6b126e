"""What of a configuration is built without trust: Keras' own classes that compute, and nothing a file names itself.

Keras' loader imports modules and calls functions by the names in a file. Here a configuration is copied first, with the
module of every class replaced by the one it is known in; a class that is not listed, a function, a lambda, anything
registered by somebody else is not built.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from bncheck.formats.keras.config import settings_of
from bncheck.formats.keras.layers import BATCH_NORMS

_MODELS = {"Functional": "keras.src.models.functional", "Model": "keras.src.models.functional", "Sequential": "keras"}
_NAMES = """
InputLayer Dense EinsumDense Embedding Activation Masking Identity Reshape Flatten Permute RepeatVector
Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D DepthwiseConv2D
SeparableConv1D SeparableConv2D
MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D
GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
BatchNormalization LayerNormalization GroupNormalization RMSNormalization UnitNormalization SpectralNormalization
Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise
ActivityRegularization
ReLU LeakyReLU PReLU ELU Softmax
Add Subtract Multiply Average Maximum Minimum Concatenate Dot
ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D
UpSampling1D UpSampling2D UpSampling3D
Attention AdditiveAttention MultiHeadAttention GroupedQueryAttention GroupQueryAttention
LSTM GRU SimpleRNN LSTMCell GRUCell SimpleRNNCell StackedRNNCells RNN ConvLSTM1D ConvLSTM2D ConvLSTM3D
Bidirectional TimeDistributed
Rescaling Resizing CenterCrop Normalization
RandomFlip RandomRotation RandomZoom RandomTranslation RandomContrast RandomBrightness RandomCrop
"""
_LAYERS = frozenset(_NAMES.split())
_OPERATIONS = ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.math")
_HELPERS = ("initializers", "regularizers", "constraints")
_VALUES = frozenset({"__keras_tensor__", "__numpy__", "__tensor__", "__slice__", "__ellipsis__", "__bytes__"})
_OLD_POLICIES = ("Policy", "PolicyV1", "AutoCastPolicy")


def not_admitted(config: Any, keras: Any) -> tuple[str, ...]:
    """Names of what the configuration asks for and is not built without trust, each once."""
    return tuple(dict.fromkeys(_refused(config, keras)))


def admitted(config: Any, keras: Any) -> Any:
    """A copy of an admitted configuration, in the form that today's Keras reads, and nothing of its training."""
    if isinstance(config, list):
        return [admitted(one, keras) for one in config]
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config:
        return {key: admitted(value, keras) for key, value in config.items()}
    name, module = config["class_name"], _module_of(config, keras)
    if name in _VALUES:
        return {**config, "config": admitted(config["config"], keras)}
    if name == "function":
        return config["config"]
    if name in _OLD_POLICIES:
        return config["config"]["name"]
    kept = {key: admitted(value, keras) for key, value in config.items() if key not in ("config", "compile_config")}
    own = admitted(dict(settings_of(config)), keras)
    if name in BATCH_NORMS:
        name, own = "BatchNormalization", _of_this_version(own)
    return {**kept, "class_name": _renamed(name), "module": module, "registered_name": None, "config": own}


def _refused(config: Any, keras: Any) -> Iterator[str]:
    if isinstance(config, list):
        for one in config:
            yield from _refused(one, keras)
    elif isinstance(config, Mapping):
        if "class_name" in config and (not isinstance(config["class_name"], str) or not _is_known(config, keras)):
            yield str(config.get("registered_name") or config["class_name"])
        for key, value in config.items():
            if key != "compile_config":
                yield from _refused(value, keras)


def _is_known(config: Mapping[str, Any], keras: Any) -> bool:
    name, inner = config["class_name"], config.get("config")
    if config.get("registered_name") not in (None, name):
        return name == "function" and _is_activation(inner, keras)
    if name in _VALUES:
        return isinstance(inner, Mapping)
    if name == "function":
        return _is_activation(inner, keras)
    if name in _OLD_POLICIES:
        return isinstance(inner, Mapping) and isinstance(inner.get("name"), str)
    return _module_of(config, keras) is not None


def _is_activation(name: Any, keras: Any) -> bool:
    """Whether it is one of Keras' own functions, which a name alone gives."""
    return isinstance(name, str) and name.isidentifier() and callable(getattr(keras.activations, name, None))


def _module_of(config: Mapping[str, Any], keras: Any) -> str | None:
    """Where Keras has a class; `None` for what is not built."""
    name, said = config["class_name"], config.get("module")
    if said is not None and not (isinstance(said, str) and said.partition(".")[0] in ("keras", "builtins")):
        return None
    if name in _MODELS:
        return _MODELS[name]
    if name in _LAYERS or name in BATCH_NORMS:
        return "keras.layers" if said not in _OPERATIONS else _operations(name, said, keras)
    if name == "DTypePolicy":
        return "keras"
    if said in _OPERATIONS:
        return _operations(name, said, keras)
    if said is None and (found := next(filter(None, (_operations(name, one, keras) for one in _OPERATIONS)), None)):
        return found
    for helper in _HELPERS:
        if isinstance(getattr(getattr(keras, helper), name, None), type):
            return f"keras.{helper}"
    return None


def _operations(name: str, module: Any, keras: Any) -> str | None:
    """The module, where the class is an operation that is defined in it."""
    found = getattr(importlib.import_module(module), name, None)
    defined = isinstance(found, type) and issubclass(found, keras.Operation) and found.__module__ == module
    return str(module) if defined else None


def _renamed(name: str) -> str:
    return "Functional" if name == "Model" else name


def _of_this_version(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Batch normalization as this Keras builds it: one axis, and not across replicas, which evaluation knows not."""
    axis = settings.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    return {**settings, "axis": axis, "synchronized": False}
