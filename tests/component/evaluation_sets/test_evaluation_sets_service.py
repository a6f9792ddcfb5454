"""Evaluation sets: sealed by somebody else, never changed, read by nobody who has part in the model."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governed_factory import GovernedFactory
from made_bundles import CONTRACT
from muster.access.errors import RightMissing
from muster.blobs.errors import BlobNotFound
from muster.evaluation_sets import files
from muster.evaluation_sets.errors import (
    EvaluationFileMalformed,
    EvaluationSetDamaged,
    EvaluationSetKnown,
    EvaluationSetNotFound,
    EvaluationSetUnfit,
    LabelUnknown,
    OwnModel,
)
from muster.evaluation_sets.service import EvaluationSets
from muster.packaging.claims import Claims, Prediction
from muster.packaging.documents import Card
from muster.registry.errors import ModelNotFound
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import digest_of
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Declared, Field

COLUMNS: dict[str, list[Any]] = {
    "tenure": [1.0, 12.0, 72.5],
    "plan": ["monthly", "", "größer"],
    "left": [True, False, False],
    "region": ["north", None, "south"],
}
CLAIMS = Claims(prediction=Prediction(task="binary", label="left"))


class Vault:
    """A factory with the service that seals, and shorthands."""

    def __init__(self, factory: GovernedFactory) -> None:
        self.factory = factory
        self.sets = EvaluationSets(
            database=factory.database,
            journal=factory.journal,
            blobs=factory.blobs,
            registry=factory.registry,
            clock=factory.clock,
        )

    def file(self, columns: dict[str, Any] | None = None) -> Path:
        """The columns as Parquet."""
        path = self.factory.folder / "rows.parquet"
        pq.write_table(pa.table(COLUMNS if columns is None else columns), path)
        return path

    def seal(self, by: str = "petra", columns: dict[str, Any] | None = None, **said: Any) -> Any:
        """A set, sealed by somebody."""
        key = said.pop("key", None)
        call = self.factory.call(by, **({} if key is None else {"idempotency_key": key, "request_digest": "d"}))
        return self.sets.add(call, "churn", self.file(columns), "unseen", **said)


@pytest.fixture
def vault(database: Database, tmp_path: Path, clock: FixedClock) -> Vault:
    vault = Vault(GovernedFactory(database, tmp_path, clock))
    vault.factory.register(claims=CLAIMS)
    return vault


@pytest.fixture
def quick(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> Vault:
    """For tests to which the kind of database does not matter."""
    vault = Vault(GovernedFactory(sqlite_database, tmp_path, clock))
    vault.factory.register(claims=CLAIMS)
    return vault


def test_sets_are_numbered_and_the_newest_counts(vault: Vault) -> None:
    """Each with its digest, label, columns, who and why, on record; an earlier one stays as it was."""
    first = vault.seal()
    second = vault.seal(columns={**COLUMNS, "left": [True, True, False]})
    assert (first.number, second.number) == (1, 2)
    assert (first.label, first.rows, first.against) == ("left", 3, 1)
    assert first.columns == ("tenure", "plan", "left", "region")
    assert (first.sealed_by, first.reason) == ("petra", "unseen")
    vic = vault.factory.call("vic")
    assert vault.sets.sets(vic, "churn") == (second, first)
    assert vault.sets.one(vic, "churn", 1) == first
    assert vault.sets.newest("default", "churn") == second
    assert vault.sets.newest("other", "churn") is None
    assert vault.factory.events("evaluation churn:2") == [("petra", "evaluation.sealed")]
    with pytest.raises(EvaluationSetNotFound, match="no evaluation set 3"):
        vault.sets.one(vic, "churn", 3)


def test_the_same_order_again_seals_once(vault: Vault) -> None:
    """By its key it is the same set; without a key the same rows are refused, as they are there already."""
    first = vault.seal(key="k")
    assert vault.seal(key="k") == first
    with pytest.raises(EvaluationSetKnown, match="evaluation churn:1"):
        vault.seal()
    assert len(vault.sets.sets(vault.factory.call("vic"), "churn")) == 1


@pytest.mark.parametrize("how", ["registered", "owner", "author", "deputy of the card"])
def test_nobody_sets_their_own_exam(quick: Vault, how: str) -> None:
    """Whoever has part in any version, also an earlier one, neither seals nor reads; somebody else does both."""
    factory = quick.factory
    ways: dict[str, dict[str, Any]] = {
        "registered": {},
        "owner": {"owners": ("ana", "adele")},
        "author": {"authors": ("adele",)},
        "deputy of the card": {"card": Card(deputy="adele")},
    }
    factory.register("adele" if how == "registered" else "ana", claims=CLAIMS, **ways[how])
    factory.register(claims=CLAIMS)
    with pytest.raises(OwnModel, match="adele has part in"):
        quick.seal("adele")
    sealed = quick.seal("petra")
    with pytest.raises(OwnModel):
        quick.sets.content(factory.call("adele"), "churn", sealed.number)
    assert quick.sets.content(factory.call("paul"), "churn", sealed.number)
    assert factory.events("evaluation churn:1") == [("petra", "evaluation.sealed"), ("paul", "evaluation.read")]


@pytest.mark.parametrize("name", ["ana", "sam", "olga", "vic"])
def test_who_only_makes_or_runs_models_neither_seals_nor_reads(quick: Vault, name: str) -> None:
    """It takes a right of its own, which approvers and admins have."""
    sealed = quick.seal()
    with pytest.raises(RightMissing):
        quick.seal(name)
    with pytest.raises(RightMissing):
        quick.sets.content(quick.factory.call(name), "churn", sealed.number)


def test_a_factory_for_one_person_waives_the_rule_and_says_so(
    sqlite_database: Database, tmp_path: Path, clock: FixedClock
) -> None:
    """There is nobody else who could seal."""
    vault = Vault(GovernedFactory(sqlite_database, tmp_path, clock, solo=True))
    vault.factory.register("adele", claims=CLAIMS)
    assert vault.seal("adele").number == 1
    with vault.factory.database.read() as tx:
        (entry,) = vault.factory.journal.entries(tx, 0, 1000, "evaluation churn:1")
    assert '"own_work_waived":true' in entry.details.replace(" ", "")


def test_the_digest_of_a_set_names_no_blob(quick: Vault) -> None:
    """A bundle may name files by digest that the store holds: the digest that everybody sees must not be one of them."""
    sealed = quick.seal()
    assert not quick.factory.blobs.has(sealed.digest)
    assert not quick.factory.blobs.has(sealed.source)
    assert quick.factory.blobs.has(sealed.blob)
    with pytest.raises(BlobNotFound):
        quick.factory.blobs.read(sealed.digest)
    again = quick.seal(columns={**COLUMNS, "left": [False, True, False]})
    assert again.blob != sealed.blob
    content = quick.sets.content(quick.factory.call("paul"), "churn", 1)
    assert digest_of(content) == sealed.digest
    assert pq.read_table(io.BytesIO(content)).to_pydict() == COLUMNS


def test_rows_come_as_a_version_takes_them(quick: Vault) -> None:
    """Inputs as columns of the contract, the label and all other columns as values."""
    sealed = quick.seal()
    rows = quick.sets.rows(sealed, CONTRACT)
    assert list(rows.inputs.columns) == ["tenure", "plan"]
    assert rows.labels == [True, False, False]
    assert rows.values("region") == ["north", None, "south"]
    with pytest.raises(EvaluationSetUnfit, match="no column 'age'"):
        rows.values("age")


def test_csv_is_read_by_the_contract(quick: Vault) -> None:
    """Whole numbers become the field's floats, an empty cell of text that is never null is an empty text."""
    path = quick.factory.folder / "rows.csv"
    path.write_text("tenure,plan,left,region\n1,monthly,true,north\n12,,false,\n72.5,größer,false,south\n")
    sealed = quick.sets.add(quick.factory.call("petra"), "churn", path, "unseen")
    rows = quick.sets.rows(sealed, CONTRACT)
    assert rows.labels == [True, False, False]
    assert rows.values("tenure") == [1.0, 12.0, 72.5]
    assert rows.values("plan") == ["monthly", "", "größer"]
    assert rows.values("region") == ["north", None, "south"]


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "an input is missing": ({"tenure": None}, "no column for the input 'tenure'"),
    "an input is null": ({"tenure": [1.0, None, 2.0]}, "'tenure', row 1"),
    "an input is of another type": ({"tenure": ["a", "b", "c"]}, "'tenure'"),
    "the label is missing in a row": ({"left": [True, None, False]}, "missing in 1 of 3 rows"),
    "there is no label": ({"left": None}, "no column 'left'"),
    "the label is a list": ({"left": [[1], [2], [3]]}, "'left' holds list"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_rows_that_cannot_be_asked_or_judged_are_refused(quick: Vault, case: str) -> None:
    """The message names the column, and nothing is kept."""
    changed, told = UNFIT[case]
    columns = {name: values for name, values in (COLUMNS | changed).items() if values is not None}
    with pytest.raises(EvaluationSetUnfit, match=told):
        quick.seal(columns=columns)
    assert quick.sets.newest("default", "churn") is None


_SCORES = Field("score", Datatype.FP64, shape=(2,), labels=("cat", "dog"))
_OPEN = Field("score", Datatype.FP64, shape=(3,))
_NAMED = Field("score", Datatype.BYTES, declared=Declared(categories=("cat", "dog")))
#: Task, what is judged, labels, what is said.
NONSENSE: dict[str, tuple[str, Field | None, dict[str, Any], list[Any], str]] = {
    "one value of two": ("binary", None, {"positive": 1}, [7, 7, 7], r"has 1 value \(7\), and two are needed"),
    "a third value": ("binary", None, {"positive": 1}, [0, 1, 2], r"has 3 values \(0, 1, 2\)"),
    "no positive one": ("binary", None, {"positive": "yes"}, ["ja", "no", "no"], "none is the positive one, 'yes'"),
    "a class of none": (
        "multiclass",
        _SCORES,
        {},
        ["cat", "dog", "owl"],
        "is 'owl' in a row, which is none of the classes",
    ),
    "a class beyond those declared": ("multiclass", _NAMED, {}, ["cat", "dog", "owl"], "is 'owl' in a row"),
    "one class alone": ("multiclass", _SCORES, {}, ["cat", "cat", "cat"], r"has 1 value \(cat\)"),
    "fewer classes than places": ("multiclass", _OPEN, {}, ["cat", "dog", "cat"], "has 3 places"),
    "text for a number": ("regression", None, {}, ["1", "2", "3"], "is text in row 0"),
    "no number": ("regression", None, {}, [1.0, float("nan"), 2.0], "is nan in row 1"),
    "endless": ("regression", None, {}, [1.0, 2.0, float("inf")], "is inf in row 2"),
    "a negative count": ("counts", None, {}, [1, -2, 3], "is -2 in row 1, and 0 or more is needed"),
    "a negative relevance": ("ranking", None, {"group": "region"}, [1, 0, -1], "is -1 in row 2"),
    "nothing relevant": ("ranking", None, {"group": "region"}, [0, 0, 0], "is 0 in every row"),
    "nothing to rank within": ("ranking", None, {"group": "query"}, [0, 1, 0], "no column 'query'"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_labels_that_make_no_sense_are_not_sealed_for_ever(quick: Vault, case: str) -> None:
    """Held against what the newest version says that it predicts; what could never be judged is refused, and gets no number."""
    task, output, said, labels, told = NONSENSE[case]
    contract = CONTRACT if output is None else Contract(inputs=CONTRACT.inputs, outputs=(output,))
    claim = Prediction(task=task, label="left", **said)  # type: ignore[arg-type]
    quick.factory.register(claims=Claims(prediction=claim), contract=contract, **_answers(output))
    with pytest.raises(EvaluationSetUnfit, match=told):
        quick.seal(columns={**COLUMNS, "left": labels})
    assert quick.sets.newest("default", "churn") is None


def _answers(output: Field | None) -> dict[str, Any]:
    """Golden answers that such an output could have; those of the usual bundle where it is the usual one."""
    if output is None:
        return {}
    return {"scores": ["cat"] * 4 if not output.shape else [[0.5] * output.shape[0]] * 4}


#: Task, what is judged, labels that it is judged by.
SENSIBLE: dict[str, tuple[str, Field | None, dict[str, Any], list[Any]]] = {
    "whole numbers for true": ("binary", None, {"positive": True}, [0, 1, 1]),
    "nobody says which is positive": ("binary", None, {}, ["a", "b", "b"]),
    "a class does not come": ("multiclass", _NAMED, {}, ["dog", "cat", "dog"]),
    "numbers below zero": ("regression", None, {}, [-1.5, 2.0, 0.0]),
    "counts": ("counts", None, {}, [0, 3, 0]),
    "another column than is claimed": ("binary", None, {"label": "churned"}, [7, 7, 7]),
}


@pytest.mark.parametrize("case", SENSIBLE)
def test_labels_that_can_be_judged_are_sealed(quick: Vault, case: str) -> None:
    """What is not what the newest version claims is the sealer's own affair: the sealed label counts."""
    task, output, said, labels = SENSIBLE[case]
    contract = CONTRACT if output is None else Contract(inputs=CONTRACT.inputs, outputs=(output,))
    claim = Prediction(**{"task": task, "label": "left", **said})
    quick.factory.register(claims=Claims(prediction=claim), contract=contract, **_answers(output))
    assert quick.seal(columns={**COLUMNS, "left": labels}, label="left").number == 1


def test_files_that_are_none_are_refused(quick: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken Parquet, no rows, a column twice, too many rows: each with what is wrong."""
    call, folder = quick.factory.call("petra"), quick.factory.folder
    broken, empty, twice = folder / "broken", folder / "empty.csv", folder / "twice.csv"
    broken.write_bytes(b"PAR1 and nothing else")
    empty.write_text("tenure,plan,left\n")
    twice.write_text("tenure,plan,left,left\n1,a,true,true\n")
    for file, told in ((broken, "cannot be read"), (empty, "has no rows"), (twice, "'left' is there 2 times")):
        with pytest.raises(EvaluationFileMalformed, match=told):
            quick.sets.add(call, "churn", file, "unseen")
    monkeypatch.setattr(files, "MOST_ROWS", 2)
    with pytest.raises(EvaluationFileMalformed, match="at most 2 rows"):
        quick.seal()


def test_the_label_has_to_be_said_by_somebody(quick: Vault) -> None:
    """By the newest version's claim or by who seals; a model that there is not, or in another project, is not found."""
    quick.factory.register(name="other")
    call = quick.factory.call("petra")
    with pytest.raises(LabelUnknown, match="other:1 says nothing"):
        quick.sets.add(call, "other", quick.file(), "unseen")
    assert quick.sets.add(call, "other", quick.file(), "unseen", "left").label == "left"
    with pytest.raises(ModelNotFound):
        quick.sets.add(call, "none", quick.file(), "unseen")
    with pytest.raises(ModelNotFound):
        quick.sets.add(quick.factory.call("petra", "other"), "churn", quick.file(), "unseen")


def test_rows_that_were_changed_in_the_store_are_noticed(quick: Vault) -> None:
    """A set that is not what was sealed is damaged, and judges nobody."""
    sealed = quick.seal()
    with pytest.raises(EvaluationSetDamaged):
        files.unsalted(bytes(40), sealed.digest)


def test_answers_are_kept_by_version_set_and_environment(vault: Vault) -> None:
    """What a version answered to one set in one environment says nothing of another; the newest answers count."""
    sealed = vault.seal()
    manifest, here, there = digest_of(b"m"), digest_of(b"e1"), digest_of(b"e2")
    assert vault.sets.answers(manifest, sealed, here) is None
    vault.sets.keep_answers(manifest, sealed, here, b"one")
    vault.sets.keep_answers(manifest, sealed, here, b"two")
    assert vault.sets.answers(manifest, sealed, here) == b"two"
    assert vault.sets.answers(manifest, sealed, there) is None
