"""Text that every reader can decode: names of files need not be UTF-8, and what is written about them must be."""

from __future__ import annotations


def encodable(text: str) -> str:
    r"""`text` with the bytes of file names that were no UTF-8 (Python keeps them as lone surrogates) as U+FFFD.

    >>> encodable("caf\udce9.pt") == "caf\ufffd.pt"
    True
    """
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
