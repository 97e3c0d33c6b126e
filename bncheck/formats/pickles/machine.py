"""A machine for pickles that calls nothing: the operations of Python's own, each written out, on inert values.

Python's reader imports what a pickle names and calls what it imported. This one does neither: a name is looked up in
the list of `admitted`, and what is not in it becomes a `ForeignName`; a call of such a name becomes a `ForeignObject`
that keeps the arguments. `getattr`, `__reduce__`, `__setstate__`, `append` are never asked of anything but the plain
containers that the machine itself has made.
"""

from __future__ import annotations

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any

from bncheck.formats.pickles.admitted import NAMES
from bncheck.formats.pickles.arrays import restore
from bncheck.formats.pickles.budget import Budget
from bncheck.formats.pickles.containers import as_key
from bncheck.formats.pickles.made import made_by
from bncheck.formats.pickles.placeholders import ForeignName, ForeignObject
from bncheck.vocabulary import with_article

Stored = Callable[[Any], Any]
"""What a persistent id stands for: a storage of the file."""


class Machine:
    """Reads one pickle.

    Attributes:
        asked: the names that it asked for and are not in the list, in order, each once.
    """

    def __init__(self, stored: Stored, budget: Budget, names: Mapping[str, ForeignName] = NAMES) -> None:
        self.asked: dict[str, None] = {}
        self._stored = stored
        self._budget = budget
        self._names = names
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._protocol = 0

    def load(self, stream: IO[bytes]) -> Any:
        """What the pickle at the stream's place holds.

        Raises:
            ModelError: it is made to fill the memory.
            Exception: whatever damage provokes.
        """
        for opcode, argument, _ in pickletools.genops(stream):
            self._budget.count()
            if opcode.name in _VALUES:
                self._stack.append(argument)
            else:
                _STEPS[opcode.name](self, argument)
        return self._stack.pop()

    def _mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _unmarked(self) -> list[Any]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _pop_mark(self, _: Any) -> None:
        self._unmarked()

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._unmarked()

    def _duplicate(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _put(self, index: Any) -> None:
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _proto(self, version: int) -> None:
        self._protocol = version

    def _nothing(self, _: Any) -> None:
        """Frames, and the end."""

    def _out_of_band(self, _: Any) -> None:
        raise ValueError("it needs buffers that stand outside the file")

    def _named(self, module: str, name: str) -> ForeignName:
        if self._protocol < 3:  # the names of Python 2
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[module, name]
            else:
                module = IMPORT_MAPPING.get(module, module)
        found = self._names.get(f"{module}.{name}")
        if found is None:
            found = ForeignName.of(module, name)
            self.asked[found.name] = None
        return found

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(self._named(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a class is named by what is no name")
        self._stack.append(self._named(module, name))

    def _extension(self, number: int) -> None:
        self._stack.append(ForeignName.of("copyreg", f"extension {number}"))

    def _call(self, _: Any) -> None:
        arguments = self._stack.pop()
        self._stack[-1] = made_by(self._stack[-1], arguments, self._budget)

    def _call_with_names(self, _: Any) -> None:
        named, arguments = self._stack.pop(), self._stack.pop()
        given = (*arguments, named) if named else arguments
        self._stack[-1] = made_by(self._stack[-1], given, self._budget)

    def _object(self, _: Any) -> None:
        maker, *arguments = self._unmarked()
        self._stack.append(made_by(maker, tuple(arguments), self._budget))

    def _instance(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        arguments = tuple(self._unmarked())
        self._stack.append(made_by(self._named(module, name), arguments, self._budget))

    def _build(self, _: Any) -> None:
        """Only a placeholder keeps what it is given; arrays take their values, checked; all else is as it is."""
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, ForeignObject):
            target.state = state
        else:
            restore(target, state, self._budget)

    def _persistent(self, argument: Any) -> None:
        self._stack.append(self._stored(self._stack.pop() if argument is None else argument))

    def _empty_list(self, _: Any) -> None:
        self._stack.append([])

    def _list(self, _: Any) -> None:
        items = self._unmarked()
        self._stack.append(items)

    def _append(self, _: Any) -> None:
        item = self._stack.pop()
        self._extended([item])

    def _appends(self, _: Any) -> None:
        items = self._unmarked()
        self._extended(items)

    def _extended(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is list or type(target) is deque:
            target.extend(items)
        elif type(target) is set:
            target.update(as_key(item, self._budget) for item in items)
        elif isinstance(target, ForeignObject):
            target.items.extend(items)
        else:
            raise ValueError(f"items are added to {with_article(type(target).__name__)}")

    def _empty_tuple(self, _: Any) -> None:
        self._stack.append(())

    def _tuple(self, _: Any) -> None:
        items = tuple(self._unmarked())
        self._stack.append(items)

    def _tuple_of(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise ValueError("a tuple lacks its items")
        self._stack[-count:] = [items]

    def _empty_dict(self, _: Any) -> None:
        self._stack.append({})

    def _dict(self, _: Any) -> None:
        items = self._unmarked()
        self._stack.append({})
        self._set(items)

    def _set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _set_items(self, _: Any) -> None:
        items = self._unmarked()
        self._set(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        entries = target.entries if isinstance(target, ForeignObject) else target
        if not isinstance(entries, dict) or len(items) % 2:
            raise ValueError(f"entries are set in {with_article(type(target).__name__)}")
        for at in range(0, len(items), 2):
            entries[as_key(items[at], self._budget)] = items[at + 1]

    def _empty_set(self, _: Any) -> None:
        self._stack.append(set())

    def _frozen_set(self, _: Any) -> None:
        items = self._unmarked()
        self._stack.append(frozenset(as_key(item, self._budget) for item in items))

    def _true(self, _: Any) -> None:
        self._stack.append(True)

    def _false(self, _: Any) -> None:
        self._stack.append(False)


_VALUES = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "NONE"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
"""Operations that push what stands behind them; `pickletools` has decoded it."""
_STEPS: Mapping[str, Callable[[Machine, Any], None]] = {
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine._get),
    **dict.fromkeys(("FRAME", "STOP"), Machine._nothing),
    **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), Machine._out_of_band),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), Machine._extension),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), Machine._call),
    **dict.fromkeys(("PERSID", "BINPERSID"), Machine._persistent),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), Machine._appends),
    "MARK": Machine._mark,
    "POP_MARK": Machine._pop_mark,
    "POP": Machine._pop,
    "DUP": Machine._duplicate,
    "PROTO": Machine._proto,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "NEWOBJ_EX": Machine._call_with_names,
    "OBJ": Machine._object,
    "INST": Machine._instance,
    "BUILD": Machine._build,
    "EMPTY_LIST": Machine._empty_list,
    "LIST": Machine._list,
    "APPEND": Machine._append,
    "EMPTY_TUPLE": Machine._empty_tuple,
    "TUPLE": Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "EMPTY_DICT": Machine._empty_dict,
    "DICT": Machine._dict,
    "SETITEM": Machine._set_item,
    "SETITEMS": Machine._set_items,
    "EMPTY_SET": Machine._empty_set,
    "FROZENSET": Machine._frozen_set,
    "NEWTRUE": Machine._true,
    "NEWFALSE": Machine._false,
}
