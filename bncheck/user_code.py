"""Importing what the user names on the command line: ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bncheck.discovery import meant
from bncheck.encoding import said_by
from bncheck.errors import BncheckError, UnwindingError, UsageError
from bncheck.vocabulary import with_article

_NAME = r"[A-Za-z_]\w*"
_CALLABLE = re.compile(rf"(.+\.py|{_NAME}(\.{_NAME})*):{_NAME}(\.{_NAME})*")


def import_callable(target: str, named: str) -> Callable[..., Any]:
    """The callable that `target` names; this runs the user's code.

    Args:
        target: ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``; CALLABLE may be dotted.
        named: the argument that asked for it, as errors name it: `argument("arch")`.

    Raises:
        UsageError: there is no such file, module or attribute, or importing it failed.
    """
    location, separator, attribute = target.rpartition(":")
    if not separator or not location or not attribute:
        raise UsageError(
            f"{named} {target!r}: expected FILE.py:CALLABLE or package.module:CALLABLE, "
            f"for example {named} net.py:build_model."
        )
    module = import_file(location, named) if location.endswith(".py") else _import_name(location, named)
    found: Any = module
    with users_code(_import_failed(named, location)):  # a module's own `__getattr__`
        for part in attribute.split("."):
            if not hasattr(found, part):
                nearest = _nearest_name(attribute, module)
                raise UsageError(
                    f"{named} {target!r}: {location} has no {attribute!r}{nearest}; it defines {_public(module)}."
                )
            found = getattr(found, part)
    if not callable(found):
        raise UsageError(
            f"{named} {target!r}: {attribute} is {with_article(type(found).__name__)}, not something to call."
        )
    return found  # type: ignore[no-any-return]  # callable() narrowed an Any


def names_code(text: str) -> bool:
    """Whether a text names a callable rather than something else, a column say.

    >>> names_code("sites.py:of"), names_code("package.sites:of"), names_code("site"), names_code("scan: site")
    (True, True, False, False)
    """
    return _CALLABLE.fullmatch(text) is not None


@contextlib.contextmanager
def user_output_to_stderr() -> Iterator[None]:
    """While it is active what the user's code prints goes to stderr: stdout belongs to the report.

    What it imports leaves no bytecode beside the user's files. Should it change the working folder, the new one is its
    own: it finds itself there whenever it is run again, and what bncheck reads and writes by relative paths stays where
    it was.
    """
    ours = _working_folder()
    theirs = _FOLDERS.get(ours)
    if theirs is not None:
        _change_to(theirs)
    wrote, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.dont_write_bytecode = wrote
        now = _working_folder()
        if now != ours and ours is not None:
            _FOLDERS[ours] = now
            _change_to(ours)
        elif theirs is not None:
            del _FOLDERS[ours]


_FOLDERS: dict[str | None, str | None] = {}
"""By bncheck's working folder, the one that the user's code has changed to."""


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _change_to(folder: str) -> None:
    with contextlib.suppress(OSError):  # what is opened there says that it is gone
        os.chdir(folder)


@contextlib.contextmanager
def users_code(told: Callable[[str], BncheckError]) -> Iterator[None]:
    """The one way to run code that is not ours: whatever it raises is an error of bncheck's, and nothing else.

    That holds for what would end the process as well: `sys.exit(0)` in a loader is no pass. What the code prints goes
    to stderr. Ctrl-C, errors of bncheck's own and what unwinds a forward go through.

    Args:
        told: makes the error of what the exception says, type and message in one line.

    Raises:
        BncheckError: the one that `told` makes.
    """
    try:
        with user_output_to_stderr():
            yield
    except (BncheckError, UnwindingError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise told(said_by(error)) from error


def users_place(error: BaseException) -> str | None:
    """The file and line of the user's code that an exception comes from, or the library's that this called.

    `None` where it comes from bncheck, also from what bncheck does within a call of the user's.
    """
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if file.startswith(_OURS):
            place = None
        elif Path(file).is_file() and not file.startswith(_LIBRARIES):
            place = f"{file}, line {line}"
    return place


_OURS = str(Path(__file__).parent)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def import_file(location: str, named: str) -> Any:
    """The module that a Python file is; its code is run, once.

    Args:
        location: the file.
        named: the argument that asked for it, as errors name it.

    Raises:
        UsageError: there is no such file, or running it failed.
    """
    path = Path(location)
    if not os.path.isfile(path):
        raise UsageError(f"{named}: there is no file {location}{meant(location)}.")
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and _same_file(getattr(loaded, "__file__", None), path):
        return loaded
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{named}: {location} cannot be imported as Python.")
    module = importlib.util.module_from_spec(spec)
    # Its neighbours must be importable from it, and pickles name classes by the module's plain name.
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[name] = module
    try:
        with users_code(_import_failed(named, location)):
            spec.loader.exec_module(module)
    except BaseException:
        if loaded is None:
            sys.modules.pop(name, None)  # its own code may have taken it out
        else:
            sys.modules[name] = loaded
        raise
    return module


def _import_failed(named: str, location: str) -> Callable[[str], UsageError]:
    return lambda said: UsageError(f"{named}: importing {location} failed: {said}")


def _same_file(name: str | None, path: Path) -> bool:
    return name is not None and Path(name).exists() and Path(name).samefile(path)


def _import_name(location: str, named: str) -> Any:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with users_code(_import_failed(named, location)):
        return importlib.import_module(location)


def _nearest_name(attribute: str, module: Any) -> str:
    close = get_close_matches(attribute, [name for name in vars(module) if not name.startswith("_")], n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _public(module: Any) -> str:
    names = [name for name in vars(module) if not name.startswith("_") and callable(getattr(module, name))]
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "") if names else "nothing that can be called"
