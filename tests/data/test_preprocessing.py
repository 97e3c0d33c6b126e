"""Preprocessing: hand-computed values, and Pillow doing the same step by step."""

import numpy as np
import pytest
import torch
from PIL import Image

from bncheck.data import DataOptions, open_data
from bncheck.errors import DataError, UsageError

RGB = np.random.default_rng(0).integers(0, 256, (2, 11, 7, 3), dtype=np.uint8)


def prepared(array, **options):
    (batch,) = open_data(array, DataOptions(**options)).given_batches(100)
    return batch.inputs


def by_pillow(images, step):
    """Floats in 0..1 (N, C, H, W) of what `step` makes of each Pillow image."""
    arrays = [np.atleast_3d(np.asarray(step(Image.fromarray(image)))) for image in images]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 255


def test_uint8_becomes_floats_in_0_to_1():
    pixels = np.array([[[0, 51], [102, 255]]], dtype=np.uint8)
    result = prepared(pixels)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, torch.tensor([[[[0.0, 0.2], [0.4, 1.0]]]]))


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((2, 8, 9), "auto", (2, 1, 8, 9)),
        ((2, 8, 9, 3), "auto", (2, 3, 8, 9)),
        ((2, 8, 9, 1), "auto", (2, 1, 8, 9)),
        ((2, 8, 9, 4), "auto", (2, 4, 8, 9)),
        ((2, 3, 8, 9), "auto", (2, 3, 8, 9)),
        ((2, 3, 8, 3), "nhwc", (2, 3, 3, 8)),
        ((2, 3, 8, 3), "nchw", (2, 3, 8, 3)),
        ((2, 8, 9, 12), "nhwc", (2, 12, 8, 9)),
    ],
)
def test_layout(shape, layout, expected):
    assert tuple(prepared(np.zeros(shape, dtype=np.uint8), layout=layout).shape) == expected


def test_both_layouts_give_the_same_images():
    torch.testing.assert_close(prepared(RGB), prepared(np.ascontiguousarray(RGB.transpose(0, 3, 1, 2))))


@pytest.mark.parametrize("shape", [(2, 3, 8, 3), (2, 1, 1, 1), (2, 8, 8, 12), (2, 2, 8, 8)])
def test_layout_that_cannot_be_told(shape):
    with pytest.raises(DataError, match=" layout nhwc or layout nchw"):
        prepared(np.zeros(shape, dtype=np.uint8))


def test_images_are_contiguous_whatever_their_layout_was():
    assert prepared(RGB).is_contiguous()
    assert prepared(RGB, resize=5, channels="bgr").is_contiguous()
    assert prepared(np.zeros((2, 8, 9, 3)), layout="nhwc").is_contiguous()


def test_floating_arrays_pass_unless_nhwc_is_said():
    array = np.zeros((2, 8, 9, 3))
    assert tuple(prepared(array).shape) == (2, 8, 9, 3)
    assert tuple(prepared(array, layout="nhwc").shape) == (2, 3, 8, 9)


def test_mean_std_and_scale_by_hand():
    pixels = np.array([[[[255, 51, 0]]]], dtype=np.uint8)  # one pixel, NHWC
    result = prepared(pixels, layout="nhwc", scale=10.0, mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 4.0))
    torch.testing.assert_close(result.flatten(), torch.tensor([9.0, 0.0, -0.75]))


def test_one_value_serves_all_channels():
    torch.testing.assert_close(prepared(RGB, mean=(0.5,), std=(0.25,)), (prepared(RGB) - 0.5) / 0.25)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_floating_arrays_are_normalized_in_their_own_dtype(dtype):
    result = prepared(np.ones((2, 2, 3), dtype=dtype), scale=4.0, mean=(1.0, 2.0), std=(2.0,))
    assert result.numpy().dtype == dtype
    assert result[0].tolist() == [[1.5, 1.5, 1.5], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize("size", [5, 14, (6, 9)])
def test_resize_is_pillows_bilinear(size):
    expected_size = {5: (5, 7), 14: (14, 22), (6, 9): (9, 6)}[size]  # Pillow's are (width, height)
    expected = by_pillow(RGB, lambda image: image.resize(expected_size, Image.Resampling.BILINEAR))
    torch.testing.assert_close(prepared(RGB, resize=size), expected, rtol=0, atol=0)


def test_shorter_side_may_be_the_height():
    wide = RGB.transpose(0, 2, 1, 3)  # 7 x 11
    assert tuple(prepared(wide, resize=14).shape[2:]) == (14, 22)


def test_a_fourth_channel_is_not_taken_for_alpha():
    four = np.concatenate([RGB, np.zeros_like(RGB[..., :1])], axis=3)
    torch.testing.assert_close(prepared(four, resize=5)[:, :3], prepared(RGB, resize=5))


@pytest.mark.parametrize("size", [4, 7, (3, 6), (11, 1)])
def test_crop_is_the_centre(size):
    height, width = (size, size) if isinstance(size, int) else size
    top, left = round((11 - height) / 2), round((7 - width) / 2)
    expected = by_pillow(RGB, lambda image: image.crop((left, top, left + width, top + height)))
    torch.testing.assert_close(prepared(RGB, crop=size), expected)


def test_crop_never_pads():
    with pytest.raises(DataError, match=r"11 x 7 \(height x width\) is smaller than crop 8"):
        prepared(RGB, crop=8)


def test_channels():
    plain = prepared(RGB)
    torch.testing.assert_close(prepared(RGB, channels="rgb"), plain)
    torch.testing.assert_close(prepared(RGB, channels="bgr"), plain[:, [2, 1, 0]])
    gray = prepared(RGB, channels="gray")
    torch.testing.assert_close(gray, by_pillow(RGB, lambda image: image.convert("L")), rtol=0, atol=0)
    repeated = prepared(RGB[..., 0], channels="rgb")
    torch.testing.assert_close(repeated, plain[:, [0, 0, 0]])


def test_alpha_is_dropped_for_rgb():
    four = np.concatenate([RGB, np.full_like(RGB[..., :1], 9)], axis=3)
    torch.testing.assert_close(prepared(four, channels="bgr"), prepared(RGB, channels="bgr"))
    assert prepared(four).shape[1] == 4


def test_channels_of_something_else():
    with pytest.raises(UsageError, match=r"^channels rgb needs images of 1, 3 or 4 channels; those in .* have 2"):
        prepared(np.zeros((1, 5, 5, 2), dtype=np.uint8), layout="nhwc", channels="rgb")


def test_order_is_channels_resize_crop_then_values():
    def step(image):
        return image.convert("L").resize((8, 12), Image.Resampling.BILINEAR).crop((2, 4, 6, 8))

    result = prepared(RGB, channels="gray", resize=(12, 8), crop=4, scale=2.0, mean=(1.0,), std=(0.5,))
    torch.testing.assert_close(result, (by_pillow(RGB, step) * 2 - 1) / 0.5)


def test_imagenet_preset():
    image = np.random.default_rng(1).integers(0, 256, (1, 300, 400, 3), dtype=np.uint8)
    resized = by_pillow(image, lambda i: i.resize((341, 256), Image.Resampling.BILINEAR).crop((58, 16, 282, 240)))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (resized - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.testing.assert_close(prepared(image, preset="imagenet"), expected)
    torch.testing.assert_close(prepared(image, preset="imagenet", channels="bgr"), expected.flip(1))


def test_explicit_options_override_the_preset():
    options = DataOptions(preset="imagenet", resize=40, crop=32, mean=(0.0,), std=(1.0,)).with_preset()
    assert (options.resize, options.crop, options.mean, options.std) == (40, 32, (0.0,), (1.0,))
    assert DataOptions(preset="imagenet", crop=32).with_preset().resize == 256


@pytest.mark.parametrize("options", [{"mean": (1.0, 2.0)}, {"std": (1.0, 2.0)}])
def test_wrong_number_of_values(options):
    with pytest.raises(UsageError, match=r"has 2 values, but the data in .* have 3 channel\(s\)"):
        prepared(RGB, **options)


@pytest.mark.parametrize("options", [{"resize": 8}, {"crop": 8}, {"channels": "gray"}, {"preset": "imagenet"}])
@pytest.mark.parametrize("array", [np.zeros((2, 3, 9, 9)), np.zeros((2, 5), dtype=np.int64)])
def test_image_options_need_images(options, array):
    (name,) = options
    with pytest.raises(UsageError, match=f"{name} needs images"):
        prepared(array, **options)


def test_three_channels_of_floating_arrays_are_put_in_order_before_they_are_normalized():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    swapped = torch.from_numpy(x[:, [2, 1, 0]])
    assert torch.equal(prepared(x, channels="bgr"), swapped)
    assert torch.equal(prepared(x, channels="rgb"), torch.from_numpy(x))
    assert torch.equal(prepared(x.transpose(0, 2, 3, 1), channels="bgr", layout="nhwc"), swapped)
    shift = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    torch.testing.assert_close(prepared(x, channels="bgr", mean=(1.0, 2.0, 3.0)), swapped - shift)


@pytest.mark.parametrize("array", [np.zeros((2, 4, 9, 9)), np.zeros((2, 3)), np.zeros((2, 3, 9), dtype=np.int64)])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_an_order_of_colours_needs_three(array, channels):
    with pytest.raises(UsageError, match=f"channels {channels} needs images, or floating data of three channels"):
        prepared(array, channels=channels)


@pytest.mark.parametrize("options", [{"scale": 2.0}, {"mean": (1.0,)}, {"std": (2.0,)}])
def test_tokens_are_not_normalized(options):
    (name,) = options
    with pytest.raises(UsageError, match=f"{name} needs images or floating data"):
        prepared(np.zeros((2, 5), dtype=np.int64), **options)


def test_of_several_inputs_the_images_are_preprocessed():
    inputs = prepared({"image": RGB, "age": np.ones((2, 1), dtype=np.float32)}, resize=(4, 4), mean=(0.5,))
    assert tuple(inputs["image"].shape) == (2, 3, 4, 4)
    assert inputs["age"].tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "chwn"}, r"layout chwn \(did you mean nchw\?\): choose one of auto, nhwc, nchw"),
        ({"channels": "yuv"}, "channels yuv: choose one of rgb, bgr, gray"),
        ({"preset": "cifar"}, "preset cifar: choose one of imagenet"),
        ({"resize": 0}, "resize 0: expected a positive length"),
        ({"crop": (3,)}, r"crop \(3,\): expected a positive length, or height and width"),
        ({"crop": (3, -1)}, "expected a positive length, or height and width"),
        ({"mean": (float("nan"),)}, "mean nan: expected finite numbers"),
        ({"mean": ()}, "mean .*expected finite numbers"),
        ({"std": (1.0, 0.0)}, "std 1.0 0.0: expected finite numbers above 0"),
        ({"scale": -1.0}, "scale -1.0: expected finite numbers above 0"),
        ({"preset": "imagenet", "scale": 255.0}, "give mean and std that fit"),
        ({"preset": "imagenet", "channels": "gray", "mean": (0.5,)}, "give mean and std that fit"),
    ],
)
def test_options_that_mean_nothing(options, message):
    with pytest.raises(UsageError, match=message):
        DataOptions(**options)


@pytest.mark.parametrize("shape", [(2, 0, 4, 3), (2, 4, 0, 3), (2, 4, 4, 0)])
@pytest.mark.parametrize("options", [{}, {"resize": 4}, {"resize": (4, 4)}])
def test_images_without_pixels(shape, options):
    with pytest.raises(DataError, match="have no pixels"):
        prepared(np.zeros(shape, np.uint8), layout="nhwc", **options)
