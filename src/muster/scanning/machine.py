"""The stack machine of pickle, with nothing behind it: follows every opcode, imports nothing, calls nothing.

    opcodes ──► stack of nodes ──► every name, every call, every change of something that is not the pickle's own

It follows the unpickler of CPython opcode by opcode, so what it does not understand is nothing that may be loaded.

Source: pickletools.py and Modules/_pickle.c of CPython 3.11.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from io import BytesIO
from typing import Any

from muster.scanning.callables import canonical, is_cloudpickle, opens_files, why_not_called, why_not_named
from muster.scanning.nodes import DATA, MARK, Global, Items, Made
from muster.scanning.opcodes import Stops, opcodes
from muster.scanning.wrapped import NAME, OLD_NAMES, is_wrapper, layout_of, may_follow

#: More than any model holds that is a reasonable pickle; reading so many takes a minute.
MOST_OPCODES = 20_000_000

#: Methods that run while a pickle is loaded, by the word of its class.
_RUNS_ON_LOAD = frozenset({
    "__new__", "__setstate__", "__set_name__", "__init_subclass__", "__prepare__", "__hash__", "__eq__", "__del__", "__getattr__",
    "__getattribute__", "__setattr__", "__setitem__", "__get__", "__set__", "__instancecheck__", "__subclasscheck__", "__mro_entries__",
    "__class_getitem__", "__missing__", "append", "extend", "add",
})  # fmt: skip
#: Words in code that runs while it is loaded.
_WORDS = frozenset({
    "CDLL", "Popen", "__import__", "_exit", "breakpoint", "check_call", "check_output", "connect", "create_connection", "ctypes", "eval",
    "exec", "execl", "execv", "execve", "execvp", "fork", "forkpty", "getoutput", "getstatusoutput", "import_module", "importlib", "kill",
    "popen", "posix_spawn", "pty", "putenv", "rmtree", "runpy", "socket", "spawnl", "spawnv", "subprocess", "system", "unlink",
    "urlopen", "urlretrieve", "write_bytes", "write_text",
})  # fmt: skip
_NAMES_OF_CODE = 8
#: What gives something that can be called.
_MAKE_CALLABLES = frozenset({
    "builtins.getattr", "functools.partial", "functools.partialmethod", "operator.attrgetter", "operator.itemgetter",
    "operator.methodcaller", "_operator.attrgetter", "_operator.itemgetter", "_operator.methodcaller", "types.MethodType",
})  # fmt: skip
"""Where a code object's names stand among its arguments, since Python 3.8."""


class Unreadable(Exception):
    """A pickle that cannot be followed to its end; it is refused for that."""


class Ended(Unreadable):
    """It cannot be followed because every unpickler stops there, too: what it runs, it has run before."""


class Machine:
    """Follows one pickle.

    Args:
        stream: positioned at its first opcode; left behind its STOP.
        allowed: names that a project's standard lets pass.
        persistent: judges a persistent id: why it is refused, or None; without it each is refused.
        arrays: whether arrays of joblib stand between the opcodes; plain pickle goes on reading opcodes there.
    """

    def __init__(
        self,
        stream: BytesIO,
        allowed: Collection[str] = (),
        persistent: Callable[[Any], str | None] | None = None,
        *,
        arrays: bool = False,
    ) -> None:
        self._stream = stream
        self._allowed = allowed
        self._persistent = persistent
        self._arrays = arrays
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._problems: dict[str, None] = {}
        self._dangers: dict[str, None] = {}
        self._words: set[str] = set()
        self._runs: set[str] = set()
        self.opcodes = 0
        self._awaits: str | None = None
        self._frame_ends = 0
        self.executes = False
        """Whether it imports or calls anything at all."""
        self.calls = False
        """Whether it calls anything, or imports a module that reaches beyond the model: that is a deed even if it breaks off then."""
        self.wraps = False
        """Whether it holds an array as joblib writes them: its bytes stand between the opcodes."""
        self.nests = False
        """Whether objects of such an array do: a pickle between the opcodes."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What refuses it, each in a sentence; of one that cannot be followed, up to there."""
        return tuple(self._problems)

    @property
    def dangers(self) -> tuple[str, ...]:
        """Those of the problems that are names which reach beyond the model, whatever becomes of them."""
        return tuple(self._dangers)

    def run(self) -> None:
        """Follow it to its STOP.

        Raises:
            Ended: it breaks off, or holds what no unpickler understands.
            Unreadable: it does what is not followed here, or is beyond every measure.
        """
        try:
            for name, argument in opcodes(self._stream):
                self.opcodes += 1
                if self.opcodes > MOST_OPCODES:
                    raise Unreadable(f"it has more than {MOST_OPCODES} opcodes")
                self._step(name, argument)
        except (Stops, IndexError, KeyError) as error:  # nothing on the stack, nothing in the memory
            raise Ended(f"it cannot be followed: {type(error).__name__}: {str(error)[:200]}") from error
        except (ValueError, AssertionError, TypeError, OverflowError, RecursionError) as error:
            raise Unreadable(f"it cannot be followed: {type(error).__name__}: {str(error)[:200]}") from error
        finally:
            self._judge_code()

    def _step(self, name: str, argument: Any) -> None:
        if self._awaits is not None:
            self._await(name)
        step = _STEPS.get(name)
        if step is not None:
            getattr(self, step)(argument)
        elif name in _TEXTS:
            self._stack.append(argument)
        elif name in _VALUES:
            self._stack.append(DATA)
        elif name == "FRAME":
            self._frame_ends = max(self._frame_ends, self._stream.tell() + argument)
        elif name not in {"PROTO", "STOP"}:
            raise Stops(f"the opcode {name} has no meaning in a file")

    # -- values

    def _mark(self, _: Any) -> None:
        self._stack.append(MARK)

    def _since_mark(self) -> list[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is MARK:
                found = self._stack[at + 1 :]
                del self._stack[at:]
                return found
        raise Stops("there is no mark")

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _none(self, _: Any) -> None:
        self._stack.append(None)

    def _dup(self, _: Any) -> None:
        self._again(self._stack[-1])

    def _again(self, found: Any) -> None:
        """Something that is on the stack or was, once more."""
        if self._arrays and is_wrapper(found):
            self._require_class(found)
        self._stack.append(found)

    def _readonly(self, _: Any) -> None:
        if not isinstance(self._stack[-1], Global | Made) and self._stack[-1] is not DATA:
            raise Stops("it is no buffer")

    def _empty(self, _: Any) -> None:
        self._stack.append(Items())

    def _listed(self, _: Any) -> None:
        self._stack.append(Items(self._since_mark()))

    def _dictionary(self, _: Any) -> None:
        found = self._since_mark()
        made = Items()
        self._set_all(made, found)
        self._stack.append(made)

    def _no_tuple(self, _: Any) -> None:
        self._stack.append(())

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _tuple_of_1(self, _: Any) -> None:
        self._tuple_of(1)

    def _tuple_of_2(self, _: Any) -> None:
        self._tuple_of(2)

    def _tuple_of_3(self, _: Any) -> None:
        self._tuple_of(3)

    def _tuple_of(self, count: int) -> None:
        found = tuple(self._stack[-count:])
        if len(found) < count or any(one is MARK for one in found):
            raise Stops("the stack is too short")
        del self._stack[-count:]
        self._stack.append(found)

    def _append(self, _: Any) -> None:
        value = self._stack.pop()
        self._grow(self._stack[-1], [value])

    def _appends(self, _: Any) -> None:
        values = self._since_mark()
        self._grow(self._stack[-1], values)

    def _grow(self, target: Any, values: list[Any]) -> None:
        self._require_own(target)
        if isinstance(target, Items):
            target.values.extend(values)

    def _set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_all(self._stack[-1], [key, value])

    def _set_items(self, _: Any) -> None:
        pairs = self._since_mark()
        self._set_all(self._stack[-1], pairs)

    def _set_all(self, target: Any, pairs: list[Any]) -> None:
        self._require_own(target)
        if len(pairs) % 2:
            raise Stops("a key has no value")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if isinstance(key, str) and key in _RUNS_ON_LOAD and _is_function(value):
                self._runs.add(key)
            if isinstance(target, Items):
                target.keys.append(key)
                target.values.append(value)

    # -- memory

    def _put(self, at: int) -> None:
        self._memo[at] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, at: int) -> None:
        self._again(self._memo[at])

    # -- names and calls

    def _global(self, argument: tuple[str, str]) -> None:
        self._name(*argument)

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            if _may_be_text(name) and _may_be_text(module):
                raise ValueError("what it imports is computed")
            raise Stops("what it imports has no name")
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        self.executes = True
        named = canonical(module, name)
        why = why_not_named(named, self._allowed)
        if why is not None:
            self._dangers.setdefault(why)
            self.calls = self.calls or why_not_named(Global(named.module, "x"), self._allowed) is not None
        self._refuse(why)
        if named.name.rpartition(".")[2] in OLD_NAMES:
            raise ValueError("arrays of joblib before 0.10 lie in other files")
        if is_wrapper(named):
            self.wraps = True
            if self._arrays:
                self._require_class(named)
        self._stack.append(named)

    def _inst(self, argument: tuple[str, str]) -> None:
        arguments = tuple(self._since_mark())
        self._name(*argument)
        self._call(self._stack.pop(), arguments)

    def _obj(self, _: Any) -> None:
        callee, *arguments = self._since_mark() or (None,)
        self._call(callee, tuple(arguments))

    def _reduce(self, _: Any) -> None:
        arguments, callee = self._stack.pop(), self._stack.pop()
        if not isinstance(arguments, tuple) and isinstance(callee, Global | Made):
            raise ValueError("the arguments of a call are computed")  # noqa: TRY004 - of the pickle
        self._call(callee, arguments)

    def _new(self, _: Any) -> None:
        arguments, callee = self._stack.pop(), self._stack.pop()
        self._call(callee, arguments if isinstance(arguments, tuple) else (arguments,), is_new=True)

    def _new_ex(self, _: Any) -> None:
        named, arguments, callee = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._call(callee, (arguments, named), is_new=True)

    def _call(self, callee: Any, arguments: tuple[Any, ...], *, is_new: bool = False) -> None:
        if not isinstance(callee, Global | Made):
            raise Stops("it calls something that is no callable")
        self.executes = self.calls = True
        callee = _plain(callee)
        if isinstance(callee, Global):
            self._refuse(why_not_called(callee, self._allowed))
            self._judge_arguments(callee, arguments)
        elif isinstance(callee, Made) and _is_cloudpickle(callee, "_make_skeleton_class", "_make_skeleton_enum"):
            if not is_new:  # its __init__ runs
                self._runs.add("__init__")
        else:
            self._refuse(f"it calls {_told(callee)} while it is loaded")
        self._stack.append(Made(callee, arguments))

    def _judge_arguments(self, callee: Global, arguments: tuple[Any, ...]) -> None:
        """What is allowed only with some arguments."""
        if callee == Global("builtins", "getattr"):
            self._judge_attribute(arguments)
        elif callee.module == "copyreg":
            self._judge_kinds(arguments[: 2 if callee.name == "_reconstructor" else 1])
        elif is_cloudpickle(callee):
            self._judge_cloudpickle(callee, arguments)
        elif callee == Global("types", "CodeType"):
            self._note_code(arguments)
        elif callee.module.partition(".")[0] not in sys.stdlib_module_names:
            for one in _callables_in(arguments):
                if not isinstance(one, Global) or why_not_called(one, self._allowed) is not None:
                    self._refuse(f"it hands {_told(one)} to {callee}, which might call it while it is loaded")

    def _judge_cloudpickle(self, callee: Global, arguments: tuple[Any, ...]) -> None:
        """Functions and classes that travel by value: what they change is their own, and what they are made of is harmless."""
        if callee.name in _CHANGES:
            target = arguments[0] if arguments else None
            if not isinstance(target, Made) or not (
                _is_cloudpickle(target, *_CHANGED) or str(target.by) == "types.FunctionType"
            ):
                self._refuse(f"it changes {_told(target)}, which is not its own")
            for state in arguments[1:] if callee.name == "_class_setstate" else ():
                self._note_methods(state)
        elif callee.name == "_make_skeleton_class":
            self._judge_metaclass(arguments[0] if arguments else None)
            for base in arguments[2] if len(arguments) > 2 and isinstance(arguments[2], tuple) else ():
                if isinstance(base, Global) and opens_files(base) and str(base) not in self._allowed:
                    self._refuse(f"it makes a class of {base}, whose objects open or write files when they are made")

    def _judge_attribute(self, arguments: tuple[Any, ...]) -> None:
        """`getattr` as methods of objects are written: a plain name, of something that is no module."""
        target, name, *_ = (*arguments, None, None)
        is_module = isinstance(target, Made) and _is_cloudpickle(target, "subimport", "dynamic_subimport")
        if (
            not isinstance(name, str)
            or name.startswith("__")
            or is_module
            or name in {NAME, *OLD_NAMES}
            or not isinstance(target, Global | Made)
        ):
            self._refuse("it reads an attribute by a name that is computed, hidden, or of a module")
        elif isinstance(target, Global):
            self._refuse(why_not_named(Global(target.module, f"{target.name}.{name}"), self._allowed))

    def _judge_metaclass(self, found: Any) -> None:
        """What makes a class is called for it, whatever it is."""
        if isinstance(found, Global):
            self._refuse(None if found == Global("builtins", "type") else why_not_called(found, self._allowed))
        elif isinstance(found, Made) and _is_cloudpickle(found, "_make_skeleton_class"):
            self._runs.update(("__init__", "__call__"))
        else:
            self._refuse(f"it makes a class by a call of {_told(found)}")

    def _judge_kinds(self, kinds: tuple[Any, ...]) -> None:
        """Classes of which `copyreg` makes objects."""
        for kind in kinds:
            if isinstance(kind, Global):
                self._refuse(why_not_called(kind, self._allowed))
            elif isinstance(kind, Made) and not _is_cloudpickle(kind, "_make_skeleton_class"):
                self._refuse(f"it makes an object of {_told(kind)}")

    def _note_methods(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Items):
                for key, value in zip(part.keys, part.values, strict=False):
                    if isinstance(key, str) and key in _RUNS_ON_LOAD and _is_function(value):
                        self._runs.add(key)

    def _note_code(self, arguments: tuple[Any, ...]) -> None:
        if len(arguments) <= _NAMES_OF_CODE or not isinstance(arguments[_NAMES_OF_CODE], tuple):
            self._refuse("it holds code whose names cannot be read")
            return
        self._words.update(name for name in arguments[_NAMES_OF_CODE] if isinstance(name, str))

    def _judge_code(self) -> None:
        found = sorted(self._words & _WORDS - set(self._allowed))
        if found and self._runs:
            self._refuse(
                f"code in it runs while it is loaded ({', '.join(sorted(self._runs))}) and uses {', '.join(found)}"
            )

    def _build(self, _: Any) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        self._require_own(target)
        if isinstance(target, Made):
            if target.state is not None and (is_wrapper(target) or str(target.by) == "numpy.dtype"):
                raise ValueError(f"it changes {_told(target)} twice")
            target.state = state
            if self._arrays and is_wrapper(target):
                self._skip_array(state)
                self._stack[-1] = Made(Global("numpy", "ndarray"), ())

    def _require_own(self, target: Any) -> None:
        """A pickle may change what it has made, and nothing that it has imported."""
        is_read = isinstance(target, Made) and (
            _is_cloudpickle(target, "subimport") or str(target.by) == "builtins.getattr"
        )
        if isinstance(target, Global) or is_read:
            self._refuse(f"it changes {_told(target)}, which is not its own")

    def _persid(self, argument: Any) -> None:
        self._persist(argument)

    def _binpersid(self, _: Any) -> None:
        self._persist(self._stack.pop())

    def _persist(self, found: Any) -> None:
        why = "it asks its reader for objects (persistent ids)" if self._persistent is None else self._persistent(found)
        self._refuse(why)
        self._stack.append(DATA)

    # -- arrays between opcodes

    def _require_class(self, found: Any) -> None:
        """The wrapper's class, which is made one of at once; one that is made already stands nowhere a second time."""
        if isinstance(found, Made):
            raise ValueError("an array of joblib is used twice")  # noqa: TRY004 - of the pickle
        self._awaits = "class"

    def _await(self, opcode: str) -> None:
        assert self._awaits is not None
        if not may_follow(self._awaits, opcode):
            raise ValueError("an array of joblib is not made as joblib makes it")
        if opcode == "EMPTY_TUPLE":
            self._awaits = "arguments"
        elif opcode == "NEWOBJ":
            self._awaits = None

    def _skip_array(self, state: Any) -> None:
        """What joblib writes behind its wrapper: padding, and the bytes of the array; of objects, another pickle."""
        if self._stream.tell() < self._frame_ends:
            raise ValueError("an array of joblib begins within a frame: joblib would read it from behind the frame")
        layout = layout_of(state)
        if layout.has_objects:
            self.nests = True
            inner = Machine(self._stream, self._allowed, self._persistent)  # plain pickle reads it
            try:
                inner.run()
            finally:
                self._problems.update(dict.fromkeys(inner.problems))
                self.opcodes += inner.opcodes
            if inner.wraps:
                raise ValueError("objects of an array hold an array of joblib, which nothing reads there")
            return
        size = layout.size
        if layout.is_padded:
            padding = self._stream.read(1)
            size += padding[0] if padding else 1
        if len(self._stream.read(size)) < size:
            raise ValueError("an array of joblib breaks off")

    def _refuse(self, why: str | None) -> None:
        if why is not None:
            self._problems.setdefault(why)


#: What of cloudpickle changes its first argument.
_CHANGES = frozenset({
    "_class_setstate", "_function_setstate", "_cell_set", "_fill_function", "_rehydrate_skeleton_class",
})  # fmt: skip
#: What gives something of the pickle's own that may be changed so.
_CHANGED = (
    "_make_skeleton_class", "_make_skeleton_enum", "_make_function", "_make_skel_func", "_make_cell", "_make_empty_cell",
)  # fmt: skip
_TEXTS = frozenset({
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "INT", "BININT", "BININT1",
    "BININT2", "LONG", "LONG1", "LONG4",
})  # fmt: skip
_VALUES = frozenset(
    {"NEWTRUE", "NEWFALSE", "FLOAT", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
#: Opcode → the method that carries it out.
_STEPS = {
    "MARK": "_mark", "POP": "_pop", "POP_MARK": "_pop_mark", "DUP": "_dup", "NONE": "_none",
    "EMPTY_LIST": "_empty", "EMPTY_DICT": "_empty", "EMPTY_SET": "_empty", "LIST": "_listed",
    "FROZENSET": "_listed", "DICT": "_dictionary", "EMPTY_TUPLE": "_no_tuple", "TUPLE": "_tuple",
    "TUPLE1": "_tuple_of_1", "TUPLE2": "_tuple_of_2",
    "TUPLE3": "_tuple_of_3", "APPEND": "_append", "APPENDS": "_appends",
    "ADDITEMS": "_appends", "SETITEM": "_set_item", "SETITEMS": "_set_items", "PUT": "_put",
    "BINPUT": "_put", "LONG_BINPUT": "_put", "MEMOIZE": "_memoize", "GET": "_get", "BINGET": "_get",
    "LONG_BINGET": "_get", "GLOBAL": "_global", "STACK_GLOBAL": "_stack_global", "INST": "_inst",
    "OBJ": "_obj", "REDUCE": "_reduce", "NEWOBJ": "_new", "NEWOBJ_EX": "_new_ex", "BUILD": "_build",
    "PERSID": "_persid", "BINPERSID": "_binpersid", "READONLY_BUFFER": "_readonly",
}  # fmt: skip


def _plain(callee: Any) -> Any:
    """A type of the module `types` by its name, where cloudpickle asks for it by a call."""
    if isinstance(callee, Made) and _is_cloudpickle(callee, "_builtin_type"):
        name = callee.arguments[0] if len(callee.arguments) == 1 else None
        if isinstance(name, str):
            return Global("types", name)
    return callee


def _may_be_text(node: Any) -> bool:
    """Whether a value may be a text by which an unpickler imports something; what a class gives is none."""
    if isinstance(node, Made):
        return not isinstance(node.by, Global) or str(node.by) == "builtins.str" or not _is_kind(node.by)
    return isinstance(node, str) or (isinstance(node, Global) and not _is_kind(node))


def _is_kind(named: Global) -> bool:
    last = named.name.rpartition(".")[2].lstrip("_")
    return str(named) in _KINDS or (last[:1].isupper() and not last.isupper())


#: What gives no text, though it is written small.
_KINDS = frozenset({
    "copyreg._reconstructor", "numpy.dtype", "numpy.ndarray", "numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct",
})  # fmt: skip


def _is_cloudpickle(made: Made, *names: str) -> bool:
    return isinstance(made.by, Global) and is_cloudpickle(made.by) and made.by.name in names


def _is_function(value: Any) -> bool:
    """Whether a value is a function that travels by value, perhaps within a decorator's object."""
    if not isinstance(value, Made):
        return False
    if (
        _is_cloudpickle(value, "_make_function", "_make_skel_func", "_builtin_type")
        or str(value.by) == "types.FunctionType"
    ):
        return True
    return any(_is_function(one) for one in value.arguments)


def _callables_in(values: Iterable[Any]) -> Iterator[Any]:
    """What somebody who gets these values could call: what is imported, and functions and methods that were made of it."""
    for value in values:
        if isinstance(value, Global) or (
            isinstance(value, Made) and (_is_function(value) or str(value.by) in _MAKE_CALLABLES)
        ):
            yield value
        elif isinstance(value, tuple):
            yield from _callables_in(value)
        elif isinstance(value, Items):
            yield from _callables_in((*value.values, *value.keys))


def _told(node: Any) -> str:
    if isinstance(node, Global):
        return str(node)
    if isinstance(node, Made):
        if _is_cloudpickle(node, "_make_function", "_make_skel_func"):
            return "code that it carries itself"
        if _is_cloudpickle(node, "subimport") and node.arguments and isinstance(node.arguments[0], str):
            return f"the module {node.arguments[0]}"
        return f"what {_told(node.by)} gives"
    return "something that is no callable"
