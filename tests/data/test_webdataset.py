"""WebDataset tars: grouping, labels, arrays, and what is refused."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from bncheck.data import DataOptions, open_data
from bncheck.errors import DataError


def image(value, suffix="PNG", size=(2, 2)):
    content = io.BytesIO()
    Image.fromarray(np.full((*size, 3), value, dtype=np.uint8)).save(content, suffix)
    return content.getvalue()


def npy(array, **options):
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


@pytest.fixture
def tar(tmp_path):
    def write(files):
        path = tmp_path / "shard.tar"
        with tarfile.open(path, "w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return path

    return write


def only_batch(path, **options):
    (batch,) = open_data(path, DataOptions(**options)).given_batches(100)
    return batch


def test_files_are_grouped_by_folder_and_name_up_to_the_first_dot(tar):
    path = tar(
        {
            "a/0.png": image(10),
            "a/0.cls": b"3\n",
            "b/0.cls": b"1",
            "b/0.seg.png": image(99),  # another suffix, not another input
            "b/0.bmp": image(20, "BMP"),
            "b/.hidden.png": image(0),
        }
    )
    batch = only_batch(path)
    assert (batch.inputs[:, 0, 0, 0] * 255).round().tolist() == [10, 20]
    assert batch.labels.tolist() == [3, 1]


@pytest.mark.parametrize("key", ["label", "cls", "class"])
@pytest.mark.parametrize(("labels", "expected"), [([4, 2], [4, 2]), (["dog", "cat"], [1, 0])])
def test_labels_from_json(tar, key, labels, expected):
    files = {}
    for index, label in enumerate(labels):
        files |= {f"{index}.jpg": image(index, "JPEG"), f"{index}.json": json.dumps({key: label, "w": 2}).encode()}
    assert only_batch(tar(files)).labels.tolist() == expected


def test_json_without_a_label(tar):
    assert only_batch(tar({"0.png": image(0), "0.json": b'{"width": 2}'})).labels is None


def test_arrays(tar):
    floats = np.arange(6.0).reshape(2, 3)
    assert only_batch(tar({"0.npy": npy(floats)})).inputs.tolist() == [floats.tolist()]
    pixels = np.full((6, 5, 3), 51, dtype=np.uint8)
    batch = only_batch(tar({"0.npy": npy(pixels)}), mean=(0.2,))
    assert tuple(batch.inputs.shape) == (1, 3, 6, 5)
    assert abs(batch.inputs).max() < 1e-6


def test_random_access_reaches_the_whole_tar(tar):
    path = tar({f"{n:03}.{suffix}": content for n in range(50) for suffix, content in sample(n)})
    source = open_data(path)
    assert source.samples == 50
    batches = list(source.batches(4, seed=3, limit=10))
    labels = [label for batch in batches for label in batch.labels.tolist()]
    values = [round(value * 255) for batch in batches for value in batch.inputs[:, 0, 0, 0].tolist()]
    assert labels == values
    assert len(set(labels)) == 10
    assert max(labels) > 25


def sample(number):
    return [("png", image(number)), ("cls", str(number).encode())]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no samples"),
        ({"0.txt": b"caption"}, r"sample 0 has 0 inputs, expected one image or \.npy; its files are 0\.txt"),
        ({"0.png": image(0), "0.npy": npy(np.ones(2))}, "sample 0 has 2 inputs"),
        ({"0.png": image(0), "0.pyd": b"\x80\x04N."}, r"0\.pyd is a pickle"),
        ({"0.png": image(0), "0.cls": b"cat"}, r"0\.cls holds 'cat', not the number of a class"),
        ({"0.png": image(0), "0.json": b"{"}, r"0\.json cannot be read as JSON"),
        ({"0.png": image(0), "0.json": b'{"label": [1]}'}, r"'label' in 0\.json is \[1\]"),
        ({"0.png": image(0), "0.cls": b"1", "1.png": image(0)}, "1 of 2 samples have no label, among them 1"),
        (
            {"0.png": image(0), "0.cls": b"1", "1.png": image(0), "1.json": b'{"cls": "a"}'},
            "some labels are numbers and some are text",
        ),
    ],
)
def test_tars_that_are_refused(tar, files, message):
    with pytest.raises(DataError, match=message):
        open_data(tar(files))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0.png": b"nothing"}, r"shard\.tar: 0\.png cannot be read as an image"),
        ({"0.npy": b"nothing"}, r"shard\.tar: 0\.npy cannot be read as an \.npy array"),
        ({"0.npy": npy(np.array([None]), allow_pickle=True)}, "cannot be read as an .npy array: Object arrays"),
        ({"0.png": image(0), "1.png": image(0, size=(3, 2))}, r"1\.png is 3 x 3 x 2 where 0\.png is 3 x 2 x 2"),
    ],
)
def test_samples_that_are_refused(tar, files, message):
    with pytest.raises(DataError, match=message):
        only_batch(tar(files))


def test_a_file_that_is_there_twice(tmp_path):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("0.png"))
    with pytest.raises(DataError, match=r"0\.png is in it twice"):
        open_data(path)


def test_truncated_and_compressed_tars(tar, tmp_path):
    path = tar({"0.npy": npy(np.zeros(9000)), "1.npy": npy(np.zeros(9000))})
    whole = path.read_bytes()
    for length in (300, 50_000, 100_000):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"shard\.tar cannot be read as an uncompressed tar"):
            open_data(path)
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("0.png"))
    with pytest.raises(DataError, match=r"shard\.tar cannot be read as an uncompressed tar"):
        open_data(path)
