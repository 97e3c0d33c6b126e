"""What code that is not ours may set of the whole process, each with the way to ask for it and to put it back."""

from __future__ import annotations

import contextlib
import decimal
import locale
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name))
"""Those that end a process. That of its children PyTorch's loaders set once, for good."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the process.

    Attributes:
        get: what it is; equal values are the same setting.
        put: makes it that again.
    """

    get: Callable[[], Any]
    put: Callable[[Any], object]


def _put_device(device: torch.device) -> None:
    torch.set_default_device(None)  # that it was unset is not told otherwise
    if torch.get_default_device() != device:
        torch.set_default_device(device)


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _autocast() -> tuple[Any, ...]:
    kinds = ("cpu", "cuda")
    enabled = (torch.is_autocast_enabled(kind) for kind in kinds)
    dtypes = (torch.get_autocast_dtype(kind) for kind in kinds)
    return (*enabled, *dtypes, torch.is_autocast_cache_enabled())


def _put_autocast(found: tuple[Any, ...]) -> None:
    for kind, enabled, dtype in zip(("cpu", "cuda"), found[:2], found[2:4], strict=True):
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)
    torch.set_autocast_cache_enabled(found[4])


def _precision() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # set in a newer way, which the older one cannot tell
        return None


def _put_precision(found: str | None) -> None:
    if found is not None:
        torch.set_float32_matmul_precision(found)


def _cudnn() -> tuple[bool, bool, bool]:
    return torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic


def _put_cudnn(found: tuple[bool, bool, bool]) -> None:
    torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = found


def _put_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]  # a list, whatever its stub says
    mutated = getattr(warnings, "_filters_mutated_lock_held", None) or getattr(warnings, "_filters_mutated", None)
    if mutated is not None:
        with getattr(warnings, "_lock", contextlib.nullcontext()):
            mutated()


def _environment() -> dict[Any, Any]:
    """As the system has it where that is to be had: decoding all of it takes longer than many a forward."""
    return dict(getattr(os.environ, "_data", os.environ))


def _put_environment(variables: dict[Any, Any]) -> None:
    wanted = {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()}
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _put_path(path: list[str]) -> None:
    sys.path[:] = path


def _context() -> tuple[Any, ...]:
    now = decimal.getcontext()
    return now.prec, now.rounding, now.Emin, now.Emax, now.capitals, now.clamp, tuple(now.traps.items())


def _put_context(found: tuple[Any, ...]) -> None:
    now = decimal.getcontext()
    now.prec, now.rounding, now.Emin, now.Emax, now.capitals, now.clamp = found[:6]
    now.traps.update(found[6])


def _handlers() -> tuple[Any, ...]:
    return tuple(signal.getsignal(one) for one in _SIGNALS)


def _put_handlers(handlers: tuple[Any, ...]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # Python lets nobody else set them
    for one, handler in zip(_SIGNALS, handlers, strict=True):
        if handler is not None and signal.getsignal(one) != handler:  # `None` was not set by Python
            signal.signal(one, handler)


def _put_stderr(stream: Any) -> None:
    sys.stderr = stream


def _put_locale(name: str) -> None:
    with contextlib.suppress(locale.Error):  # of a system that has changed meanwhile
        locale.setlocale(locale.LC_ALL, name)


COMPUTING = (
    Setting(torch.get_default_dtype, torch.set_default_dtype),
    Setting(torch.get_default_device, _put_device),
    Setting(torch.get_num_threads, torch.set_num_threads),
    Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    Setting(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    Setting(_anomaly, lambda found: torch.autograd.set_detect_anomaly(*found)),
    Setting(_autocast, _put_autocast),
    Setting(_precision, _put_precision),
    Setting(_cudnn, _put_cudnn),
    Setting(np.geterr, lambda errors: np.seterr(**errors)),
)
"""What decides what is computed: every call of such code begins with what was there before any."""
OTHERS = (
    Setting(lambda: list(warnings.filters), _put_filters),
    Setting(lambda: warnings.showwarning, lambda shown: setattr(warnings, "showwarning", shown)),
    Setting(_environment, _put_environment),
    Setting(lambda: list(sys.path), _put_path),
    Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    Setting(lambda: sys.stderr, _put_stderr),
    Setting(_context, _put_context),
    Setting(lambda: locale.setlocale(locale.LC_ALL), _put_locale),
    Setting(_handlers, _put_handlers),
)
"""What it may rely on from one call to its next: the environment, where modules are found, ..."""
