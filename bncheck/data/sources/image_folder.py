"""A folder of images: class folders give the labels, a flat folder has none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from bncheck.data.decoding import decode_image, image_suffixes, read_together
from bncheck.data.options import DataOptions
from bncheck.data.preprocess import Preprocessing
from bncheck.data.slicing.asking import column_of
from bncheck.data.slicing.names import LABEL, SliceColumn
from bncheck.data.sources.indexed import IndexedSource, Indices
from bncheck.errors import DataError, UsageError
from bncheck.files import FileId, file_id, is_special
from bncheck.results import Note, OneClassOnly
from bncheck.vocabulary import argument


class _Images:
    """Reads images by their numbers; a value, so that other processes can."""

    def __init__(self, paths: list[str], preprocess: Preprocessing) -> None:
        self._paths = paths
        self._preprocess = preprocess

    def __call__(self, chosen: Indices) -> torch.Tensor:
        return read_together(self.one, [self._paths[index] for index in chosen], str)

    def one(self, path: str) -> torch.Tensor:
        return self._preprocess.images(decode_image(_content(Path(path)), path), path)


def image_folder(folder: Path, options: DataOptions, name: str) -> IndexedSource:
    """A source over the images in `folder`, which are decoded batch by batch.

    Folders directly in it are classes, numbered 0..k-1 in sorted order as torchvision's ImageFolder does;
    deeper folders are walked. Hidden files, and files without the suffix of an image, are left out.

    Raises:
        DataError: there is no image, there are some both beside and inside class folders, or the classes lie a folder
            deeper.
    """
    paths, classes = _find_images(folder)
    slices = _slices(folder, paths, options, labelled=classes is not None)
    notes: list[Note] = [] if classes is None else _about_classes(folder, paths)
    preprocess = Preprocessing(options, name)
    read = _Images(paths, preprocess)
    with contextlib.suppress(DataError):  # a damaged file is named when it is its turn
        read.one(paths[0])
    return IndexedSource(
        name,
        len(paths),
        None if classes is None else torch.tensor(classes),
        read,
        notes=[*notes, *preprocess.notes],
        in_order=classes is None,
        workers=options.workers,
    ).sliced(slices)


def _slices(folder: Path, paths: list[str], options: DataOptions, *, labelled: bool) -> SliceColumn | None:
    """The class folder of each image, by name.

    Raises:
        UsageError: something else was asked for, or there are no classes.
    """
    by = column_of(options.by)
    if by is None:
        return None
    if by != LABEL or not labelled:
        raise UsageError(
            f"{argument('by')} {by}: images in folders are sliced by their class folders alone, with "
            f"{argument('by')} {LABEL}{'' if labelled else f', and {folder} has none'}; or give FILE.py:CALLABLE."
        )
    start = len(os.path.join(folder, ""))
    return SliceColumn.of([path[start:].partition(os.sep)[0] for path in paths], len(paths), str(folder))


def _about_classes(folder: Path, paths: list[str]) -> list[Note]:
    """A note where all images are of one class.

    Raises:
        DataError: they lie in one folder that itself has several folders of them, which will be the classes.
    """
    within = folder
    while len(inner := _first_parts(paths, within)) == 1:
        within /= next(iter(inner))
        if any(os.path.dirname(path) == str(within) for path in paths):
            return [OneClassOnly(str(folder), str(within))]
    if within == folder:
        return []
    more = f" and {len(inner) - 3} more" if len(inner) > 3 else ""
    raise DataError(
        f"{folder}: all images lie in one folder, {within.relative_to(folder)}, which would be the only class; it has "
        f"the folders {', '.join(list(inner)[:3])}{more}. If these are the classes, name {within} instead."
    )


def _first_parts(paths: list[str], within: Path) -> dict[str, None]:
    """What the paths go through right below `within`, where all of them lie, in order."""
    start = len(os.path.join(within, ""))
    return dict.fromkeys(path[start:].partition(os.sep)[0] for path in paths)


def _find_images(folder: Path) -> tuple[list[str], list[int] | None]:
    """The images, as text: there may be millions; and their classes, `None` where they lie in the folder itself."""
    files, folders = _listed(str(folder))
    within = [(number, list(_walk(folders[name]))) for number, name in enumerate(folders)]
    first = next((paths[0] for _, paths in within if paths), None)
    if files and first is not None:
        raise DataError(
            f"{folder} has images of its own ({os.path.basename(files[0])}, ...) and others in folders "
            f"({Path(first).relative_to(folder)}, ...); is the folder a class? Keep one kind."
        )
    if not files and first is None:
        raise DataError(f"{folder} has no images in it; the suffix must be one that Pillow knows (.png, .jpg, ...).")
    if files:
        return files, None
    return [path for _, paths in within for path in paths], [number for number, paths in within for _ in paths]


def _walk(folder: str) -> Iterator[str]:
    """The images below a class folder, links followed: class folders are often links to a larger data set.

    Raises:
        DataError: a folder cannot be read, or links to one that it lies in: it would never end.
    """
    above: dict[str, tuple[FileId | None, ...]] = {folder: (file_id(folder),)}  # what it is and what it lies in
    met = set(above[folder])
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        files, folders = _listed(parent)
        yield from files
        inner = {path: file_id(path) for path in folders.values()}
        for path, identity in inner.items():
            if identity in above[parent]:
                raise DataError(f"{path} links to a folder that it lies in, so there is no end to it. Remove the link.")
        # What another link led to is there already, and links could double at each level.
        entered = []
        for path, identity in inner.items():
            if identity not in met:
                met.add(identity)
                above[path] = (*above[parent], identity)
                entered.append(path)
        waiting += reversed(entered)


def _listed(folder: str) -> tuple[list[str], dict[str, str]]:
    """The images in a folder and the folders in it by their names, each in order; hidden ones are left out.

    Raises:
        DataError: it cannot be read.
    """
    files, folders = [], {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    folders[entry.name] = entry.path
                elif _is_image(entry):
                    files.append(entry.path)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.") from error
    files.sort()
    return files, dict(sorted(folders.items()))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether it is called like an image. A link to nothing is one that cannot be read; pipes and devices are none."""
    if os.path.splitext(entry.name)[1].lower() not in image_suffixes():
        return False
    try:
        return entry.is_file() or not is_special(Path(entry.path))  # the first needs no look at the file
    except OSError:
        return True


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
