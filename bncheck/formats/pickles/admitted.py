"""The list of every name whose call gives something real. What is not in it is never imported or called."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bncheck.formats.pickles.arrays import ARRAYS
from bncheck.formats.pickles.containers import CONTAINERS
from bncheck.formats.pickles.placeholders import ForeignName
from bncheck.formats.pickles.storages import STORAGES
from bncheck.formats.pickles.tensors import TENSORS, TYPES

NAMES: Mapping[str, ForeignName] = MappingProxyType(
    {known.name: known for known in (*CONTAINERS, *ARRAYS, *STORAGES, *TENSORS)} | dict(TYPES)
)
"""By `module.name`. The older names of Python 2 are looked up under the newer ones."""
