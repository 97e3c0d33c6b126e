"""Operations on stacks of uint8 images (N, C, H, W); each is one step of the preprocessing.

They agree bit for bit with what torchvision's `Resize`, `CenterCrop` and `Grayscale` do to Pillow images.
"""

from __future__ import annotations

import numpy as np
import torch

from bncheck.data.options import Channels, Layout, Size

_IMAGE_CHANNELS = (1, 3, 4)


def channel_axis(shape: torch.Size, layout: Layout) -> int | None:
    """The axis of a batch of images (N, ., ., .) that holds the channels; `None` where `auto` cannot tell."""
    if layout != "auto":
        return 1 if layout == "nchw" else 3
    first, last = shape[1] in _IMAGE_CHANNELS, shape[3] in _IMAGE_CHANNELS
    if first == last:
        return None
    return 1 if first else 3


def convert_channels(pixels: torch.Tensor, channels: Channels) -> torch.Tensor:
    """RGB, RGBA or gray `pixels` with the channels asked for; alpha is dropped, gray is repeated for RGB."""
    if channels == "gray":
        return pixels if pixels.shape[1] == 1 else _luma(pixels)
    rgb = pixels.expand(-1, 3, -1, -1) if pixels.shape[1] == 1 else pixels[:, :3]
    return rgb.flip(1) if channels == "bgr" else rgb


def resize(pixels: torch.Tensor, size: Size) -> torch.Tensor:
    """Bilinear with antialiasing; an int is the length of the shorter side and keeps the aspect ratio."""
    height, width = pixels.shape[2:]
    new_height, new_width = _shorter_side(height, width, size) if isinstance(size, int) else size
    if (new_height, new_width) == (height, width):
        return pixels
    # RGB is fastest whole; others go band by band, so that a fourth channel is not taken for alpha.
    is_rgb = pixels.shape[1] == 3
    pictures = (pixels.movedim(1, 3) if is_rgb else pixels.reshape(-1, height, width)).numpy(force=True)
    from PIL import Image  # where images are resized: much is run that reads none

    resized = [Image.fromarray(each).resize((new_width, new_height), Image.Resampling.BILINEAR) for each in pictures]
    stack = torch.from_numpy(np.stack([np.asarray(picture) for picture in resized]))
    return stack.movedim(3, 1) if is_rgb else stack.reshape(*pixels.shape[:2], new_height, new_width)


def centre_crop(pixels: torch.Tensor, size: Size) -> torch.Tensor | None:
    """The middle `size` of the images; `None` where they are smaller than that."""
    height, width = pixels.shape[2:]
    new_height, new_width = (size, size) if isinstance(size, int) else size
    if new_height > height or new_width > width:
        return None
    top, left = round((height - new_height) / 2), round((width - new_width) / 2)
    return pixels[:, :, top : top + new_height, left : left + new_width]


def _shorter_side(height: int, width: int, side: int) -> tuple[int, int]:
    if height <= width:
        return side, int(side * width / height)
    return int(side * height / width), side


def _luma(pixels: torch.Tensor) -> torch.Tensor:
    # ITU-R 601-2 in 16-bit fixed point with rounding, as Pillow computes its mode L.
    red, green, blue = pixels[:, :3].to(torch.int32).unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)
