"""The one place where data are preprocessed, whatever they came from."""

from __future__ import annotations

import torch

from bncheck.data.batches import Inputs, map_tensors, tensors
from bncheck.data.forms.structure import PerSample
from bncheck.data.options import DataOptions, Size
from bncheck.data.pixels import centre_crop, channel_axis, convert_channels, resize
from bncheck.errors import DataError, UsageError
from bncheck.results import ImagesEnlarged, Note
from bncheck.vocabulary import argument

ENLARGED = 4
"""How many times longer a side may become before it is worth a word."""


class Preprocessing:
    """Preprocessing turns what a source holds into what the model is fed; `DataOptions` says how.

    uint8 tensors of rank 3 (N, H, W) and 4 are images and become float32 (N, C, H, W). Where a batch has
    none, `scale`, `mean` and `std` act on its floating tensors, and the order of `channels` on those (N, 3, ...).
    Everything else passes as it is.

    Attributes:
        notes: what the reader of a report should know of the images that passed.
    """

    def __init__(self, options: DataOptions, name: str) -> None:
        if options.preset == "auto" and None in (options.mean, options.std):
            raise UsageError(
                f"{argument('preset')} auto is chosen by a model that is inspected or repaired, and there is none "
                f"here: give {argument('mean')} and {argument('std')}."
            )
        self._options = options.with_preset()
        self._name = name
        self.notes: tuple[Note, ...] = ()

    def __call__(self, inputs: Inputs) -> Inputs:
        """`inputs` as the model is fed them.

        Raises:
            UsageError: an option does not apply to these data.
            DataError: it cannot be told which axis holds the channels, or an image is smaller than the crop.
        """
        if isinstance(inputs, PerSample):
            return PerSample(self(one.unsqueeze(0))[0] if isinstance(one, torch.Tensor) else one for one in inputs)
        if any(_is_image(tensor) for tensor in tensors(inputs)):
            return map_tensors(inputs, lambda tensor: self._batch(tensor) if _is_image(tensor) else tensor)
        self._check_options_apply(inputs)
        return map_tensors(inputs, lambda tensor: self._floating(tensor) if tensor.is_floating_point() else tensor)

    def images(self, pixels: torch.Tensor, name: str | None = None) -> torch.Tensor:
        """uint8 images (N, C, H, W) as float32 (N, C', H', W'); `name` is what errors call them."""
        name = name or self._name
        if 0 in pixels.shape[1:]:
            raise DataError(f"{name}: images of {tuple(pixels.shape[1:])} (channels, height, width) have no pixels.")
        if self._options.channels is not None:
            pixels = convert_channels(self._convertible(pixels, name), self._options.channels)
        if self._options.resize is not None:
            given, pixels = pixels.shape[2:], resize(pixels, self._options.resize)
            self.notes = self.notes or _enlarged(given, pixels.shape[2:])
        if self._options.crop is not None:
            pixels = _cropped(pixels, self._options.crop, name)
        # Contiguous whatever the layout was, so that the same images take the same path through the model.
        return self._normalized(pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(255))

    def _batch(self, pixels: torch.Tensor) -> torch.Tensor:
        if pixels.ndim == 3:
            return self.images(pixels.unsqueeze(1))
        axis = channel_axis(pixels.shape, self._options.layout)
        if axis is None:
            raise DataError(
                f"{self._name}: uint8 images of shape {tuple(pixels.shape)}: which axis holds the channels cannot "
                f"be told from their lengths. Say it with {argument('layout')} nhwc or {argument('layout')} nchw."
            )
        return self.images(pixels.movedim(axis, 1))

    def _floating(self, values: torch.Tensor) -> torch.Tensor:
        if values.ndim == 4 and self._options.layout == "nhwc":
            values = values.movedim(3, 1).contiguous()
        return self._normalized(values.flip(1) if self._options.channels == "bgr" and _has_colours(values) else values)

    def _orders(self, tensor: torch.Tensor) -> bool:
        """Whether its channels are colours, wherever they are."""
        is_last = tensor.ndim == 4 and self._options.layout == "nhwc"
        return tensor.is_floating_point() and _has_colours(tensor.movedim(3, 1) if is_last else tensor)

    def _normalized(self, values: torch.Tensor) -> torch.Tensor:
        if self._options.scale is not None:
            values = values * self._options.scale
        if self._options.mean is not None:
            values = values - self._per_channel(self._options.mean, argument("mean"), values)
        if self._options.std is not None:
            values = values / self._per_channel(self._options.std, argument("std"), values)
        return values

    def _per_channel(self, numbers: tuple[float, ...], option: str, values: torch.Tensor) -> torch.Tensor:
        channels = values.shape[1] if values.ndim > 1 else 1
        if len(numbers) not in (1, channels):
            raise UsageError(
                f"{option} has {len(numbers)} values, but the data in {self._name} have {channels} channel(s): "
                f"shape {tuple(values.shape)}. Give one value per channel, or one for all."
            )
        vector = torch.tensor(numbers, dtype=values.dtype, device=values.device)
        return vector.reshape(-1, *[1] * (values.ndim - 2))

    def _convertible(self, pixels: torch.Tensor, name: str) -> torch.Tensor:
        if pixels.shape[1] not in (1, 3, 4):
            raise UsageError(
                f"{argument('channels')} {self._options.channels} needs images of 1, 3 or 4 channels; "
                f"those in {name} have {pixels.shape[1]}."
            )
        return pixels

    def _check_options_apply(self, inputs: Inputs) -> None:
        if self._options.image_only:
            found = ", ".join(f"{tensor.dtype} {tuple(tensor.shape)}" for tensor in tensors(inputs))
            raise UsageError(
                f"{' '.join(self._options.image_only)} needs images: uint8 arrays (N, H, W), (N, H, W, C) or "
                f"(N, C, H, W), or image files. {self._name} holds {found}."
            )
        if self._options.channels is not None and not any(map(self._orders, tensors(inputs))):
            found = ", ".join(str(tuple(tensor.shape)) for tensor in tensors(inputs))
            raise UsageError(
                f"{argument('channels')} {self._options.channels} needs images, or floating data of three channels "
                f"(N, 3, ...): {self._name} holds {found}."
            )
        if self._options.normalizing and not any(tensor.is_floating_point() for tensor in tensors(inputs)):
            raise UsageError(f"{' '.join(self._options.normalizing)} needs images or floating data: {self._name}.")


def _cropped(pixels: torch.Tensor, size: Size, name: str) -> torch.Tensor:
    cropped = centre_crop(pixels, size)
    if cropped is None:
        height, width = pixels.shape[2:]
        raise DataError(
            f"{name}: {height} x {width} (height x width) is smaller than {argument('crop')} {size}; images are "
            "never padded. "
            f"Give a smaller {argument('crop')}, or a larger {argument('resize')}."
        )
    return cropped


def _enlarged(given: torch.Size, made: torch.Size) -> tuple[Note, ...]:
    """A note where images grow so much that it takes time and shows nothing new."""
    if max(new / old for new, old in zip(made, given, strict=True)) <= ENLARGED:
        return ()
    return (ImagesEnlarged(tuple(given), tuple(made)),)


def _has_colours(values: torch.Tensor) -> bool:
    return values.ndim > 2 and values.shape[1] == 3


def _is_image(tensor: torch.Tensor) -> bool:
    return tensor.dtype == torch.uint8 and tensor.ndim in (3, 4)
