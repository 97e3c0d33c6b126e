"""Whatever happens during a repair: the input as it was, and under the output's name nothing or a complete model."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from repair_nets import ARCH, assert_statistics, bytes_of, images, stale_net
from safetensors.torch import load_file, save_file

import bncheck
from bncheck.errors import BncheckError, UsageError
from bncheck.files import written_whole

pytestmark = pytest.mark.usefixtures("without_probes")  # what is written does not hang on them

KILLS = 10
BALLAST = 2_000_000
"""Values beside the model, so that writing takes a while."""
PUBLISHING = ("fsync", "replace", "unlink")
"""The calls that bring a file to its place."""


def in_child(work: Callable[[], None], kill_after: float | None = None) -> int:
    """Run `work` in a process of its own, which is killed after so many seconds; how it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def checkpoint(folder: Path) -> Path:
    content = {"model": stale_net().state_dict(), "ballast": torch.zeros(BALLAST)}
    torch.save(content, folder / "net.pt")
    return folder / "net.pt"


def shards(folder: Path) -> Path:
    state = stale_net().state_dict()
    names = sorted(state)
    weight_map = {name: f"part-{at % 2}.safetensors" for at, name in enumerate(names)}
    for shard in set(weight_map.values()):
        save_file({name: state[name] for name in names if weight_map[name] == shard}, folder / shard)
    (folder / "net.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder / "net.safetensors.index.json"


def assert_complete_or_absent(out: Path) -> bool:
    """Whether the file at `out` is there; it must be whole then."""
    if not out.exists():
        return False
    if out.suffix == ".json":
        weight_map = json.loads(out.read_text())["weight_map"]
        state = {name: load_file(out.parent / shard)[name] for name, shard in weight_map.items()}
    else:
        content = torch.load(out)
        assert content["ballast"].numel() == BALLAST
        state = content["model"]
    assert_statistics(state, stale_net())
    return True


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    path, out = checkpoint(tmp_path / "old"), tmp_path / "new" / "net.pt"
    before = bytes_of(tmp_path / "old")

    def repair() -> None:
        bncheck.repair_file(path, images(), out=out, arch=ARCH, overwrite=True)

    repair()  # what is imported here need not be imported by every child
    out.unlink()
    started = time.monotonic()
    assert in_child(repair) == 0
    duration = time.monotonic() - started
    assert assert_complete_or_absent(out)
    out.unlink()
    rng = random.Random(0)
    killed = 0
    for _ in range(KILLS):
        killed += in_child(repair, kill_after=rng.uniform(0, duration)) == signal.SIGKILL
        assert bytes_of(tmp_path / "old") == before
        if assert_complete_or_absent(out):
            out.unlink()
    assert killed > 0


@pytest.mark.slow
@pytest.mark.parametrize("make", [checkpoint, shards], ids=lambda make: make.__name__)
@pytest.mark.parametrize("existing", [False, True], ids=["new", "overwriting"])
def test_complete_or_absent_at_every_step_of_publishing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path], existing: bool
) -> None:
    """What lies there before each step is what would be left by a kill in that moment."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    path = make(tmp_path / "old")
    out = tmp_path / "new" / path.name
    before = bytes_of(tmp_path / "old")
    if existing:
        bncheck.repair_file(path, images(), out=out, arch=ARCH, force=True)
    present: list[bool] = []

    def watch(name: str) -> None:
        original = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            assert bytes_of(tmp_path / "old") == before
            present.append(assert_complete_or_absent(out))
            return original(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    for name in PUBLISHING:
        watch(name)
    bncheck.repair_file(path, images(), out=out, arch=ARCH, overwrite=True)
    assert present.count(existing) > 0
    assert present[0] is existing
    assert assert_complete_or_absent(out)


@pytest.mark.slow
@pytest.mark.parametrize("existing", [False, True], ids=["new", "overwriting"])
def test_killed_at_every_step_of_publishing(tmp_path: Path, existing: bool) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    path = checkpoint(tmp_path / "old")
    out = tmp_path / "new" / path.name
    before = bytes_of(tmp_path / "old")
    if existing:
        bncheck.repair_file(path, images(), out=out, arch=ARCH, force=True)

    def dying_at(step: int) -> Callable[[], None]:
        def repair() -> None:
            steps = iter(range(step, -1, -1))

            def watched(name: str) -> None:
                original = getattr(os, name)

                def call(*args: object, **kwargs: object) -> object:
                    if next(steps) == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return original(*args, **kwargs)

                setattr(os, name, call)

            for name in PUBLISHING:
                watched(name)
            bncheck.repair_file(path, images(), out=out, arch=ARCH, overwrite=True)

        return repair

    step, present = 0, []
    while in_child(dying_at(step)) == signal.SIGKILL:
        assert bytes_of(tmp_path / "old") == before
        present.append(assert_complete_or_absent(out))
        step += 1
        assert step < 50
    assert present.count(existing) > 0
    assert present[0] is existing
    assert assert_complete_or_absent(out)


def test_a_repair_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint(tmp_path)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match=r"^out .*out\.pt: it cannot be written: No space left on device"):
        bncheck.repair_file(path, images(), out=tmp_path / "out.pt", arch=ARCH)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.pt"]


@pytest.mark.parametrize("is_full", [True, False])
def test_a_library_that_fails_on_a_full_disk_is_not_taken_at_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    path = checkpoint(tmp_path)

    def fails(*args: object, **kwargs: object) -> None:
        raise RuntimeError("unexpected pos 44800 vs 44696")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fails)
    if is_full:
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    said = r"it cannot be written: No space left" if is_full else r"cannot be written again: unexpected pos"
    with pytest.raises(BncheckError, match=said):
        bncheck.repair_file(path, images(), out=tmp_path / "out.pt", arch=ARCH)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.pt"]


def test_a_file_system_that_can_only_be_read_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*args: object, **kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refuses)
    monkeypatch.setattr(Path, "unlink", refuses)
    with (
        pytest.raises(UsageError, match=r"--report .*: it cannot be written: Read-only file system"),
        written_whole(tmp_path / "report.json", "--report") as temporary,
    ):
        temporary.write_text("{}")


def small(folder: Path) -> Path:
    torch.save(stale_net().state_dict(), folder / "net.pt")
    return folder / "net.pt"


def refused(path: Path, out: Path, match: str, data: object = None, **how: object) -> None:
    before = bytes_of(path.parent)
    with pytest.raises(UsageError, match=match):
        bncheck.repair_file(path, images() if data is None else data, out=out, arch=ARCH, **how)
    assert bytes_of(path.parent) == before


def test_the_input_is_never_written_over_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "symbolic.pt").symlink_to(path)
    (tmp_path / "hard.pt").hardlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in ("net.pt", "./net.pt", "symbolic.pt", "hard.pt", "folder/net.pt", str(path)):
        refused(path, Path(name), r"that is one of the inputs", overwrite=True, force=True)
    refused(tmp_path / "symbolic.pt", path, r"that is one of the inputs", overwrite=True)


def test_data_and_shards_are_inputs_too(tmp_path: Path) -> None:
    import numpy as np

    (tmp_path / "model").mkdir()
    np.savez(tmp_path / "model" / "data.npz", x=images())
    index = shards(tmp_path / "model")
    refused(index, tmp_path / "model" / "data.npz.json", "no file", data=tmp_path / "model" / "gone.npz")
    path = small(tmp_path / "model")
    data = tmp_path / "model" / "data.npz"
    refused(path, data, r"data\.npz: that is one of the inputs", data=data, overwrite=True)
    # The new index would take the shards' names: they are renamed instead, so nothing is refused here.
    result = bncheck.repair_file(index, images(), out=tmp_path / "model" / "new.json", arch=ARCH, force=True)
    assert assert_complete_or_absent(Path(result.path))


def test_an_existing_file_is_written_over_on_request_alone(tmp_path: Path) -> None:
    path = small(tmp_path)
    out = tmp_path / "out.pt"
    out.write_text("precious")
    refused(path, out, r"it exists already; name another file, or pass overwrite", force=True)
    bncheck.repair_file(path, images(), out=out, arch=ARCH, overwrite=True)
    assert_statistics(torch.load(out), stale_net())


def test_there_must_be_a_place_for_it(tmp_path: Path) -> None:
    path = small(tmp_path)
    (tmp_path / "taken").mkdir()
    refused(path, tmp_path / "taken", r"that is a folder; name a file in it")
    refused(path, tmp_path / "gone" / "out.pt", r"there is no folder .*gone")
    index = shards(tmp_path)
    refused(index, tmp_path / "gone" / "further", r"there is no folder .*gone")


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    out = tmp_path / "report.json"

    def dying() -> None:
        with written_whole(out) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(in_child(dying)) == signal.SIGKILL
    (left,) = tmp_path.iterdir()
    kept = {".report.json.abcdefgh.part", ".report.json.abc.partial", ".other.json.abcdefgh.partial", "mine"}
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / ".report.json.linked_0.partial").symlink_to(tmp_path / "mine")
    with written_whole(out) as temporary:
        assert not left.exists()
        temporary.write_text("whole")
    assert out.read_text() == "whole"
    assert {path.name for path in tmp_path.iterdir()} == {*kept, ".report.json.linked_0.partial", "report.json"}


def test_what_a_running_process_writes_is_not_removed(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    with written_whole(out) as first:
        first.write_text("first")

        def writing() -> None:
            with written_whole(out) as second:
                second.write_text("second")

        assert in_child(writing) == 0
        assert first.read_text() == "first"
        assert out.read_text() == "second"
    assert out.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
