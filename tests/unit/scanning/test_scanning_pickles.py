"""Pickles, judged without being loaded: what libraries write passes, what calls anything else does not."""

import builtins
import bz2
import functools
import importlib
import io
import lzma
import operator
import os
import pickle
import pickletools
import shutil
import socket
import typing
import zlib
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import RK45
from scipy.io import FortranFile
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from malicious_files import (
    Calls,
    call_of_carried_code,
    class_made_by_carried_code,
    code_that_runs_when_loaded,
    pickle_that_calls,
)
from muster.scanning.found import Found
from muster.scanning.machine import Unreadable
from muster.scanning.pickles import decompressed, looks_like_pickle, scan_pickle

_X = np.linspace(0.0, 1.0, 120).reshape(40, 3)
_Y = (_X[:, 0] > 0.5).astype(int)


@dataclass
class Weights:
    """A class of a module that is imported."""

    values: list[float]

    def total(self) -> float:
        return sum(self.values)


class Own:
    """What `muster.save` gets when a scientist writes the model."""

    def __init__(self) -> None:
        self.weights = np.arange(3.0)
        self.names = {"a": deque([1]), "b": defaultdict(list), "c": OrderedDict(d=Decimal("1.5"))}
        self.made = datetime(2026, 1, 1, tzinfo=UTC)

    def predict(self, columns: dict[str, Any]) -> dict[str, list[float]]:
        return {"score": [float(np.dot(self.weights, row)) + len(os.sep) for row in columns["x"]]}


def _by_value() -> bytes:
    cloudpickle.register_pickle_by_value(importlib.import_module(__name__))
    try:
        return bytes(cloudpickle.dumps(Own()))
    finally:
        cloudpickle.unregister_pickle_by_value(importlib.import_module(__name__))


def _class_with_a_metaclass() -> bytes:
    kind = type("Kind", (type,), {"__module__": "__main__", "__init__": lambda self, *_: None})
    made = kind("Made", (), {"__module__": "__main__", "one": 1})
    return bytes(cloudpickle.dumps(made))


def _by_joblib(model: Any, compress: int = 0) -> bytes:
    stream = io.BytesIO()
    joblib.dump(model, stream, compress=compress)
    return stream.getvalue()


SOUND: dict[str, Callable[[], bytes]] = {
    "a regression": lambda: cloudpickle.dumps(LogisticRegression().fit(_X, _Y)),
    "a pipeline": lambda: cloudpickle.dumps(make_pipeline(StandardScaler(), SVC()).fit(_X, _Y)),
    "a forest": lambda: pickle.dumps(RandomForestClassifier(n_estimators=5, random_state=1).fit(_X, _Y)),
    "boosted trees": lambda: pickle.dumps(GradientBoostingClassifier(n_estimators=3).fit(_X, _Y)),
    "histogram trees": lambda: pickle.dumps(HistGradientBoostingClassifier(max_iter=3).fit(_X, _Y)),
    "neighbours": lambda: pickle.dumps(KNeighborsClassifier().fit(_X, _Y)),
    "naive Bayes, protocol 2": lambda: pickle.dumps(GaussianNB().fit(_X, _Y), protocol=2),
    "columns": lambda: pickle.dumps(
        ColumnTransformer([("one", OneHotEncoder(), [0])], remainder="passthrough").fit(_X.round(1))
    ),
    "words": lambda: pickle.dumps(TfidfVectorizer().fit(["one two", "two three"])),
    "a function of a library": lambda: cloudpickle.dumps(FunctionTransformer(np.log1p)),
    "a lambda": lambda: cloudpickle.dumps(FunctionTransformer(lambda x: x + 1)),
    "a class by value with a metaclass": _class_with_a_metaclass,
    "a partial": lambda: cloudpickle.dumps(functools.partial(np.clip, a_min=0)),
    "a getter": lambda: pickle.dumps(operator.itemgetter("a")),
    "a bound method": lambda: pickle.dumps(Weights([1.0]).total),
    "an own class by value": _by_value,
    "an own class by name": lambda: pickle.dumps(Weights([1.0, 2.0])),
    "a frame": lambda: pickle.dumps(pd.DataFrame({"a": [1.0], "b": ["x"], "c": pd.Categorical(["u"])})),
    "random state": lambda: pickle.dumps((np.random.default_rng(1), np.random.RandomState(1))),
    "joblib": lambda: _by_joblib(RandomForestClassifier(n_estimators=3, random_state=1).fit(_X, _Y)),
    "joblib with objects": lambda: _by_joblib({"names": np.array(["a", None], dtype=object), "more": _X}),
    "structured arrays": lambda: pickle.dumps(np.zeros(3, dtype=[("a", "f8"), ("b", "i4")])),
    "text, protocol 0": lambda: pickle.dumps({"a": "größer", "b": [1, 2.5, None, True, b"x"]}, protocol=0),
    "two pickles after each other": lambda: pickle.dumps(1) + pickle.dumps(Weights([2.0])),
}

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "os.system": (pickle_that_calls, "posix.system"),
    "os.system, protocol 0": (lambda: pickle_that_calls(protocol=0), "posix.system"),
    "eval": (lambda: pickle_that_calls(eval, "1"), "builtins.eval"),
    "exec": (lambda: pickle_that_calls(exec, "1"), "builtins.exec"),
    "import": (lambda: pickle_that_calls(builtins.__import__, "os"), "builtins.__import__"),
    "import_module": (lambda: pickle_that_calls(importlib.import_module, "os"), "importlib"),
    "open": (lambda: pickle.dumps(Calls(open, "/dev/null")), "open"),
    "a socket": (lambda: pickle_that_calls(socket.create_connection, ("127.0.0.1", 1)), "socket"),
    "rmtree": (lambda: pickle_that_calls(shutil.rmtree, "/nowhere"), "shutil"),
    "a pickle in a pickle": (lambda: pickle_that_calls(pickle.loads, pickle.dumps(1)), "pickle.loads"),
    "joblib.load": (lambda: pickle_that_calls(joblib.load, "x"), "joblib"),
    "a reference that is evaluated": (lambda: pickle_that_calls(typing.ForwardRef, "print()"), "typing.ForwardRef"),
    "a class that calls what it is given": (
        lambda: pickle_that_calls(RK45, functools.partial(print, "x"), {}, [1.0], {}),
        "which might call it",
    ),
    "one that finds it in a list": (lambda: pickle_that_calls(RK45, [functools.partial(print)]), "which might call it"),
    "one that is given a function": (lambda: pickle_that_calls(RK45, np.fromfile), "it hands numpy.fromfile to"),
    "a file of Fortran": (lambda: pickle_that_calls(FortranFile, "/nowhere", "w"), "FortranFile"),
    "a file of arrays": (lambda: pickle_that_calls(np.memmap, "/nowhere"), "numpy.memmap"),
    "a store of tables": (lambda: pickle_that_calls(pd.HDFStore, "/nowhere"), "HDFStore"),
    "a folder of downloads": (lambda: pickle_that_calls(np.lib.npyio.DataSource, "/nowhere"), "DataSource"),
    "a cache": (lambda: pickle_that_calls(joblib.Memory, "/nowhere"), "joblib"),
    "map": (lambda: pickle_that_calls(map, print, (1,)), "builtins.map"),
    "a module's function through another": (lambda: b"cnumpy.f2py\nos.system\n(S'true'\ntR.", "numpy.f2py"),
    "a dotted name": (lambda: b"\x80\x04\x8c\x07sklearn\x8c\tos.system\x93\x8c\x04true\x85R.", "sklearn.os.system"),
    "a module by another's name": (lambda: b"cjoblib.pool\nsys\n.", "joblib.pool.sys"),
    "evaluation of a library": (lambda: b"cpandas\neval\n(S'1'\ntR.", "pandas.eval"),
    "Python 2's name": (lambda: b"c__builtin__\neval\n(S'1'\ntR.", "builtins.eval"),
    "Python 2's commands": (lambda: b"ccommands\ngetoutput\n(S'true'\ntR.", "getoutput"),
    "INST": (lambda: b"(S'true'\nios\nsystem\n.", "os.system"),
    "OBJ": (lambda: b"(cos\nsystem\nS'true'\no.", "os.system"),
    "a function of a package": (lambda: b"cnumpy\nfromfile\n(S'x'\ntR.", "numpy.fromfile"),
    "partial, called": (
        lambda: b"cfunctools\npartial\n(cbuiltins\nprint\nS'x'\ntR)R.",
        "what functools.partial gives",
    ),
    "carried code, called": (call_of_carried_code, "code that it carries itself"),
    "code that runs when loaded": (code_that_runs_when_loaded, "__setstate__"),
    "change of a class": (lambda: b"csklearn.svm\nSVC\n}S'predict'\ncbuiltins\nprint\nsb.", "changes sklearn.svm.SVC"),
    "change of a module": (
        lambda: b"ccloudpickle.cloudpickle\nsubimport\n(S'numpy'\ntR}S'load'\ncbuiltins\nprint\nsb.",
        "changes the module numpy",
    ),
    "an attribute of a module": (
        lambda: b"cbuiltins\ngetattr\n(ccloudpickle.cloudpickle\nsubimport\n(S'os'\ntRS'system'\ntR.",
        "reads an attribute",
    ),
    "hidden attributes": (lambda: b"cbuiltins\ngetattr\n(csklearn.svm\nSVC\nS'__init__'\ntR.", "reads an attribute"),
    "a persistent id": (lambda: b"P1\n.", "persistent ids"),
    "a function that makes a class": (class_made_by_carried_code, "it makes a class by a call of code that it carries"),
    "change of a class that an attribute gives": (
        lambda: (
            b"ccloudpickle.cloudpickle\n_class_setstate\n(cbuiltins\ngetattr\n(csklearn.svm\nSVC\nS'fit'\ntR(}}ttR."
        ),
        "which is not its own",
    ),
    "state of what an attribute gives": (
        lambda: b"cbuiltins\ngetattr\n(csklearn.svm\nSVC\nS'fit'\ntR}S'a'\nI1\nsb.",
        "which is not its own",
    ),
    "change of a module by cloudpickle": (
        lambda: (
            b"ccloudpickle.cloudpickle\n_class_setstate\n(ccloudpickle.cloudpickle\nsubimport\n(S'numpy'\ntR(}}ttR."
        ),
        "which is not its own",
    ),
    "a second pickle behind the first": (lambda: pickle.dumps(1) + pickle_that_calls(), "posix.system"),
}
UNREADABLE: dict[str, bytes] = {
    "broken off": pickle_that_calls(print, "x")[:-3],
    "no opcode": b"\x80\x04\xff\xff.",
    "an extension": b"\x80\x02\x82\x01)R.",
    "a computed name": b"\x80\x04\x8c\x02os)\x93.",
    "an empty stack": b"\x80\x04R.",
    "a buffer from outside": b"\x80\x05\x97.",
    "arguments that no tuple holds": b"cbuiltins\nset\n]R.",
    "an old array of joblib": b"cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81.",
}


def kinds(found: tuple[Found, ...]) -> set[str]:
    return {one.what for one in found}


@pytest.mark.parametrize("what", SOUND)
def test_what_libraries_write_passes(what: str) -> None:
    """Models, preprocessing and data as serialisers write them are read to their end without a finding."""
    content = SOUND[what]()
    assert scan_pickle(content, "model.pkl") == ()
    assert looks_like_pickle(content) or what == "text, protocol 0"


@pytest.mark.parametrize("what", REFUSED)
def test_what_calls_anything_else_is_refused(what: str) -> None:
    """The finding names what would be called or changed."""
    make, named = REFUSED[what]
    found = scan_pickle(make(), "model.pkl")
    assert any(named in one.told for one in found), found
    assert kinds(found) == {"pickle-call"}
    assert all(one.refused and one.told.startswith("model.pkl: ") for one in found)


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_followed_is_refused(what: str) -> None:
    """A pickle that this scanner does not understand to its end might do anything."""
    assert "unreadable" in kinds(scan_pickle(UNREADABLE[what], "model.pkl"))


def test_a_class_made_of_one_that_opens_files_is_refused() -> None:
    """Whoever may not make the object may not make it through a class of its own either."""

    class Mapped(np.memmap):
        pass

    Mapped.__module__ = "__main__"
    found = scan_pickle(cloudpickle.dumps(Mapped), "m")
    assert any("numpy.memmap" in one.told and one.refused for one in found), found


def test_a_standard_may_allow_a_function_by_name() -> None:
    """It passes with the name, and only that one does."""
    content = pickle_that_calls(np.fromfile, "x")
    assert scan_pickle(content, "m")
    assert scan_pickle(content, "m", allowed=("numpy.fromfile",)) == ()
    assert scan_pickle(pickle_that_calls(), "m", allowed=("numpy.fromfile",))


def test_bytes_between_the_opcodes_are_only_passed_over_where_joblib_put_them() -> None:
    """Opcodes that hide as the bytes of an array are judged as what plain pickle would run."""
    sound = _by_joblib({"a": np.zeros(64, dtype=np.uint8)})
    data = sound.index(b"\0" * 64)
    begins = max(at for at in range(data - 17, data) if at + 1 + sound[at] == data)  # where the padding is counted
    evil = b"cos\nsystem\n(S'true'\ntR0"
    hidden = sound[:begins] + evil + sound[begins + len(evil) :]
    assert scan_pickle(sound, "m") == ()
    assert any("os.system" in one.told for one in scan_pickle(hidden, "m"))


_CALL = b"cos\ngetpid\n)R."
#: Begins as no pickle that says so; each, loaded, would call `os.getpid`.
UNSAID: dict[str, bytes] = {
    "true first": b"\x88" + _CALL,
    "false first": b"\x89" + _CALL,
    "a fraction first": b"F1\n" + _CALL,
    "a short text first": b"\x8c\x02os\x8c\x06getpid\x93)R.",
    "a frame first": b"\x95" + len(_CALL).to_bytes(8, "little") + _CALL,
    "protocol 0 that says so": b"\x80\x00" + _CALL,
    "protocol 1 that says so": b"\x80\x01" + _CALL,
    "broken off behind the call": _CALL[:-1] + b"\xff\xff",
    "a number to the base 16": b"I0x10\n0" + _CALL,
    "a number to the base 8": b"I010\n0" + _CALL,
    "a name that is not ASCII": b"cm\xc3\xb6d\nX\n0" + _CALL,
    "a text that is not ASCII": b"S'\xe4'\n0" + _CALL,
    "a buffer that is read only": b"C\x01a\x980" + _CALL,
    "a computed name": b"cbuiltins\nstr\n(Vposix\ntRVgetpid\n\x93)R.",
    "behind a pickle of data": b"I1\n." + _CALL,
}


@pytest.mark.parametrize("what", UNSAID)
def test_a_pickle_is_known_whatever_it_begins_with(what: str) -> None:
    """It is followed from its first byte, and what is not followed counts as a call."""
    assert looks_like_pickle(UNSAID[what])
    assert scan_pickle(UNSAID[what], "m")


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300))
def test_numbers_are_no_pickles(content: bytes) -> None:
    """Bytes that import nothing before an unpickler stops are left alone, as weights in a file of their own are."""
    imports = any(letter in content for letter in (b"c", b"i", b"\x93"))
    assert imports or content[:1] == b"\x80" or not looks_like_pickle(content)


@pytest.mark.parametrize("first", [b"\x80\x00\x00\x00", b"\x80\x01\x00\x00", b"\x80\x02\x00\x00", b"\x80\x05\x00\x00"])
def test_sizes_before_weights_are_no_protocols(first: bytes) -> None:
    """128, 384, 640 and 1408, as programs write how many numbers follow."""
    assert not looks_like_pickle(first + np.ones(50).tobytes())


@pytest.mark.parametrize(
    "text", ["click\npytest\nnumpy\n", "customer,age\n1,2\n", "(c) by us\nimport os\n", "Name\nAge\n"]
)
def test_texts_are_no_pickles(text: str) -> None:
    """Though each letter may be an opcode."""
    assert not looks_like_pickle(text.encode())


def _wrapped(dtype: bytes, count: int, data: bytes, before: bytes = b"", made: bytes = b")\x81") -> bytes:
    """A file of joblib with one array, written by hand; plain pickle stops behind it or reads the bytes."""
    state = (
        b"}(Vsubclass\ncnumpy\nndarray\nVshape\n(K"
        + bytes([count])
        + b"tVorder\nVC\nVdtype\n"
        + dtype
        + b"Vallow_mmap\nI00\nu"
    )
    return b"\x80\x04" + before + b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n" + made + state + b"b" + data


_EVIL = b"\x80\x04cbuiltins\nstr\n(Vposix\ntRVgetpid\n\x93)R."
JOBLIB: dict[str, bytes] = {
    "several types in one text": _wrapped(b"cnumpy\ndtype\n(Vi4,O\ntR", 8, b"\xff" * 96 + b"."),
    "objects by their flag": _wrapped(
        b"cnumpy\ndtype\n(Vi1\ntR(K\x03V<\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb", 2, b"\xff\xff."
    ),
    "a size by the state": _wrapped(b"cnumpy\ndtype\n(VV1\ntR(K\x03V|\nNNNK\x02K\x01K\x00tb", 1, b"\xffN."),
    "made by another call": _wrapped(b"cnumpy\ndtype\n(Vu1\ntR", 1, b"\xff.", made=b")R"),
    "made by copyreg": _wrapped(
        b"cnumpy\ndtype\n(Vu1\ntR", 1, b"N.", before=b"ccopyreg\n_reconstructor\n(", made=b"cbuiltins\nobject\nNtR"
    ),
    "within a frame": _wrapped(b"cnumpy\ndtype\n(Vu1\ntR", 1, b"\xff.", before=b"\x95\xff\x00\x00\x00\x00\x00\x00\x00"),
    "an array in objects": _wrapped(
        b"cnumpy\ndtype\n(VO8\ntR", 1, _wrapped(b"cnumpy\ndtype\n(Vu1\ntR", 1, b"N.") + b"."
    ),
    "plain pickle reads the bytes": _wrapped(b"cnumpy\ndtype\n(Vu1\ntR", len(_EVIL), _EVIL + b"."),
}


@pytest.mark.parametrize("what", JOBLIB)
def test_an_array_of_joblib_that_ends_elsewhere_for_others_is_refused(what: str) -> None:
    """It is accepted in the form that joblib writes; in that form the same array passes."""
    assert scan_pickle(_wrapped(b"cnumpy\ndtype\n(Vu1\ntR", 1, b"\xff."), "m") == ()
    assert scan_pickle(JOBLIB[what], "m"), what


@pytest.mark.parametrize("compress", [0, 3], ids=["plain", "packed"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: np.array([Decimal(1), Decimal(2)], dtype=object),
        lambda: {"a": 1, "b": np.array(["x", None], dtype=object)},
        lambda: np.zeros(2, [("a", "f8", (2,)), ("b", "O"), ("c", [("d", "i4")])]),
        lambda: (np.array(["2020"], "M8[us]"), np.array(["ab"]), np.zeros((0, 3)), np.array(5.0), np.ones(3, ">i2")),
        lambda: make_pipeline(OneHotEncoder(), StandardScaler(with_mean=False)).fit(
            np.array([["x"], ["y"]], dtype=object)
        ),
    ],
    ids=["objects", "objects within", "fields", "all kinds", "a pipeline"],
)
def test_arrays_of_joblib_pass_whatever_their_type(make: Callable[[], Any], compress: int) -> None:
    """Objects, fields, dates, texts, empty and single ones."""
    content = _by_joblib(make(), compress)
    inner = decompressed(content, 1 << 20)
    assert scan_pickle(content if inner is None else inner, "m") == ()


def test_a_file_of_torch_from_before_its_archives_passes_and_its_storages_are_no_pickles() -> None:
    """Five pickles and then bytes; of any other file what follows is judged, too."""
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
    whole = magic + b"".join(pickle.dumps(one, protocol=2) for one in (1001, {"little_endian": True}, {}, ["0"]))
    assert scan_pickle(whole + b"\xff\x00\x13" * 20, "m") == ()
    assert kinds(scan_pickle(pickle.dumps(1) + b"\xff\x00\x13" * 20, "m")) == {"unreadable"}
    assert scan_pickle(magic + pickle_that_calls(), "m")


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, zlib.compress], ids=["bz2", "xz", "zlib"])
def test_what_joblib_compresses_is_unpacked_within_bounds(pack: Callable[[bytes], bytes]) -> None:
    """The bytes come back; too many of them, or too few, are refused."""
    content = b"\0" * 10_000
    assert decompressed(pack(content), 10_000) == content
    with pytest.raises(Unreadable, match="more than 9999"):
        decompressed(pack(content), 9_999)
    with pytest.raises(Unreadable):
        decompressed(pack(content)[:-6], 10_000)
    assert decompressed(b"plain", 10) is None


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.tuples(inner, inner)
        ),
        max_leaves=8,
    ),
    st.integers(min_value=0, max_value=5),
)
def test_plain_data_always_passes(value: Any, protocol: int) -> None:
    """Whatever it holds and however it is written: data calls nothing."""
    assert scan_pickle(pickle.dumps(value, protocol=protocol), "m") == ()


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_scanner(content: bytes) -> None:
    """It passes them or refuses them, whatever they are; what passes is a pickle to its end."""
    found = scan_pickle(content, "m")
    if content.strip(b"\0\n\r \t") and not found:
        assert list(pickletools.genops(content))


@settings(deadline=None, max_examples=50)
@given(st.integers(min_value=0, max_value=400), st.integers(min_value=0, max_value=255))
def test_a_changed_byte_never_lets_a_call_pass(at: int, byte: int) -> None:
    """Wherever a byte of a malicious pickle is another: it still names what it calls, cannot be read, or calls nothing any more."""
    content = bytearray(pickle_that_calls())
    content[at % len(content)] = byte
    if not scan_pickle(bytes(content), "m"):
        names = [(op.name, argument) for op, argument, _ in pickletools.genops(bytes(content))]
        assert ("SHORT_BINUNICODE", "system") not in names or ("SHORT_BINUNICODE", "posix") not in names
