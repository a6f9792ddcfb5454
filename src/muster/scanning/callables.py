"""What a pickle may name and call: an allow-list of what serialisers need, and words that are refused wherever they stand.

To load a pickle is to run what it names: each `REDUCE` is a call. A model needs constructors and the functions by which libraries rebuild
their own objects, and nothing else. So a name is refused where it belongs to a module that reaches the machine, and a call is refused
unless it is a class, a rebuilding function, or on the list. What a library calls otherwise a project's standard may allow by name.

Source: https://docs.python.org/3/library/pickle.html, "Restricting Globals"; https://docs.python.org/3/library/pickletools.html.
"""

import re
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Collection

from muster.scanning.nodes import Global

#: Modules that reach processes, files, the network, the interpreter or other pickles; no model is held by them.
_MODULES = frozenset({
    "_ctypes", "_distutils_hack", "_imp", "_multiprocessing", "_pickle", "_posixshmem", "_posixsubprocess", "_pytest", "_socket",
    "_testcapi", "_thread", "_xxsubinterpreters", "aiohttp", "antigravity", "asyncio", "asyncore", "asynchat", "atexit", "bdb", "boto3",
    "botocore", "cPickle", "cProfile", "celery", "cffi", "cgi", "cgitb", "cmd", "code", "codeop", "commands", "compileall", "ctypes",
    "dbm", "dill", "distutils", "docker", "doctest", "ensurepip", "fabric", "faulthandler", "fcntl", "fileinput", "fsspec", "ftplib",
    "gc", "getpass", "git", "glob", "http", "httpx", "idlelib", "imaplib", "imp", "importlib", "invoke", "ipykernel", "IPython", "jinja2",
    "keyring", "lib2to3", "linecache", "mako", "marshal", "mailcap", "mmap", "multiprocessing", "nntplib", "nose", "nt", "numexpr", "os",
    "paramiko", "pdb", "pexpect", "pickle", "pip", "pkg_resources", "pkgutil", "plumbum", "popen2", "poplib", "posix", "profile",
    "psutil", "pstats", "pty", "py_compile", "pydoc", "pytest", "readline", "requests", "resource", "rlcompleter", "runpy", "s3fs",
    "sched", "setuptools", "sh", "shelve", "shutil", "signal", "site", "sitecustomize", "smtplib", "socket", "socketserver", "spwd",
    "sqlite3", "ssl", "subprocess", "sys", "tarfile", "telnetlib", "tempfile", "test", "timeit", "tkinter", "trace", "tty", "turtle",
    "unittest", "urllib", "urllib3", "usercustomize", "venv", "webbrowser", "xmlrpc", "zipapp", "zipfile", "zipimport",
})  # fmt: skip

#: Parts of packages that are otherwise harmless.
_PARTS = (
    "logging.config", "logging.handlers", "numpy.distutils", "numpy.f2py", "numpy.testing", "pandas.io", "torch.distributed", "torch.hub",
    "torch.jit", "torch.multiprocessing", "torch.package", "torch.utils.bottleneck", "torch.utils.collect_env",
    "torch.utils.cpp_extension", "sklearn.datasets", "sklearn.utils._testing", "scipy._lib._testutils", "joblib.logger", "joblib.memory",
    "joblib.parallel",
)  # fmt: skip

#: Functions that do harm under whatever module's name they are found: packages import them for their own use.
_FUNCTIONS = frozenset({
    "Popen", "breakpoint", "call_subprocess", "check_call", "check_output", "create_connection", "delattr", "eval", "exec", "exec_command",
    "execfile", "execl", "execle", "execlp", "execv", "execve", "execvp", "execvpe", "fork", "forkpty", "getoutput", "getstatusoutput",
    "exec_", "_evaluate", "globals", "import_module", "input", "locals",
    "popen", "posix_spawn", "posix_spawnp", "rmtree", "runctx", "setattr", "spawnl",
    "spawnle", "spawnlp", "spawnv", "spawnve", "spawnvp", "startfile", "system", "urlopen", "urlretrieve", "vars", "__import__",
})  # fmt: skip

_BUILTINS_REFUSED = frozenset({"compile", "open", "help", "exit", "quit"})
_BUILTINS_CALLED = frozenset({
    "bool", "bytearray", "bytes", "classmethod", "complex", "dict", "float", "frozenset", "getattr", "int", "list", "object", "property",
    "range", "set", "slice", "staticmethod", "str", "super", "tuple",
})  # fmt: skip

#: What of the standard library serialisers call; classes are named one by one.
_STANDARD_CALLED = frozenset({
    "_codecs.encode", "_operator.attrgetter", "_operator.itemgetter", "_operator.methodcaller", "_struct.Struct", "abc.ABCMeta",
    "array._array_reconstructor", "array.array", "collections.ChainMap", "collections.Counter", "collections.OrderedDict",
    "collections.defaultdict", "collections.deque", "copyreg.__newobj__", "copyreg.__newobj_ex__", "copyreg._reconstructor",
    "datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone", "decimal.Context",
    "decimal.Decimal", "enum.Enum", "enum.EnumMeta", "enum.EnumType", "enum.IntEnum", "enum.StrEnum", "fractions.Fraction",
    "functools.cached_property", "functools.partial", "functools.partialmethod", "io.BytesIO", "io.StringIO", "_io.BytesIO",
    "_io.StringIO", "ipaddress.IPv4Address", "ipaddress.IPv4Network", "ipaddress.IPv6Address", "ipaddress.IPv6Network",
    "inspect.Parameter", "inspect.Signature", "inspect._ParameterKind", "logging.getLogger", "operator.attrgetter", "operator.itemgetter",
    "operator.methodcaller", "pathlib.Path", "pathlib.PosixPath", "pathlib.PurePath", "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath", "random.Random", "re._compile", "statistics.NormalDist", "string.Template", "struct.Struct",
    "types.CodeType", "types.FunctionType", "types.GenericAlias", "types.MappingProxyType", "types.MethodType", "types.SimpleNamespace",
    "typing.ParamSpec", "typing.TypeVar", "uuid.UUID", "zoneinfo.ZoneInfo", "zoneinfo.ZoneInfo._unpickle", "zoneinfo._unpickle",
})  # fmt: skip

#: What cloudpickle writes for functions and classes that travel by value.
CLOUDPICKLE = frozenset({
    "_builtin_type", "_cell_set", "_class_setstate", "_code_reduce", "_empty_cell_value", "_function_setstate", "_gen_ellipsis",
    "_gen_not_implemented", "_get_cell_contents", "_make_cell", "_make_dict_items", "_make_dict_keys", "_make_dict_values",
    "_make_empty_cell", "_make_function", "_make_skeleton_class", "_make_skeleton_enum", "_make_skel_func", "_make_typevar",
    "_fill_function", "_rehydrate_skeleton_class", "dynamic_subimport", "instance", "subimport",
})  # fmt: skip
_CLOUDPICKLE_MODULES = frozenset({"cloudpickle", "cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast"})

#: Functions of libraries that their pickles call under names of no pattern.
_LIBRARIES_CALLED = frozenset(
    {"pyarrow.lib.py_buffer", "pyarrow.lib.type_for_alias", "numpy.random._pickle.__bit_generator_ctor"}
)

#: Classes of libraries that open or write files when an object of them is made.
_OPEN_FILES = frozenset({
    "DataSource", "DirectoryStore", "ExcelFile", "ExcelWriter", "FileHandler", "FileIO", "FileStore", "FortranFile",
    "PrintTime", "HDFStore", "InferenceSession",
    "LMDBStore", "LocalFileSystem", "MemoryMappedFile", "NestedDirectoryStore", "NpzFile", "OSFile", "ParquetFile", "ParquetWriter",
    "PyTorchFileReader", "PyTorchFileWriter", "SQLiteStore", "SummaryWriter", "ZipStore", "memmap",
})  # fmt: skip
_OPEN_FILES_BY_NAME = frozenset({"h5py.File", "h5py._hl.files.File", "joblib.Memory", "tables.file.File"})

#: Functions by which libraries rebuild their own objects.
_REBUILDS = re.compile(
    r"_\w*(reconstruct|unpickle|rebuild|restore|ctor|frombuffer|fromstring|deserialize)\w*|_+new\w*|_+make_?\w*|_from_\w+"
    r"|newObj|scalar|create_from_\w+"
)
#: Classes of well-known libraries whose names do not begin with a capital letter.
_LOWER_CLASSES = re.compile(
    r"numpy\.(dtype|ndarray|matrix|poly1d|recarray|record|str_|bytes_|void|object_|longlong|ulonglong|bool_?|u?int\d*|float\d*|complex\d*"
    r"|datetime64|timedelta64)"
    r"|numpy\.(_?core)\.(multiarray\.)?(scalar|ndarray|records\.recarray)"
    r"|scipy\.\w+(\.\w+)*\.(\w+_(matrix|array|gen|frozen)|interp1d|interp2d|gaussian_kde|multi_rv_frozen|ode|ppoly)"
    r"|torch\.(device|dtype|layout|memory_format)"
    r"|sklearn\.[\w.]*\.(\w*_[a-z]+Distance\d*|crf)"
    r"|(pytz|dateutil\.tz\.tz)\.(_p|_UTC|tzutc|tzlocal|tzfile|tzoffset)"
    r"|polars\.[\w.]+\.(series|dataframe)"
)  # fmt: skip


def canonical(module: str, name: str) -> Global:
    """A name as Python 3 reads it: pickles of the first protocols may use names of Python 2."""
    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[module, name]
    return Global(IMPORT_MAPPING.get(module, module), name)


def is_cloudpickle(named: Global) -> bool:
    """Whether it is a function by which cloudpickle writes code and classes."""
    return named.module in _CLOUDPICKLE_MODULES and named.name in CLOUDPICKLE


def opens_files(named: Global) -> bool:
    """Whether an object of this class opens or writes files when it is made; so does one of a class that is made of it."""
    return named.name.rpartition(".")[2] in _OPEN_FILES or str(named) in _OPEN_FILES_BY_NAME


def why_not_named(named: Global, allowed: Collection[str] = ()) -> str | None:  # noqa: PLR0911 - one reason after the other
    """Why a pickle may not even name this; None: it may.

    Args:
        named: what it names.
        allowed: names that a project's standard lets pass, `package.module.name`.
    """
    if str(named) in allowed or is_cloudpickle(named):
        return None
    top = named.module.partition(".")[0]
    words = named.name.split(".")
    if named.module in {"builtins", "__builtin__"}:
        if words[0] in _FUNCTIONS | _BUILTINS_REFUSED or len(words) > 1:
            return f"{named} runs code or opens files"
        return None
    if top in _MODULES or any(named.module == part or named.module.startswith(f"{part}.") for part in _PARTS):
        return f"{named}: {top} reaches beyond the model"
    if "cloudpickle" in named.module.split("."):
        return f"{named} is nothing that cloudpickle writes"
    if _FUNCTIONS & set(words):
        return f"{named} is a function that does harm wherever it is imported from"
    if _MODULES & set(words[:-1]) or words[-1] in _MODULES - {
        "code",
        "test",
        "trace",
        "profile",
        "site",
        "cmd",
        "resource",
        "signal",
    }:
        return f"{named} reaches a module through another"
    if len(words) > 1 and any(word.startswith("__") for word in words):
        return f"{named} reaches into how objects are made"
    return None


def why_not_called(named: Global, allowed: Collection[str] = ()) -> str | None:  # noqa: PLR0911 - one reason after the other
    """Why a pickle may not call this when it is loaded; None: it may.

    Args:
        named: what it calls.
        allowed: names that a project's standard lets pass.
    """
    refused = why_not_named(named, allowed)
    if refused is not None:
        return refused
    told = str(named)
    if told in allowed or is_cloudpickle(named):
        return None
    top = named.module.partition(".")[0]
    last = named.name.rpartition(".")[2]
    if named.module == "builtins":
        is_exception = last[:1].isupper()
        return None if named.name in _BUILTINS_CALLED or is_exception else f"{named} is called, and no model needs that"
    if top in sys.stdlib_module_names:
        if told in _STANDARD_CALLED or (top in {"collections", "enum", "ipaddress"} and last[:1].isupper()):
            return None
        return f"{named} of the standard library is called, and no model needs that"
    if opens_files(named):
        return f"{named} is made, and opens or writes files by that"
    if (
        told in _LIBRARIES_CALLED
        or last.lstrip("_")[:1].isupper()
        or _REBUILDS.fullmatch(last)
        or _LOWER_CLASSES.fullmatch(told)
    ):
        return None
    return f"{named} is called, and is neither a class nor known to rebuild objects"
