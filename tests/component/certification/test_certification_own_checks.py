"""Checks that others bring, on real hosts: they ask the model and give a verdict; whatever else they do has failed, and harms nobody."""

import os
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from claimed_bundles import SOUND, Benches
from muster.certification import own_checks as own_checks_module
from muster.certification import own_programs
from muster.certification.checks import Bench, OneRowLatency, option_problems, put
from muster.certification.own_checks import OWN, OwnCheck, own_checks
from muster.certification.own_programs import Bounds
from muster.certification.questions import questions_for
from muster.certification.records import Check
from muster.packaging.claims import OwnCheck as Declared
from muster.packaging.network import network_cut
from muster.packaging.trees import remove_tree
from muster.runtimes.confinement import confined_command
from muster.runtimes.conformance.tables import ask
from muster.runtimes.process_groups import ProcessGroup
from muster.wire.evidence import Bars, Exhibit
from muster_host import confine

#: Reads what it is given, and has `predict(rows)` and `verdict(…)`.
SPEAKS = """
import json, sys
first = json.loads(sys.stdin.readline())
def predict(rows):
    print(json.dumps({"predict": rows}), flush=True)
    return json.loads(sys.stdin.readline())
def verdict(**said):
    print(json.dumps(said), flush=True)
"""
PARITY = (
    SPEAKS
    + """
rows = first["golden"]["inputs"]
plain = predict(rows)["answers"]
other = predict([{**row, "plan": "yearly"} for row in rows])["answers"]
gap = max(abs(one["score"] - two["score"]) for one, two in zip(plain, other))
verdict(passed=gap <= 0.05, figure=gap, limit=0.05, detail=f"the plan moves the score by up to {gap:g}",
        exhibits=[{"kind": "bars", "title": "By plan", "x": "score", "names": ["gap"], "values": [gap]}])
"""
)


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benches]:
    root = tmp_path_factory.mktemp("benches")
    yield Benches(root)
    remove_tree(root / "environments")


@pytest.fixture(scope="module")
def bench(benches: Benches) -> Iterator[Bench]:
    """A bench whose programs are written by the tests: the model is the sound one."""
    with benches.of() as (bench, _):
        yield bench


def said(bench: Bench, program: str, **options: object) -> tuple[Check, tuple[Exhibit, ...]]:
    """What comes of a program that lies in the bundle, with its limits."""
    assert bench.folder is not None
    (bench.folder / "check.py").write_text(textwrap.dedent(program), encoding="utf-8")
    bench.shown.clear()
    bench.given_options = {"own:probe": options}
    with ExitStack() as stack:
        check = put(OwnCheck("probe", run="check.py"), bench, stack)
    return check, bench.shown[0].exhibits if bench.shown else ()


def test_a_check_of_the_authors_own_passes_one_model_and_not_another(benches: Benches) -> None:
    """It asks the model through its real host; figure, limit, words and exhibits are its own."""
    files, checks = {"checks/parity.py": PARITY}, (Declared(name="parity", run="checks/parity.py"),)
    for source, passed in ((SOUND, True), (SOUND.replace("/ 1000", "/ 10"), False)):
        with benches.of(source, files=files, checks=checks) as (bench, stack):
            (question,) = own_checks(bench)
            check = put(question, bench, stack)
            (exhibit,) = bench.shown[0].exhibits
        assert (check.name, check.passed, check.limit) == ("own:parity", passed, 0.05)
        assert "the plan moves the score by up to" in check.detail
        assert isinstance(exhibit, Bars)
        assert exhibit.values[0] == check.figure
        assert bool(check.remedy) is not passed


def test_they_are_put_before_time_is_measured(benches: Benches) -> None:
    """Each under its own name, in the order of muster.toml; the standard's program wins over the author's of that name."""
    checks = (Declared(name="one", run="a.py"), Declared(name="two", run="b.py"))
    with benches.of(files={"a.py": "", "b.py": ""}, checks=checks) as (bench, stack):
        names = [question.name for question in questions_for(bench, {"own:one": False})]
        assert "own:one" not in names
        assert names.index("own:two") == names.index(OneRowLatency.name) - 1
        program = (bench.folder or Path()) / "strict.py"
        program.write_text(SPEAKS + 'verdict(passed=False, figure=1, detail="by the project")')
        bench.programs = {"own:two": bench.blobs.put(program)}
        found = {question.name: question for question in own_checks(bench)}
        assert list(found) == ["own:one", "own:two"]
        check = put(found["own:two"], bench, stack)
        assert (check.passed, check.detail) == (False, "by the project")


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("raise SystemExit('no thanks')", "it ended (exit status 1) without a verdict; it wrote: no thanks"),
        ("", "it ended (exit status 0) without a verdict"),
        ("import os; os.abort()", "it ended (signal 6) without a verdict"),
        ("print('hello')", "neither a question nor a verdict"),
        ("print('[' * 100_000)", "neither a question nor a verdict"),
        ('print(\'{"predict": 5}\')', "neither a question nor a verdict"),
        ('print(\'{"passed": true}\')', "missing required field `figure`"),
        ('print(\'{"passed": true, "figure": NaN}\')', "neither a question nor a verdict"),
        ('print(\'{"passed": true, "figure": 1, "colour": "red"}\')', "unknown field `colour`"),
        ('print(\'{"passed": true, "figure": 1}\\n{"passed": true, "figure": 1}\')', "it went on after its verdict"),
        ('print(\'{"passed": true, "figure": 1}\'); raise SystemExit(3)', "then ended with exit status 3"),
        ("print('{\"passed\": true, \"figure\": 1, \"detail\": \"' + 'x' * 3000 + '\"}')", "more than 2,000 characters"),
        (
            'import json; print(json.dumps({"passed": True, "figure": 1, "exhibits": [{"kind": "rows", "title": "t", "rows": [{"x": "y" * 70000}]}]}))',
            "larger than 60,000 bytes",
        ),
        ("while True: print()", "it wrote more than 1 MiB"),
        ("import sys\nwhile True: sys.stdout.write('x' * 100_000)", "it wrote more than 1 MiB"),
        ("import time\nwhile True: time.sleep(60)", "no verdict within 1.5 s"),
        ("while True: pass", "no verdict within 1.5 s"),
        ("held = bytearray(1 << 30)", "MemoryError"),
        ("open('full', 'wb').truncate(1 << 40)", "without a verdict"),
    ],
    ids=[
        "refuses", "silent", "aborts", "talks", "nests", "asks-nonsense", "half-a-verdict", "no-number", "unknown-key", "two-verdicts",
        "fails-after", "long-words", "large-exhibits", "floods", "floods-one-line", "sleeps", "spins", "takes-memory", "takes-disk",
    ],
)  # fmt: skip
def test_whatever_is_no_verdict_has_failed(bench: Bench, program: str, told: str) -> None:
    """A crash, silence, a flood, garbage: a failed check that says why, and the model's host answers as before."""
    check, shown = said(bench, program, seconds=1.5, memory_mib=256, output_mib=1)
    assert (check.passed, check.figure, shown) == (False, "certification.own-check-failed", ())
    assert told in check.detail
    assert bench.channel is not None
    assert bench.golden is not None
    assert not ask(bench.channel, bench.golden.inputs).errors


def test_a_verdict_that_contradicts_itself_has_failed(bench: Bench) -> None:
    """Whoever says that it passed and names a figure above its limit, or above the author's, did not pass."""
    check, _ = said(bench, SPEAKS + "verdict(passed=True, figure=0.3, limit=0.1)")
    assert (check.passed, check.figure, check.limit) == (False, 0.3, 0.1)
    assert "it says that it passed, but 0.3 is above 0.1" in check.detail
    with ExitStack() as stack:
        strict = put(OwnCheck("probe", run="check.py", most=0.05), bench, stack)
    assert (strict.passed, strict.limit) == (False, 0.05)


def test_nothing_of_it_is_left_running(bench: Bench) -> None:
    """Children that it put into sessions of their own end with it."""
    program = """
        import os, subprocess, sys, time
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        try:
            child = subprocess.Popen(command, start_new_session=True)
        except PermissionError:  # the kernel keeps it in its group
            child = subprocess.Popen(command)
        print(f"child {child.pid}", file=sys.stderr, flush=True)
        time.sleep(600)
    """
    check, _ = said(bench, program, seconds=1.5)
    assert not check.passed
    pid = int(check.detail.rpartition("child ")[2])
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(10)
    assert not psutil.pid_exists(pid)


def test_rows_are_answered_one_by_one_or_refused_in_words(bench: Bench) -> None:
    """A row that the model refuses has null for an answer and a reason; rows that break the contract get an error in place of all."""
    program = (
        SPEAKS
        + """
some = predict([{"age": 20.0, "plan": "monthly"}, {"age": "Infinity", "plan": None}])
none = predict([{"age": "old", "plan": None}])
many = predict([{"age": float(age), "plan": "x" * 100} for age in range(5000)])
told = [round(some["answers"][0]["score"], 2), some["answers"][1], some["errors"]["1"]["code"], none["error"]["code"], len(many["answers"])]
verdict(passed=True, figure=0, detail=json.dumps(told) + " " + first["model"] + json.dumps(first["options"]))
"""
    )
    check, _ = said(bench, program, given={"depth": 3})
    assert check.passed, check.detail
    assert check.detail == '[0.21, null, "model-raised", "contract.broken", 5000] churn:1{"depth": 3}'


def test_it_has_no_network_and_nothing_of_the_factory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel can cut the network it is cut; what the factory's own environment holds is not handed on."""
    monkeypatch.setenv("MUSTER_DATABASE_URL", "postgresql://factory:secret@db/muster")
    program = (
        SPEAKS
        + """
import os, socket
names = sorted(name for name in os.environ if name.startswith("MUSTER"))
try:
    with socket.socket() as dialled:
        dialled.settimeout(1)
        dialled.connect(("192.0.2.1", 80))
    reached = "reached"
except OSError as error:
    reached = type(error).__name__
verdict(passed=True, figure=len(names), detail=reached)
"""
    )
    check, _ = said(bench, program)
    assert check.passed, check.detail
    assert check.figure == 0
    assert not check.detail.startswith("reached")
    assert bench.channel is not None
    if network_cut() or "network" in bench.channel.hello.confined:
        assert check.detail in {"OSError", "PermissionError"}  # there is no network, or no socket to begin with


def test_it_reads_nothing_of_the_factory(bench: Bench, tmp_path: Path) -> None:
    """Where the kernel can keep it from files, it reads its bundle and the system's, and nothing else of its user's."""
    secret = tmp_path / "admin.token"
    secret.write_text("mst_secret")
    program = (
        SPEAKS
        + f"""
from pathlib import Path
def read(path):
    try:
        return Path(path).read_text()[:6]
    except OSError as error:
        return type(error).__name__
verdict(passed=True, figure=0, detail=json.dumps([read({str(secret)!r}), read(first["bundle"] + "/muster.toml")]))
"""
    )
    check, _ = said(bench, program)
    assert check.passed, check.detail
    assert bench.channel is not None
    kept_out = "files" in bench.channel.hello.confined
    assert check.detail == ('["PermissionError", "format"]' if kept_out else '["mst_se", "format"]')


FORKS = (
    SPEAKS
    + """
import os, signal
print(f"session {os.getsid(0)}", file=sys.stderr, flush=True)
children = []
try:
    while len(children) < 200:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except OSError:
    pass
if len(children) == 200:
    signal.pause()
for child in children:
    os.kill(child, signal.SIGKILL)
verdict(passed=True, figure=len(children))
"""
)


def test_the_kernel_bounds_how_many_processes_it_has(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forking without end gets an error where the bound is, with what starts the program counted in, and all of it ends with the verdict.

    Where this process may make no control groups, it is counted and ended instead.
    """
    monkeypatch.setattr(own_checks_module, "Bounds", partial(Bounds, processes=40))
    check, _ = said(bench, FORKS)
    if (group := ProcessGroup.new(1)) is None:
        assert "it had more than 40 processes" in check.detail
        return
    group.leave()
    assert check.passed, check.detail
    assert isinstance(check.figure, int)
    assert 30 < check.figure < 40


def test_one_that_has_too_many_is_ended_where_the_kernel_does_not_bound_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, and fails with the reason; nobody of its session is left."""
    monkeypatch.setattr(ProcessGroup, "new", lambda _: None)
    monkeypatch.setattr(own_checks_module, "Bounds", partial(Bounds, processes=40))
    check, _ = said(bench, FORKS)
    assert (check.passed, check.figure) == (False, "certification.own-check-failed")
    assert "it had more than 40 processes" in check.detail
    session = int(check.detail.rpartition("session ")[2])
    assert not [one for one in psutil.process_iter() if _session_of(one) == session]


def _session_of(process: psutil.Process) -> int:
    """The session of a process that has not ended; 0 of others."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        return 0 if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    return 0


@pytest.mark.parametrize("level", ["best-effort", "off"])
def test_the_operators_word_on_confinement_holds_for_it(bench: Bench, tmp_path: Path, level: confine.Level) -> None:
    """Where the setting says that nothing is confined, neither is a check: both are shut in by the same code."""
    secret = tmp_path / "beside"
    secret.write_text("read")
    program = (
        SPEAKS
        + f"""
try:
    told = open({str(secret)!r}).read()
except OSError as error:
    told = type(error).__name__
verdict(passed=True, figure=0, detail=told)
"""
    )
    assert bench.environment is not None
    assert bench.channel is not None
    before = bench.environment
    bench.environment = replace(before, confinement=level)
    try:
        check, _ = said(bench, program)
    finally:
        bench.environment = before
    is_kept_out = level == "best-effort" and "files" in bench.channel.hello.confined
    assert check.detail == ("PermissionError" if is_kept_out else "read")


def test_where_not_all_can_be_done_that_is_required_it_does_not_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting `require` holds for checks as for hosts, and the check says which part is lacking."""
    word = confined_command(Path("/"), [], "require")
    lacks = "import sys; print('it cannot be started confined: files: none', file=sys.stderr); sys.exit(74)"
    asked: list[confine.Level] = []

    def command(_: Path, __: object, level: confine.Level) -> tuple[str, ...]:
        asked.append(level)
        return (word[0], "-c", lacks)

    assert bench.environment is not None
    before = bench.environment
    bench.environment = replace(before, confinement="require")
    monkeypatch.setattr(own_programs, "confined_command", command)
    try:
        check, _ = said(bench, SPEAKS + "verdict(passed=True, figure=0)")
    finally:
        bench.environment = before
    assert asked == ["require"]
    assert not check.passed
    assert "it cannot be started confined: files: none" in check.detail


def test_a_program_that_is_no_python(bench: Bench) -> None:
    """Any program of the bundle that may be executed can be a check; one that may not is told."""
    assert bench.folder is not None
    program = bench.folder / "check.sh"
    program.write_text('#!/bin/sh\nread first\necho \'{"passed": true, "figure": 2, "detail": "by a shell"}\'\n')
    with ExitStack() as stack:
        refused = put(OwnCheck("probe", run="check.sh"), bench, stack)
        assert "neither a Python file (.py) nor a program that may be executed" in refused.detail
        program.chmod(0o755)
        check = put(OwnCheck("probe", run="check.sh"), bench, stack)
        assert (check.passed, check.figure, check.limit, check.detail) == (True, 2, "its own", "by a shell")
        outside = put(OwnCheck("probe", run="../../escape.py"), bench, stack)
        assert "is not in the bundle" in outside.detail


def test_options_that_mean_nothing_are_refused() -> None:
    """A standard cannot be read with them."""
    probe = OwnCheck("probe")
    assert probe.name == f"{OWN}probe"
    assert option_problems(probe, {"given": {"depth": 3}, "seconds": 5}) == []
    assert option_problems(probe, {"seconds": 0.0, "memory_mib": 1, "output_mib": 0}) == [
        "seconds is above 0 and at most 3600", "memory_mib is 16 to 1,048,576", "output_mib is 1 to 1,024",
    ]  # fmt: skip
