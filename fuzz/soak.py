"""`python -m fuzz.soak`: inspections without end in one process, which leave nothing behind."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import os
import random
import tempfile
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import bncheck
from fuzz.formats.onnx_graphs import model as onnx_model
from fuzz.oracle import temporary_files_in
from fuzz.samples import CODE, LABELS, NET, Net, exported, images, net, saved, torchscript, weights

MOST_GROWN = 5 * 2**20
"""Bytes, of all inspections together."""
WARM_UP = 2
"""Inspections of each kind before anything is counted."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What many inspections left.

    Attributes:
        inspections: that were made.
        python_bytes: by which what Python allocated has grown.
        process_bytes: by which the process has grown; 0 where Linux does not tell.
        left: what is not as it was, in words.
    """

    inspections: int
    python_bytes: int
    process_bytes: int
    left: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether the process is what it was."""
        return not self.left and max(self.python_bytes, self.process_bytes) <= MOST_GROWN


def soak(inspections: int, threads: int = 1) -> Soaked:
    """Inspect a module, and files of each kind, again and again.

    Args:
        inspections: to make after the warm-up.
        threads: that make them at once.
    """
    with tempfile.TemporaryDirectory() as name, temporary_files_in(Path(name) / "tmp"):
        module = Net().eval()
        module.load_state_dict(net().state_dict())
        kinds = _kinds(Path(name), module)
        for _ in range(WARM_UP):
            _run(kinds, len(kinds) * threads, threads)
        random.seed(3)
        np.random.seed(3)  # it is the global state that is looked at
        torch.manual_seed(3)
        before, threads_before = _state(module), _threads()
        with _traced() as python:
            start = python()
            _run(kinds, inspections // 2, threads)
            grown = python() - start
        process = _process_bytes()  # not while Python's own are traced, which takes memory itself
        _run(kinds, inspections - inspections // 2, threads)
        held = _process_bytes() - process
        after = _state(module)
    more = _threads() - threads_before  # fewer, where a thread of the warm-up had still to end
    left = tuple(f"{key}: {before[key]} became {after[key]}" for key in before if before[key] != after[key])
    if more > 0:
        left += (f"{more} more threads",)
    return Soaked(inspections, grown, held, left)


def _kinds(folder: Path, module: torch.nn.Module) -> list[Callable[[], object]]:
    """One inspection each."""
    x, y = torch.from_numpy(images()), torch.from_numpy(LABELS)
    np.savez(folder / "data.npz", x=images(), y=LABELS)
    (folder / CODE).write_text(NET, "utf-8")
    contents = {
        "net.pth": saved(weights()),
        "net.pt": torchscript(),
        "net.pt2": exported(),
        "net.onnx": bytes(onnx_model().SerializeToString()),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    data = folder / "data.npz"
    return [
        lambda: bncheck.inspect(module, [(x[:12], y[:12]), (x[12:], y[12:])]),
        lambda: bncheck.inspect(module),
        lambda: bncheck.inspect(folder / "net.pth", data, arch=f"{folder / CODE}:build"),
        lambda: bncheck.inspect(folder / "net.pt", data),
        lambda: bncheck.inspect(folder / "net.pt2", data),
        lambda: bncheck.inspect(folder / "net.onnx", data),
    ]


def _run(kinds: list[Callable[[], object]], inspections: int, threads: int) -> None:
    """Each kind in turn, dealt out to the threads."""
    failed: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(first, inspections, threads):
                kinds[number % len(kinds)]()
        except BaseException as error:  # noqa: BLE001  # raised again below, where it is seen
            failed.append(error)

    if threads == 1:
        work(0)
    else:
        started = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
    if failed:
        raise failed[0]


def _state(module: torch.nn.Module) -> dict[str, object]:
    """All that an inspection could leave behind, but memory."""
    modules = list(module.modules())
    return {
        "hooks": sum(len(getattr(one, name)) for one in modules for name in vars(one) if name.endswith("_hooks")),
        "modes": [one.training for one in modules],
        "gradients": [parameter.requires_grad for parameter in module.parameters()],
        "values": {name: value.tolist() for name, value in module.state_dict().items()},
        "attributes": [sorted(vars(one)) for one in modules],
        "files": _opened(),
        "threads of Python": threading.active_count(),
        "random state of torch": torch.get_rng_state().tolist(),
        "random state of numpy": str(np.random.get_state()),
        "random state of Python": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "gradient mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "threads of torch": torch.get_num_threads(),
        "temporary files": sorted(os.listdir(tempfile.gettempdir())),
        "folder": os.getcwd(),
    }


def _threads() -> int:
    """Those of C++ too, where Linux tells."""
    with contextlib.suppress(OSError):
        return len(os.listdir("/proc/self/task"))
    return threading.active_count()


def _opened() -> list[str]:
    """The files that are open, as the system tells."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one that reads this folder
                found.append(os.readlink(f"/proc/self/fd/{name}"))
    return sorted(name for name in found if not name.startswith("/proc/"))


@contextlib.contextmanager
def _traced():  # type: ignore[no-untyped-def]
    """Tells how many bytes Python has allocated."""
    tracemalloc.start()

    def allocated() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    try:
        yield allocated
    finally:
        tracemalloc.stop()


def _process_bytes() -> int:
    """Resident bytes, without what the allocator keeps for later."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def main() -> int:
    """1 where anything is left."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.soak", description=__doc__)
    parser.add_argument("--inspections", type=int, default=500)
    parser.add_argument("--threads", type=int, default=4)
    given = parser.parse_args()
    held = True
    for threads in dict.fromkeys((1, given.threads)):
        soaked = soak(given.inspections, threads)
        held = held and soaked.held
        print(
            f"{soaked.inspections} inspections, {threads} at once: Python {soaked.python_bytes / 2**20:+.2f} MiB, "
            f"process {soaked.process_bytes / 2**20:+.2f} MiB, {'; '.join(soaked.left)[:2000] or 'nothing left'}",
            flush=True,
        )
    return int(not held)


if __name__ == "__main__":
    raise SystemExit(main())
