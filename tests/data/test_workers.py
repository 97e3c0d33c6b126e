"""Worker processes: what they read is what one process reads, in the same order, with the same errors."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bncheck.data import Batch, DataOptions, open_data, workers
from bncheck.errors import DataError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(10):
        path = made / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)).save(path)
    return made


def contents(batches: list[Batch]) -> list[tuple[bytes, list[int], list[int]]]:
    return [(one.inputs.numpy().tobytes(), one.labels.tolist(), one.positions.tolist()) for one in batches]


def test_they_give_what_one_process_gives(folder: Path) -> None:
    alone, helped = open_data(folder), open_data(folder, DataOptions(workers=2))
    assert contents(list(helped.batches(3, seed=1))) == contents(list(alone.batches(3, seed=1)))
    drawn = torch.random.get_rng_state()
    part, other = helped.split(0.5, 0)[0], alone.split(0.5, 0)[0]
    assert contents(list(part.given_batches(2))) == contents(list(other.given_batches(2)))
    assert torch.equal(torch.random.get_rng_state(), drawn)


def test_a_damaged_file_is_named_as_by_one_process(folder: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        (tmp_path / f"{number}.png").write_bytes(b"no image" if number == 7 else path.read_bytes())
    said = []
    for number in (0, 1):
        read = open_data(tmp_path, DataOptions(workers=number)).given_batches(2)
        assert [next(read).size for _ in range(3)] == [2, 2, 2]
        with pytest.raises(DataError, match=r"7\.png cannot be read as an image") as caught:
            next(read)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_none_is_started_for_a_first_look(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "DataLoader", None)  # whoever starts one fails
    assert next(open_data(folder, DataOptions(workers=4)).given_batches(3)).size == 3


def test_what_reads_can_be_sent_to_another_process(folder: Path) -> None:
    read = open_data(folder)._source._read
    assert torch.equal(pickle.loads(pickle.dumps(read))(np.array([3])), read(np.array([3])))


@pytest.mark.parametrize("given", [-1, 0.5, "2"])
def test_their_number_is_a_whole_one(given: object) -> None:
    with pytest.raises(UsageError, match="workers"):
        DataOptions(workers=given)  # type: ignore[arg-type]  # as a user might
