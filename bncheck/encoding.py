"""Text from files, made fit for whoever reads it: decodable, on one line, and no longer than can be read."""

from __future__ import annotations

import re

LONGEST_WORD, LONGEST_LINE = 240, 2000
"""Characters; of what is longer the beginning and the end are shown."""
_SAID = 400
"""Characters of an exception's message that are shown."""
_LONGEST = 2**14
"""Characters of one that are looked at."""
_COMMAND = re.compile(r"#(?=#\w*\[)")
"""Of `##[error]`, `##vso[...]` and the like, which GitHub and Azure obey wherever they stand in a line."""
_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")


def encodable(text: str) -> str:
    r"""`text` with the bytes of file names that were no UTF-8 (Python keeps them as lone surrogates) as U+FFFD.

    >>> encodable("caf\udce9.pt") == "caf\ufffd.pt"
    True
    """
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def printable(text: str) -> str:
    r"""`text` without control characters, those that end a line included: a terminal, or a CI system, would obey them.

    Nor does it hold what a CI system obeys in the middle of a line.

    >>> printable("bn\n::error::1") == "bn\ufffd::error::1"
    True
    >>> printable("bn ##vso[task.complete]") == "bn \ufffd#vso[task.complete]"
    True
    """
    visible = text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)
    return _COMMAND.sub("\ufffd", visible)


def harmless_json(text: str) -> str:
    r"""The same JSON, in which no CI system finds a command, should it be printed.

    >>> harmless_json('{"a": "##[error]"}')
    '{"a": "\\u0023#[error]"}'
    """
    return _COMMAND.sub(r"\\u0023", text)


def one_line(text: str) -> str:
    """`text` as one line of a message: printable, its long words and itself cut in the middle.

    Whatever a file says goes through here before it is said on stderr, so that no name of megabytes fills a log, and
    none starts a line of its own.
    """
    short = _LONG_WORD.sub(lambda found: _without_middle(found[0], LONGEST_WORD), text)
    return no_command(printable(_without_middle(short, LONGEST_LINE)))


def no_command(line: str) -> str:
    """The line, marked where a CI system would take it for a command: GitHub obeys `::error::`, blanks before it too.

    >>> no_command("  ::error::") == "\ufffd  ::error::"
    True
    """
    return f"\ufffd{line}" if line.lstrip().startswith("::") else line


def _without_middle(text: str, longest: int) -> str:
    """The first two thirds of what may be shown, and the last."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def text_of(error: BaseException) -> str:
    """The message of somebody else's exception, of bounded length; empty where it cannot be told.

    What it says is its author's code, which may raise, end the process, or go on for megabytes.
    """
    try:
        return str(error)[:_LONGEST]
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # of it nothing more can be asked
        return ""


def said_by(error: BaseException) -> str:
    r"""Type and message of somebody else's exception, in one line that is not long: its first.

    >>> said_by(ValueError("cannot reshape\n  3 x 4"))
    'ValueError: cannot reshape'
    """
    text = text_of(error)
    lines = [line for each in text.splitlines() if (line := printable(each).strip())]
    if "Original Traceback" in text:  # of a worker process, whose own traceback comes before what it says
        return lines[-1][:_SAID]
    if not lines:
        return f"{type(error).__name__} without a message"
    rest = " ..." if len(lines[0]) > _SAID else ""
    return f"{type(error).__name__}: {lines[0][:_SAID]}{rest}"
