"""What bncheck runs without: the packages of its extras, and what is said where one of them is missing."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any

import lazy_loader

from bncheck.errors import MissingExtraError

_TITLES = {
    "torch": "PyTorch",
    "onnx": "onnx",
    "onnxruntime": "ONNX Runtime",
    "matplotlib": "Matplotlib",
    "jinja2": "Jinja2",
    "keras": "Keras 3",
    "h5py": "h5py",
    "huggingface_hub": "huggingface_hub",
    "fsspec": "fsspec",
    "pyarrow": "pyarrow",
    "lightning": "Lightning 2",
    "transformers": "transformers",
    "accelerate": "accelerate",
}
EXTRA_OF = {
    "onnxruntime": "onnx",
    "matplotlib": "html",
    "jinja2": "html",
    "h5py": "keras",
    "huggingface_hub": "hub",
    "fsspec": "hub",
    "pyarrow": "parquet",
    "accelerate": "transformers",
} | {name: name for name in ("torch", "onnx", "keras", "lightning", "transformers")}
"""By package: the extra of pyproject.toml that brings it."""


def installing(extra: str) -> str:
    """The command that installs what is missing; what is there already is not fetched again."""
    return f"pip install 'bncheck[{extra}]'"


def is_installed(package: str) -> bool:
    """Whether a package of the top level can be found; it is not imported."""
    return sys.modules.get(package) is not None or importlib.util.find_spec(package) is not None


def missing(package: str, what: str = "this") -> MissingExtraError:
    """What is said where `package` is needed and not installed; `what` says by whom."""
    name = _TITLES[package]
    return MissingExtraError(f"{what} needs {name}, which is not installed: {installing(EXTRA_OF[package])}")


def missing_by(error: ImportError, what: str = "this") -> MissingExtraError | None:
    """The same, where an import failed for want of such a package; `None` where it failed for another reason."""
    package = (error.name or "").partition(".")[0]
    return missing(package, what) if isinstance(error, ModuleNotFoundError) and package in EXTRA_OF else None


def require_installed(package: str, what: str) -> None:
    """Raise MissingExtraError where `package` is not installed; `what` says who needs it."""
    if not is_installed(package):
        raise missing(package, what)


@contextlib.contextmanager
def extras_named(what: str = "this") -> Iterator[None]:
    """While it is active an import that fails for want of an extra says which.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        told = None if isinstance(error, MissingExtraError) else missing_by(error, what)
        if told is None:
            raise
        raise told from error


def attached(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`lazy_loader.attach_stub` for what users take names from: a name that needs an extra says which.

    Args:
        package: its `__name__`.
        file: its `__file__`.
    """
    take, names, offered = lazy_loader.attach_stub(package, file)

    def __getattr__(name: str) -> Any:  # noqa: N807  # the package's own
        with extras_named(f"{package}.{name}"):
            return take(name)

    return __getattr__, names, offered
