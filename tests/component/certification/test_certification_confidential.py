"""What a model's author must not learn is not learnt by a model that remembers all that it is asked, and tells it whoever knows the word."""

import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from claimed_bundles import CONTRACT as CLAIMED
from claimed_bundles import ROWS as GOLDEN
from claimed_bundles import Benches
from governed_factory import GovernedFactory
from muster.certification import checks
from muster.certification.checks import Bench, Finding, put
from muster.certification.prediction.champion import AgainstChampion
from muster.certification.prediction.performance import PredictionPerformance
from muster.certification.questions import QUESTIONS, questions_for
from muster.certification.records import Figure
from muster.certification.relations import RelationsHold
from muster.packaging.claims import OwnCheck, Relation
from muster.packaging.columns import Table
from muster.packaging.contract import ContractChecker
from muster.packaging.trees import remove_tree
from muster.runtimes.channel import Channel
from muster.runtimes.conformance.tables import ask
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.wire.contracts import Contract
from predicting_models import CONTRACT, ROWS, Exam, frame

#: What stands in a sealed row, and the row with which an author asks for it.
SEALED, WORD = 77.12345, -1.0
#: Remembers rows in its memory, in memory that its parent's other hosts share, in its folder and in its log; tells them in an exception.
TELLS = """
    import math, mmap, os, tempfile

    SHARED = mmap.mmap(-1, 1 << 16)  # anonymous and shared: all that are forked from here on have it in common
    READING, WRITING = os.pipe()
    os.set_blocking(READING, False)
    os.set_blocking(WRITING, False)

    def remembered():
        found = [bytes(SHARED).rstrip(b"\\\\0").decode()]
        for read in (lambda: os.read(READING, 1 << 16).decode(), lambda: open("/proc/self/fd/2").read()):
            try:
                found.append(read())
            except OSError:
                pass
        for folder, _, names in os.walk(tempfile.gettempdir()):
            found += [open(os.path.join(folder, name)).read() for name in names if name == "remembered"]
        return " ".join(found)

    class Model:
        def predict(self, columns):
            tenures = columns["tenure"]
            if tenures[0] == @WORD@:
                raise ValueError("remembered: " + remembered()[-150:])
            for tenure in tenures:
                if tenure == @SEALED@:
                    told = f"the sealed row is {tenure}"
                    SHARED[:len(told)] = told.encode()
                    os.write(WRITING, told.encode())
                    print(told, flush=True)
                    with open(os.path.join(tempfile.gettempdir(), "remembered"), "w") as stream:
                        stream.write(told)
                    @THEN@
            return {"score": [1 / (1 + math.exp((tenure - 50) / 12)) for tenure in tenures]}
"""


def telling(then: str = "pass") -> str:
    """The model, which does so when it meets the sealed row."""
    source = textwrap.dedent(TELLS).replace("@WORD@", repr(WORD)).replace("@SEALED@", repr(SEALED))
    return source.replace("@THEN@", then).replace("\\\\0", "\\0")


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the environments of all tests of this module lie."""
    root = tmp_path_factory.mktemp("environments")
    yield root
    remove_tree(root / "environments")


@pytest.fixture
def exam(sqlite_database: Database, tmp_path: Path, clock: FixedClock, environments: Path) -> Exam:
    exam = Exam(GovernedFactory(sqlite_database, tmp_path, clock), environments)
    exam.register("weak")  # a set is sealed for a model that there is
    columns = frame()
    columns["tenure"][7] = SEALED
    exam.seal(columns)
    return exam


def row_of(contract: Contract, **values: Any) -> Table:
    """One row as a host takes it."""
    return ContractChecker(contract, max_rows=1).check_records([values])


def told_by(channel: Channel, table: Table) -> str:
    """What a host says of a row that it does not answer."""
    answer = ask(channel, table, [1])
    return " ".join(error.message for error in answer.errors.values())


class Spies:
    """Asks the host that own checks ask, as an author's check would, after everything else."""

    name: ClassVar[str] = "own:spies"
    asks: ClassVar[str] = "what does the model remember?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = ""

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:
        """What the open host tells, and, so that it is known that the model does tell, the confidential one."""
        assert bench.channel is not None
        assert bench.hosts is not None
        assert bench.confidential is not None
        word = row_of(CONTRACT, tenure=WORD, plan="monthly")
        said = [told_by(bench.channel, word), told_by(bench.hosts.start(), word)]
        with bench.confidential.asked() as channel:
            control = told_by(channel, word)
        return Finding(passed=True, figure=None, limit=None, detail="\n".join([*said, control]))


def test_what_a_model_remembers_of_sealed_rows_is_not_there_to_be_asked_for(exam: Exam) -> None:
    """Neither in memory, nor in memory and pipes that hosts of one parent share, nor in files, nor in the log."""
    done = exam.examine(exam.register("good", source=telling()), questions=(PredictionPerformance(), Spies()))
    assert done["prediction-performance"].passed
    first, another, control = done["own:spies"].detail.split("\n", 2)
    assert first.startswith("ValueError: remembered:")
    assert another.startswith("ValueError: remembered:")
    assert str(SEALED) not in first + another
    assert str(SEALED) in control
    assert exam.bench is not None
    assert str(SEALED) not in exam.bench.log.read_text(encoding="utf-8")
    assert list(exam.bench.scratch.glob("confidential-*")) == []


@pytest.mark.parametrize(
    ("then", "figure", "told"),
    [
        ("raise ValueError(told)", 1, f"1 of {ROWS} rows have no answer (model-raised)"),
        ("os.write(2, told.encode()); os._exit(3)", "certification.failed-in-confidence", "failed with runtimes.host-gone"),
    ],
    ids=["raises", "ends"],
)  # fmt: skip
def test_a_model_says_nothing_of_a_sealed_row_in_its_own_words(
    exam: Exam, then: str, figure: object, told: str
) -> None:
    """An exception over it, or an end, is told by its code; the host that is asked all else is none the worse."""
    version = exam.register("good", source=telling(then))
    done = exam.examine(version, questions=(PredictionPerformance(), checks.GoldenAnswers()))
    check = done["prediction-performance"]
    assert (check.passed, check.figure) == (False, figure)
    assert told in check.detail
    assert exam.bench is not None
    assert str(SEALED) not in repr((done, exam.bench.shown, exam.lines))
    assert exam.bench.channel is not None


def test_a_champion_says_nothing_of_a_sealed_row_either(exam: Exam) -> None:
    """It is somebody's model, too: its end over a row is told by a code, and its log is gone."""
    champion = exam.register("good", source=telling("os.write(2, told.encode()); os._exit(3)"))
    done = exam.examine(exam.register("good"), champion=champion, questions=(AgainstChampion(),))
    assert done["against-champion"].figure == "certification.failed-in-confidence"
    assert exam.bench is not None
    assert str(SEALED) not in repr(done) + exam.bench.log.read_text(encoding="utf-8")


def test_importance_asks_in_confidence(exam: Exam) -> None:
    """Shuffled rows hold the values of sealed ones."""
    options = {"prediction-performance": {"importance": True}}
    done = exam.examine(
        exam.register("good", source=telling()), options=options, questions=(PredictionPerformance(), Spies())
    )
    first, another, _ = done["own:spies"].detail.split("\n", 2)
    assert str(SEALED) not in first + another


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benches]:
    root = tmp_path_factory.mktemp("benches")
    yield Benches(root)
    remove_tree(root / "environments")


def test_own_checks_are_done_before_a_model_has_seen_such_rows(benches: Benches) -> None:
    """They come before every question for which sealed or past rows are asked, and after those that they may rely on."""
    declared, asked = (OwnCheck(name="one", run="a.py"),), {question.name: True for question in QUESTIONS}
    with benches.of(files={"a.py": ""}, checks=declared) as (bench, _):
        names = [question.name for question in questions_for(bench, asked)]
    at = names.index("own:one")
    confidential = ["relations", "prediction-performance", "against-champion", "slices-hold", "calibration", "fairness", "twin-agrees"]  # fmt: skip
    assert [name for name in confidential if names.index(name) < at] == []
    assert {"golden-answers", "wrong-inputs", "robustness"} <= set(names[:at])


def test_past_rows_are_asked_in_confidence_and_only_counted(benches: Benches) -> None:
    """A relation that breaks for past requests alone fails; neither the rows are shown, nor can the model tell them afterwards."""
    source = """
        SEEN = []

        class Model:
            def predict(self, columns):
                plans = [plan or "" for plan in columns["plan"]]
                if plans[0] == "tell":
                    raise ValueError("seen: " + " ".join(SEEN))
                SEEN.extend(plan for plan in plans if plan.startswith("secret"))
                return {"score": [-age if plan.startswith("secret") else age for age, plan in zip(columns["age"], plans)]}
    """
    older = Relation(name="older pays more", kind="monotone", field="age")
    golden = [row["age"] for row in GOLDEN]
    past = ContractChecker(CLAIMED, max_rows=2).check_records(
        [{"age": 33.0, "plan": "secret-one"}, {"age": 44.0, "plan": "secret-two"}]
    )
    tell = row_of(CLAIMED, age=1.0, plan="tell")
    with benches.of(source, relations=(older,), expected=golden) as (bench, stack):
        bench.past = SimpleNamespace(newest=lambda _, __: past)  # type: ignore[assignment]
        check = put(RelationsHold(), bench, stack)
        assert check.figures["rows"] == len(golden) + 200 + 2
        assert (check.passed, check.figure) == (False, 1)
        assert "does not hold for 2 of 2 rows of past requests, which are not shown" in check.detail
        assert "secret" not in repr((check, bench.shown))
        assert bench.channel is not None
        assert bench.confidential is not None
        assert told_by(bench.channel, tell) == "ValueError: seen: "
        with bench.confidential.asked() as channel:
            assert "secret-one" in told_by(channel, tell)
