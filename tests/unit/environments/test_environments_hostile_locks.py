"""Whatever stands in a lock: packages, the one named error, or findings; never a traceback."""

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muster.environments.languages.known import LANGUAGES, language_problems
from muster.environments.languages.node import is_wanted
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import BundleMalformed

HASH = "0a" * 32
NPM = {"version": "6.15.1", "integrity": "sha512-" + base64.b64encode(bytes(64)).decode(), "os": ["linux"]}
#: A sound lock of each kind that has one: of those that are documents, the document.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "node": {"lockfileVersion": 3, "packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": NPM}},
    "r": {"R": {"Version": "4.2.2"}, "Packages": {"rpart": {"Package": "rpart", "Version": "4.1.19", "Source": "R"}}},
    "rust": {"version": 4, "package": [{"name": "a", "version": "1.0.0", "source": "registry+x", "checksum": HASH}]},
    "cpp": {"compiler": "g++-12.2.0", "standard": "c++17", "flags": ["-O2"], "libraries": {"a": f"sha256:{HASH}"}},
    "command": {"program": "julia", "version": "1.10", "digest": f"sha256:{HASH}"},
}
TEXTS = {
    "go": f"example.com/a v0.17.0 h1:{'A' * 43}=\nexample.com/a v0.17.0/go.mod h1:{'B' * 43}=\n",
    "java": f"org.tribuo:tribuo-core:4.3.2:linux sha256:{HASH}\n",
    "pmml": f"org.pmml4s:pmml4s_3:1.5.6 sha256:{HASH}\n",
    "python": f"numpy==2.4.6 ; python_version >= '3.11' \\\n    --hash=sha256:{HASH}\n",
    "onnx": f"onnxruntime==1.20.0 --hash=sha256:{HASH}\n",
    "mlflow": f"mlflow-skinny==3.0.0 --hash=sha256:{HASH}\n",
}
RUNTIMES: dict[str, dict[str, Any]] = {
    "java": {"entry": "a.B"},
    "cpp": {"entry": "main.cpp"},
    "command": {"command": ["julia"]},
    "pmml": {"model": "a.pmml"},
    "python": {
        "python": "3.11.7",
        "serializer": "cloudpickle",
        "model": "model/model.cloudpickle",
        "method": "predict",
        "input": "columns",
        "dtypes": {"x": "float64"},
    },
    "onnx": {"python": "3.11.7"},
    "mlflow": {"python": "3.11.7"},
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "sha512-abc", "sha256:", "git+x", "../..", "linux evil", "\x00", "-x", "1.0.0", "h1:"]),
)
anything = st.recursive(
    scalars,
    lambda some: st.lists(some, max_size=2) | st.dictionaries(st.text(max_size=4), some, max_size=2),
    max_leaves=4,
)


def bundle(kind: str) -> Bundle:
    toolchain = {} if kind in {"python", "onnx", "mlflow"} else {"toolchain": "any-1"}
    return bundle_of(
        {
            "format": 1,
            "name": "churn",
            "runtime": {"kind": kind, **toolchain, **RUNTIMES.get(kind, {})},
            "contract": {
                "inputs": [{"name": "x", "datatype": "FP64"}],
                "outputs": [{"name": "y", "datatype": "FP64"}],
            },
            "golden": {"rows": 1},
        }
    )


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """A document of which one thing was replaced, taken away or added, at any depth."""
    if isinstance(document, dict) and document and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(document)))
        deed = draw(st.sampled_from(["within", "replace", "drop", "add"]))
        rest = {name: value for name, value in document.items() if name != key}
        if deed == "within":
            return {**document, key: draw(mutated(document[key]))}
        if deed == "add":
            return {**document, draw(st.text(max_size=6)): document[key]}
        return rest if deed == "drop" else {**document, key: draw(anything)}
    if isinstance(document, list) and document and draw(st.booleans()):
        return [*document[1:], draw(mutated(document[0]))]
    return draw(anything)


def without_null(document: Any) -> Any:
    """TOML has none, and no integer beyond 64 bits that all readers take."""
    if isinstance(document, dict):
        return {key: without_null(value) for key, value in document.items() if value is not None}
    if isinstance(document, list):
        return [without_null(value) for value in document if value is not None]
    return document


@st.composite
def locks(draw: st.DrawFn, kind: str) -> bytes:
    if kind in DOCUMENTS and draw(st.booleans()):
        document = draw(mutated(DOCUMENTS[kind]))
        if kind in {"node", "r"}:
            return json.dumps(document).encode()
        document = without_null(document)
        if isinstance(document, dict):
            return tomli_w.dumps(document).encode("utf-8", "replace")
    sound = bytearray(text_of(kind))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(sound)))
        sound[at : at + draw(st.integers(0, 6))] = draw(st.binary(max_size=6))
    return bytes(sound)


def text_of(kind: str) -> bytes:
    if kind in TEXTS:
        return TEXTS[kind].encode()
    write = json.dumps if kind in {"node", "r"} else tomli_w.dumps
    return write(DOCUMENTS[kind]).encode()


def judge(kind: str, folder: Path, content: bytes) -> None:
    """Hold a reader and the findings of a kind to what they promise."""
    language, described = LANGUAGES[kind], bundle(kind)
    (folder / language.lock_name).write_bytes(content)
    found = list(language_problems(folder, described))
    assert all(finding.path and finding.problem and finding.remedy for finding in found)
    try:
        packages = language.packages(content)
    except BundleMalformed:
        return
    for package in packages:
        assert isinstance(package.name, str)
        assert isinstance(package.version, str)
        assert package.purl.startswith("pkg:")
        if kind == "node":
            is_wanted(package.marker)


@pytest.mark.parametrize("kind", sorted({*DOCUMENTS, *TEXTS}))
def test_mutated_locks_give_packages_the_named_error_or_findings(kind: str, tmp_path: Path) -> None:
    """Readers of all languages stand whatever a lock was made into."""
    (tmp_path / "package.json").write_text('{"dependencies": {"a": "1"}}')
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "a"\n')
    LANGUAGES[kind].packages(text_of(kind))

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(content=locks(kind))
    def holds(content: bytes) -> None:
        judge(kind, tmp_path, content)

    holds()


@pytest.mark.parametrize("kind", sorted({*DOCUMENTS, *TEXTS}))
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b"{" * 200_000,
        b"a=" + b"[" * 100_000,
        b'{"a":' * 100_000,
        b"a==1;" + b"(" * 100_000,
        b"\xff\xfe",
    ],
)
def test_deep_locks_are_refused(kind: str, content: bytes, tmp_path: Path) -> None:
    """What is nested beyond any stack is no lock."""
    with pytest.raises(BundleMalformed):
        LANGUAGES[kind].packages(content)
    judge(kind, tmp_path, content)


@pytest.mark.parametrize(
    ("kind", "file", "content"),
    [
        ("rust", "Cargo.toml", "dependencies = [1]"),
        ("rust", "Cargo.toml", "[dependencies]\na = { path = 5 }"),
        ("rust", "Cargo.lock", "[[package]]\nname = 'a'\nversion = '1.0.0'\nsource = 5"),
        ("node", "package.json", '{"dependencies": [1]}'),
        ("node", "package.json", "[" * 100_000),
    ],
)
def test_other_files_that_are_none_are_findings(kind: str, file: str, content: str, tmp_path: Path) -> None:
    """Files beside a lock that hold the wrong things are told, too."""
    (tmp_path / "package.json").write_text('{"dependencies": {"a": "1"}}')
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "a"\n')
    (tmp_path / LANGUAGES[kind].lock_name).write_bytes(text_of(kind))
    (tmp_path / file).write_text(content)
    found = list(language_problems(tmp_path, bundle(kind)))
    assert [finding for finding in found if "cannot be read" in finding.problem or "none that cargo" in finding.problem]


def test_locks_that_are_written_here_are_sound() -> None:
    """The locks that are mutated are themselves read."""
    for kind in ("rust", "cpp", "command"):
        assert tomllib.loads(text_of(kind).decode()) == DOCUMENTS[kind]
