"""PMML: what is seen of a document without tools, its seven jars, and its answers over the wire."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from built_programs import Built, built, part_of
from muster.environments.carried import copy_helper
from muster.environments.languages.java import Java
from muster.environments.languages.pmml import LIBRARY, Pmml
from muster.environments.protocol import Part
from muster.packaging.columns import encode_text
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.manifest import declared_in
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster_host.raised import ModelRaised, ProgramFailed
from program_driver import driven
from toolchains import needs

PMML = Pmml()
DOCUMENT = """<?xml version="1.0"?>
<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header/>
<DataDictionary numberOfFields="3"><DataField name="tenure" optype="continuous" dataType="double"/>
<DataField name="contract" optype="categorical" dataType="string"><Value value="a"/><Value value="b"/></DataField>
<DataField name="left" optype="categorical" dataType="string"><Value value="9007199254740993"/><Value value="0"/></DataField></DataDictionary>
<RegressionModel functionName="classification" normalizationMethod="logit">
<MiningSchema><MiningField name="tenure" missingValueReplacement="10"/><MiningField name="contract"/>
<MiningField name="left" usageType="target"/></MiningSchema>
<Output><OutputField name="p" feature="probability" value="9007199254740993" optype="continuous" dataType="double"/>
<OutputField name="c" feature="predictedValue" optype="categorical" dataType="string"/></Output>
<RegressionTable intercept="0.5" targetCategory="9007199254740993"><NumericPredictor name="tenure" coefficient="-0.03"/>
<CategoricalPredictor name="contract" value="b" coefficient="0.7"/></RegressionTable>
<RegressionTable intercept="0" targetCategory="0"/></RegressionModel></PMML>
"""
MUSTER = """format = 1
name = "churn"
owners = ["ana"]
[runtime]
kind = "pmml"
model = "churn.pmml"
toolchain = "TOOLCHAIN"
[contract]
inputs = [{ name = "tenure", datatype = "INT64", nullable = true }, { name = "contract", datatype = "BYTES" }]
outputs = [{ name = "p", datatype = "FP64" }]
[golden]
rows = 1
"""
LOCK = f"{LIBRARY}:1.5.6 sha256:{'0' * 64}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with a small document and a lock that names its library."""
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "churn.pmml").write_text(DOCUMENT)
    (target / "muster.toml").write_text(MUSTER.replace("TOOLCHAIN", "jdk-17.0.15"))
    (target / "maven.lock").write_text(LOCK)
    return target


@pytest.fixture(scope="module")
def jars(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, tuple[Part, ...]]:
    """The lock of pmml4s and its jars."""
    scratch = tmp_path_factory.mktemp("jars")
    bundle = any_toolchain(bundle_of({**declared_in_text(scratch), "format": 1}))
    lock = PMML.lock(scratch, bundle, scratch, print)
    toolchain = PMML.toolchain(bundle)
    fetched = PMML.fetch(PMML.packages(lock), toolchain, scratch, print)
    return lock, tuple(part_of(package, file, path) for package, file, path in fetched)


def declared_in_text(folder: Path) -> dict[str, object]:
    (folder / "muster.toml").write_text(MUSTER.replace("TOOLCHAIN", "jdk-17"))
    return declared_in(folder)


def any_toolchain(bundle: Bundle) -> Bundle:
    return msgspec.structs.replace(bundle, runtime=msgspec.structs.replace(bundle.runtime, toolchain=""))


def problems_of(folder: Path) -> list[tuple[str, str]]:
    return [(finding.path, finding.problem) for finding in PMML.problems(folder, bundle_of(declared_in(folder)))]


def check_exactness(made: Built, entry: str) -> None:
    """No value becomes another one on its way into an output's datatype, or out of an input's."""
    texts = encode_text([b"a"])

    def answered(name: str, datatype: Datatype, tenure: int) -> bytes:
        inputs = (
            msgspec.structs.replace(made.bundle.contract.inputs[0], datatype=Datatype.UINT64),
            made.bundle.contract.inputs[1],
        )
        contract = Contract(inputs=inputs, outputs=(Field(name, datatype),))
        with driven(made.argv, contract, folder=made.folder, environment=made.tree, entry=entry) as ask:
            ((data, _),) = ask(1, [(tenure.to_bytes(8, "little"), None), (texts, None)])
            return bytes(data)

    # The class is the text 9007199254740993, which is 2^53 + 1.
    assert answered("c", Datatype.INT64, 0) == (2**53 + 1).to_bytes(8, "little")
    assert answered("c", Datatype.BYTES, 0) == encode_text([b"9007199254740993"])
    for name, datatype in (
        ("c", Datatype.FP64),
        ("c", Datatype.INT32),
        ("p", Datatype.INT64),
        ("p", Datatype.FP32),
        ("p", Datatype.BOOL),
    ):
        with pytest.raises(ModelRaised, match=rf'output "{name}" is .* in row 0: no {datatype}'):
            answered(name, datatype, 0)
    with pytest.raises(ModelRaised, match=r'input "tenure" is 9223372036854775808 in row 0'):
        answered("p", Datatype.FP64, 2**63)


def test_a_document_with_a_lock_has_nothing_to_mend(folder: Path) -> None:
    """A PMML 4 document and a lock that names pmml4s."""
    assert problems_of(folder) == []


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (DOCUMENT.replace('version="4.4"', 'version="3.2"'), "it is PMML 3.2"),
        ("<Model/>", "its root is <Model>"),
        ("tenure,contract\n", "it is no XML"),
        (DOCUMENT.replace("<PMML", '<!DOCTYPE x SYSTEM "/etc/passwd"><PMML', 1), "document type declaration"),
    ],
)
def test_what_is_no_document_is_told(folder: Path, document: str, told: str) -> None:
    """Other XML, other versions, what is no XML, and what could name other files."""
    (folder / "churn.pmml").write_text(document)
    ((path, problem),) = problems_of(folder)
    assert path == "churn.pmml"
    assert told in problem


@pytest.mark.parametrize("lock", ["# no jars\n", "org.other:thing:1.0 sha256:" + "0" * 64 + "\n", "nonsense\n"])
def test_a_lock_without_its_library_is_told(folder: Path, lock: str) -> None:
    """A lock that cannot be read, and one by which nothing would compute the document."""
    (folder / "maven.lock").write_text(lock)
    ((path, _),) = problems_of(folder)
    assert path == "maven.lock"


def test_the_helper_is_javas_and_one_class_more() -> None:
    """What travels in the bundle is Java's helper and the main class that computes PMML."""
    more = set(PMML.helper().values()) - set(Java().helper().values())
    assert more == {"muster_host/muster/host/pmml/Main.java"}


@needs("pmml")
@pytest.mark.timeout(900)  # Maven twice and javac, on a machine that may have other things to do
def test_the_document_answers_over_the_wire(folder: Path, tmp_path: Path, jars: tuple[bytes, tuple[Part, ...]]) -> None:
    """Numbers, text and a missing value give what the document says, to the last digits; an unknown output is told when it loads."""
    lock, parts = jars
    assert [part.package.name for part in parts if part.package.name == LIBRARY] == [LIBRARY]
    assert len(parts) == len(PMML.packages(lock)) == 7
    (folder / "maven.lock").write_bytes(lock)
    declared = declared_in(folder)
    toolchain = PMML.toolchain(any_toolchain(bundle_of(declared))).name
    (folder / "muster.toml").write_text(MUSTER.replace("TOOLCHAIN", toolchain))
    copy_helper(PMML, folder)
    made = built(PMML, folder, tmp_path / "built", *parts)
    tenure = np.array([0, 24, 0], dtype="<i8").tobytes()
    texts = b"".join(len(text).to_bytes(4, "little") + text for text in (b"a", b"b", b"b"))
    entry = "churn.pmml"
    with driven(made.argv, made.bundle.contract, folder=folder, environment=made.tree, entry=entry) as ask:
        ((data, nulls),) = ask(3, [(tenure, b"\0\0\1"), (texts, None)])
        assert nulls is None
        logits = np.array([0.5, 0.5 - 0.03 * 24 + 0.7, 0.5 - 0.03 * 10 + 0.7])
        np.testing.assert_allclose(np.frombuffer(data, "<f8"), 1 / (1 + np.exp(-logits)), rtol=1e-14)
    check_exactness(made, entry)
    other = msgspec.structs.replace(made.bundle.contract.outputs[0], name="unknown")
    contract = msgspec.structs.replace(made.bundle.contract, outputs=(other,))
    with (
        pytest.raises(ProgramFailed, match=r"no output \[unknown\]"),
        driven(made.argv, contract, folder=folder, environment=made.tree, entry=entry),
    ):
        pass
