"""A folder of images: class folders give the labels, a flat folder has none."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import torch

from bncheck.data.decoding import decode_image, image_suffixes, read_together
from bncheck.data.options import DataOptions
from bncheck.data.preprocess import Preprocessing
from bncheck.data.sources.indexed import IndexedSource, Indices
from bncheck.errors import DataError
from bncheck.files import FileId, file_id, is_special
from bncheck.results import Note, OneClassOnly


def image_folder(folder: Path, options: DataOptions, name: str) -> IndexedSource:
    """A source over the images in `folder`, which are decoded batch by batch.

    Folders directly in it are classes, numbered 0..k-1 in sorted order as torchvision's ImageFolder does;
    deeper folders are walked. Hidden files, and files without the suffix of an image, are left out.

    Raises:
        DataError: there is no image, there are some both beside and inside class folders, or the classes lie a folder
            deeper.
    """
    paths, classes = _find_images(folder)
    notes: list[Note] = [] if classes is None else _about_classes(folder, paths)
    preprocess = Preprocessing(options, name)

    def read_one(path: Path) -> torch.Tensor:
        return preprocess.images(decode_image(_content(path), str(path)), str(path))

    def read(chosen: Indices) -> torch.Tensor:
        return read_together(read_one, [paths[index] for index in chosen], str)

    with contextlib.suppress(DataError):  # a damaged file is named when it is its turn
        read_one(paths[0])
    labels = None if classes is None else torch.tensor(classes)
    return IndexedSource(name, len(paths), labels, read, notes=[*notes, *preprocess.notes], in_order=classes is None)


def _about_classes(folder: Path, paths: list[Path]) -> list[Note]:
    """A note where all images are of one class.

    Raises:
        DataError: they lie in one folder that itself has several folders of them, which will be the classes.
    """
    within = folder
    while len(inner := dict.fromkeys(path.relative_to(within).parts[0] for path in paths)) == 1:
        within /= next(iter(inner))
        if any(path.parent == within for path in paths):
            return [OneClassOnly(str(folder), str(within))]
    if within == folder:
        return []
    more = f" and {len(inner) - 3} more" if len(inner) > 3 else ""
    raise DataError(
        f"{folder}: all images lie in one folder, {within.relative_to(folder)}, which would be the only class; it has "
        f"the folders {', '.join(list(inner)[:3])}{more}. If these are the classes, name {within} instead."
    )


def _find_images(folder: Path) -> tuple[list[Path], list[int] | None]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.") from error
    flat = [path for path in inside if _is_image(path) and not path.is_dir()]
    subfolders = [path for path in inside if path.is_dir() and not _hidden(path.name)]
    within = [(path, number) for number, subfolder in enumerate(subfolders) for path in _walk(subfolder)]
    if flat and within:
        raise DataError(
            f"{folder} has images of its own ({flat[0].name}, ...) and others in folders "
            f"({within[0][0].relative_to(folder)}, ...); is the folder a class? Keep one kind."
        )
    if not flat and not within:
        raise DataError(f"{folder} has no images in it; the suffix must be one that Pillow knows (.png, .jpg, ...).")
    if flat:
        return flat, None
    return [path for path, _ in within], [number for _, number in within]


def _walk(folder: Path) -> list[Path]:
    """The images below a class folder, links followed: class folders are often links to a larger data set.

    Raises:
        DataError: a folder cannot be read, or links to one that it lies in: it would never end.
    """
    found: list[Path] = []
    above: dict[str, tuple[FileId | None, ...]] = {
        str(folder): (file_id(folder),)
    }  # by folder, what it is and what it lies in
    met = set(above[str(folder)])
    for parent, subfolders, files in os.walk(folder, followlinks=True, onerror=_cannot_be_read):
        found += [path for name in sorted(files) if _is_image(path := Path(parent, name))]
        inner = {name: file_id(os.path.join(parent, name)) for name in sorted(subfolders) if not _hidden(name)}
        for name, identity in inner.items():
            if identity in above[parent]:
                raise DataError(
                    f"{os.path.join(parent, name)} links to a folder that it lies in, so there is no end to it. "
                    "Remove the link."
                )
        # What another link led to is there already, and links could double at each level.
        subfolders.clear()
        for name, identity in inner.items():
            if identity not in met:
                met.add(identity)
                above[os.path.join(parent, name)] = (*above[parent], identity)
                subfolders.append(name)
    return found


def _cannot_be_read(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _is_image(path: Path) -> bool:
    """Whether it is called like an image. A link to nothing is one that cannot be read; pipes and devices are none."""
    named = path.suffix.lower() in image_suffixes() and not _hidden(path.name)
    return named and not is_special(path)


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
