"""A Keras model built again when it is run: from its configuration, with trust, or by an architecture of the user's."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bncheck.core import NormLayer
from bncheck.data import same_random_state
from bncheck.errors import BncheckError, ModelError, UsageError
from bncheck.formats.format import Request
from bncheck.formats.keras.config import Node
from bncheck.formats.keras.layers import torch_momentum
from bncheck.formats.keras.reading import KerasFile, read_keras
from bncheck.formats.keras.running.admitted import admitted, not_admitted
from bncheck.formats.keras.running.architecture import architecture_of
from bncheck.formats.keras.running.library import keras_module
from bncheck.formats.keras.running.placing import addresses, object_at, placed
from bncheck.formats.messages import first_line, listed
from bncheck.user_code import user_output_to_stderr
from bncheck.vocabulary import argument
from bncheck.watch import Session, accelerators

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.keras.running.program import KerasProgram

_NAMED = 3


class Rebuilt:
    """How one file's model is built; it is, once, when it is first run or when an architecture is given.

    Attributes:
        content: what the file holds; with an architecture, of the classes that it has.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._model = (
            None if request.arch is None else architecture_of(request.arch, request.arch_kwargs, request.device)
        )
        self.content = read_keras(request.path, request.container)
        if self._model is not None and self.content.legacy is None:
            self.content = read_keras(request.path, request.container, self._nodes(self._model, self.content))

    def layers(self) -> tuple[NormLayer, ...]:
        """The layers, by an architecture with the settings that it has and the file does not say."""
        if self._model is None:
            return self.content.layers
        return tuple(_with_settings(layer, self._program.norms.get(layer.name)) for layer in self.content.layers)

    def require(self, otherwise: str) -> None:
        """Raise UsageError where there is nothing to build it by, or Keras is not there; nothing is built yet."""
        path, named = (
            self._request.path,
            f"{argument('arch', 'FILE.py:CALLABLE')} (a function that returns the keras.Model)",
        )
        if self._model is not None:
            return
        if self.content.config is None:
            raise UsageError(
                f"{path} holds weights only and cannot be run on data: name the architecture with {named}, or "
                f"{otherwise}."
            )
        keras = keras_module()
        refused = () if self._request.trust_pickle else not_admitted(self.content.config, keras)
        if refused:
            raise UsageError(
                f"{path} cannot be run on data: it asks for {listed(refused, _NAMED)}, which is not among the "
                f"layers of Keras that are built without trust. Name the architecture with {named}, or pass "
                f"{argument('trust_pickle')} if you trust it: Keras then runs what the file asks for. Or {otherwise}."
            )

    @contextlib.contextmanager
    def session(self, model: Backend, source_name: str, seed: int) -> Iterator[Session]:
        """See `Backend.session`.

        Raises:
            UsageError: see `require`.
            ModelError: Keras cannot build it, or its weights do not fit.
        """
        self.require(f"leave out {argument('data')} to audit the stored values alone")
        with replace(self._program, fixed_batch=model.fixed_batch).session(source_name, seed) as session:
            yield session

    @cached_property
    def _program(self) -> KerasProgram:
        """The model with the file's weights in it."""
        from bncheck.formats.keras.running.program import Called, KerasProgram

        path, keras = self._request.path, keras_module()
        with warnings.catch_warnings(), keras.device(self._request.device):
            warnings.simplefilter("ignore")
            model = self._built(keras) if self._model is None else self._model
            variables = placed(model, self.content, path)
        names = {id(variables[at]): name for name, at in self.content.places.items()}
        norms = [one for one in model._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)]
        return KerasProgram(
            path=str(path),
            format="keras",
            layers=self.content.layers,
            program=Called(model).eval(),
            tensor_names=addresses(variables, self.content.places),
            norms={names[id(one.moving_mean)].rpartition(".")[0]: one for one in norms if one.built},
            device=self._request.device,
        )

    def _built(self, keras: Any) -> Any:
        """The model that the configuration describes."""
        path, trusted = self._request.path, self._request.trust_pickle
        from bncheck.formats.programs.budget import Budget  # it watches PyTorch's operators

        try:
            with same_random_state(accelerators()), user_output_to_stderr():
                if trusted:
                    model = keras.saving.deserialize_keras_object(dict(self.content.config), safe_mode=False)
                else:
                    with Budget(self.content.size, path):
                        model = keras.saving.deserialize_keras_object(admitted(self.content.config, keras))
        except BncheckError:
            raise
        except Exception as error:
            raise ModelError(
                f"{path} cannot be built by Keras {keras.version()}: {type(error).__name__}: {first_line(error)}. Save "
                f"it again with a current Keras, or name its architecture with {argument('arch', 'FILE.py:CALLABLE')}."
            ) from error
        if not isinstance(model, keras.Model) or not model.built:
            raise ModelError(
                f"{path} does not say what inputs its model takes: call it once before it is saved, or name its "
                f"architecture with {argument('arch', 'FILE.py:CALLABLE')}."
            )
        return model

    @staticmethod
    def _nodes(model: Any, content: KerasFile) -> tuple[Node, ...]:
        """What an architecture has where the file keeps weights."""
        norm = keras_module().layers.BatchNormalization
        found = []
        for owner in content.owners:
            layer = object_at(model, owner.path)
            if layer is not None and owner.datasets:
                own = layer.__class__
                name = norm.__name__ if isinstance(layer, norm) else own.__name__
                is_own = isinstance(layer, norm) or own.__module__.startswith("keras.")
                found.append(Node(name, is_own, owner.dotted, owner.dotted, owner.path, owner.dotted, _settings(layer)))
        return tuple(found)


def _settings(layer: Any) -> dict[str, Any]:
    """Those of a layer that tell how it normalizes."""
    names = ("epsilon", "momentum", "scale", "center", "renorm")
    return {name: getattr(layer, name) for name in names if isinstance(getattr(layer, name, None), bool | int | float)}


def _with_settings(layer: NormLayer, norm: Any) -> NormLayer:
    if norm is None:
        return layer
    return replace(layer, eps=float(norm.epsilon), momentum=torch_momentum(float(norm.momentum)))
