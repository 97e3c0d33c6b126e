"""Folders of images: classes, modes, and files that are refused or left out."""

import io
import os

import numpy as np
import pytest
import torch
from PIL import Image

from bncheck.data import DataOptions, open_data
from bncheck.data.decoding import decode_image
from bncheck.data.sources import image_folder
from bncheck.errors import DataError
from bncheck.results.notes import sentences

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)


def save(path, pixels=PIXELS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def only_batch(folder, **options):
    (batch,) = open_data(folder, DataOptions(**options)).given_batches(100)
    return batch


def plain(value, size=(2, 2)):
    return np.full((*size, 3), value, dtype=np.uint8)


def test_class_folders_are_numbered_in_sorted_order(tmp_path):
    save(tmp_path / "dog" / "a.png", plain(10))
    save(tmp_path / "cat" / "deep" / "er" / "b.png", plain(20))
    save(tmp_path / "cat" / "a.png", plain(30))
    (tmp_path / "bird").mkdir()  # a class without images keeps its number
    batch = only_batch(tmp_path)
    assert (batch.inputs[:, 0, 0, 0] * 255).round().tolist() == [30, 20, 10]
    assert batch.labels.tolist() == [1, 1, 2]


def test_flat_folder_has_no_labels(tmp_path):
    for name, value in [("b.png", 2), ("a.bmp", 1), ("c.PPM", 3)]:
        save(tmp_path / name, plain(value))
    batch = only_batch(tmp_path)
    assert (batch.inputs[:, 0, 0, 0] * 255).round().tolist() == [1, 2, 3]
    assert batch.labels is None


def test_hidden_and_other_files_are_left_out(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / ".b.png")
    save(tmp_path / ".thumbnails" / "c.png")
    (tmp_path / "README.txt").write_text("no image")
    assert open_data(tmp_path).samples == 1
    save(tmp_path / "classes" / "cat" / "a.png")
    save(tmp_path / "classes" / "cat" / ".thumbnails" / "a.png")
    assert open_data(tmp_path / "classes").samples == 1


def test_linked_folders_are_followed(tmp_path):
    save(tmp_path / "elsewhere" / "a.png")
    save(tmp_path / "data" / "bird" / "a.png")
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "bird" / "more").symlink_to(tmp_path / "elsewhere")
    assert only_batch(tmp_path / "data").labels.tolist() == [0, 0, 1]


def test_images_and_arrays_are_preprocessed_alike(tmp_path):
    save(tmp_path / "a.png")
    options = {"resize": 5, "crop": (4, 3), "channels": "bgr", "scale": 255.0, "mean": (1.0, 2.0, 3.0), "std": (2.0,)}
    from_array = only_batch(PIXELS[None], **options)
    torch.testing.assert_close(only_batch(tmp_path, **options).inputs, from_array.inputs, rtol=0, atol=0)


def test_random_batches_keep_images_and_labels_together(tmp_path):
    for value in range(12):
        save(tmp_path / f"class{value:02}" / "a.png", plain(value))
    batches = list(open_data(tmp_path).batches(5, seed=1, limit=8))
    values = torch.cat([batch.inputs[:, 0, 0, 0] for batch in batches]) * 255
    labels = torch.cat([batch.labels for batch in batches])
    assert values.round().long().tolist() == labels.tolist()
    assert len(set(labels.tolist())) == 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_mode_becomes_rgb(mode, suffix):
    image = Image.fromarray(PIXELS).convert(mode)
    if mode == "CMYK":
        suffix = ".tif"
    decoded = decode_image(encoded(image, suffix), "a")
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decoded[0].permute(1, 2, 0), expected)


def test_palette_with_transparency_per_entry():
    image = Image.fromarray(PIXELS).convert("P")
    decoded = decode_image(encoded(image, ".png", transparency=b"\x00\x80"), "a")
    np.testing.assert_array_equal(decoded[0].permute(1, 2, 0), np.asarray(image.convert("RGB")))


def test_sixteen_bit_gray_uses_its_full_range():
    values = np.array([[0, 200, 32896, 65535]], dtype=np.uint16)
    decoded = decode_image(encoded(Image.fromarray(values), ".png"), "a")
    assert decoded[0, :, 0].tolist() == [[0, 1, 128, 255]] * 3


@pytest.mark.parametrize("values", [np.array([[0, 70000]], dtype=np.int32), np.array([[-1, 5]], dtype=np.int32)])
def test_pixels_without_a_known_range(values):
    with pytest.raises(DataError, match=r"a\.tif cannot be read as an image: 32-bit pixels \(mode I\)"):
        decode_image(encoded(Image.fromarray(values), ".tif"), "a.tif")
    with pytest.raises(DataError, match=r"floating pixels \(mode F\)"):
        decode_image(encoded(Image.fromarray(values.astype(np.float32)), ".tif"), "a.tif")


def test_exif_orientation_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    decoded = decode_image(encoded(Image.fromarray(PIXELS), ".png", exif=exif), "a")
    assert tuple(decoded.shape) == (1, 3, 6, 4)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_unreadable_image_is_named(tmp_path, content):
    save(tmp_path / "good.png")
    if content is None:  # truncated
        content = (tmp_path / "good.png").read_bytes()[:-40]
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.png cannot be read as an image") as refusal:
        only_batch(tmp_path)
    assert "BytesIO" not in str(refusal.value)


def test_sizes_that_differ(tmp_path):
    save(tmp_path / "a.png", plain(0, (4, 5)))
    save(tmp_path / "b.png", plain(0, (6, 5)))
    with pytest.raises(DataError, match=r"b\.png is 3 x 6 x 5 where \S+a\.png is 3 x 4 x 5.* resize=\(HEIGHT, WIDTH\)"):
        only_batch(tmp_path)
    assert tuple(only_batch(tmp_path, crop=4).inputs.shape) == (2, 3, 4, 4)


def test_image_smaller_than_the_crop_is_named(tmp_path):
    save(tmp_path / "small.png")
    with pytest.raises(DataError, match=r"small\.png: 6 x 4 \(height x width\) is smaller than crop 5"):
        only_batch(tmp_path, crop=5)


def test_no_images_and_mixed_folders(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match="has no images in it"):
        open_data(tmp_path)
    save(tmp_path / "stray.png")
    save(tmp_path / "cat" / "a.png")
    with pytest.raises(DataError, match=r"images of its own \(stray\.png, \.\.\.\) and others in folders \(cat/a\.png"):
        open_data(tmp_path)


@pytest.mark.parametrize("deep", ["photos", "photos/all"])
def test_classes_a_folder_deeper_are_no_single_class(tmp_path, deep):
    for name in ("0", "1", "2", "3"):
        save(tmp_path / deep / name / "a.png")
    with pytest.raises(DataError, match=rf"one folder, {deep}, .* 0, 1, 2 and 1 more\. .* name \S+/{deep} instead"):
        open_data(tmp_path)
    assert only_batch(tmp_path / deep).labels.tolist() == [0, 1, 2, 3]


def test_a_single_class_is_noted(tmp_path):
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "cat" / "more" / "b.png")
    (note,) = sentences(open_data(tmp_path).notes)
    assert "cat is the only class folder" in note
    assert open_data(tmp_path / "cat" / "more").notes == ()
    save(tmp_path / "dog" / "a.png")
    assert open_data(tmp_path).notes == ()


@pytest.mark.parametrize(("resize", "noted"), [(16, False), (17, True), ((24, 4), False), ((6, 17), True)])
def test_images_that_are_enlarged_much_are_noted(tmp_path, resize, noted):
    save(tmp_path / "a.png")
    for source in (tmp_path, PIXELS[None]):
        notes = sentences(open_data(source, DataOptions(resize=resize)).notes)
        assert [note.split(",")[0].startswith("Images of 6 x 4") for note in notes] == [True] * noted


def encoded(image, suffix, **options):
    content = io.BytesIO()
    image.save(content, {".png": "PNG", ".tif": "TIFF"}[suffix], **options)
    return content.getvalue()


@pytest.mark.parametrize("target", [".", "..", "../dog"])
def test_links_that_never_end_are_named(tmp_path, target):
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "dog" / "a.png")
    (tmp_path / "cat" / "again").symlink_to(target)
    (tmp_path / "dog" / "back").symlink_to("../cat")
    with pytest.raises(DataError, match=r"links to a folder that it lies in, so there is no end to it"):
        open_data(tmp_path)


def test_links_that_double_at_each_level_are_followed_once(tmp_path):
    for level in range(40):
        (tmp_path / "else" / str(level)).mkdir(parents=True)
        for name in "ab" if level < 39 else "":
            (tmp_path / "else" / str(level) / name).symlink_to(tmp_path / "else" / str(level + 1))
    save(tmp_path / "else" / "39" / "x.png")
    save(tmp_path / "data" / "cat" / "a.png")
    save(tmp_path / "data" / "dog" / "a.png")
    (tmp_path / "data" / "cat" / "linked").symlink_to(tmp_path / "else" / "0")
    assert len(only_batch(tmp_path / "data").inputs) == 3


def test_pipes_and_devices_are_no_images(tmp_path):
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "dog" / "a.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "dog" / "zero.png").symlink_to("/dev/zero")
    assert len(only_batch(tmp_path).inputs) == 2
    with pytest.raises(DataError, match="it is a pipe or a device, which may never end"):
        open_data(tmp_path / "cat" / "pipe.png")


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "gone.png").symlink_to("nothing")
    with pytest.raises(DataError, match=r"gone\.png cannot be read: No such file"):
        only_batch(tmp_path)


def test_files_that_the_folder_tells_to_be_files_are_not_looked_at(tmp_path, monkeypatch):
    for name in ("cat/b.png", "cat/deep/c.png", "dog/a.png"):
        save(tmp_path / name)

    def looked(path):
        raise AssertionError(path)

    monkeypatch.setattr(image_folder, "is_special", looked)
    assert open_data(tmp_path).samples == 3
