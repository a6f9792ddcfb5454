"""Models that are programs of their own: both wires, every way to go wrong, and nobody left when anybody ends."""

import contextlib
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hosts_by_hand import ONE_IN, ONE_OUT, Hosts, floats, fp64, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muster.runtimes.channel import Answer, Channel
from muster.runtimes.errors import HostGone, HostLoadFailed, OrderBroken, TableRefused
from muster.runtimes.order import LoadOrder, order_of
from muster.runtimes.parent import Limits
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster_host import frames, programs
from muster_host.fields import FLOATS, ITEM_BYTES, STRUCT_CODES, text_bytes
from muster_host.outputs import Column
from muster_host.program_model import PROGRAM_GONE
from muster_host.programs import ProgramGone
from muster_host.promises import OutputBroken
from muster_host.raised import ModelRaised, ProgramFailed
from muster_host.server import LOAD_FAILED
from program_driver import driven

pytest_plugins = ["hosts_by_hand"]

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[2] / "examples" / "languages" / "any"
ODD = HERE / "odd_program.py"
ECHO = """
    import os, sys, time

    def predict(columns, rows):
        for act in columns.get("act", ()):
            if act == "raise":
                raise ValueError("asked to")
            if act == "print":
                print("something for the log", flush=True)
            if act == "exit":
                os._exit(3)
            if act and act.startswith("allocate:"):
                kept = bytearray(int(act.partition(":")[2]) << 20)
        return {"y_" + name: values for name, values in columns.items()}
"""
WIRES = ("binary", "lines")
HOSTS = {"binary": "host.py", "lines": "lines_host.py"}
ACT = {"name": "act", "datatype": "BYTES"}
ONE = Contract(inputs=(Field("x", Datatype.FP64),), outputs=(Field("y", Datatype.FP64),))


def order(
    argv: Sequence[str], folder: Path, wire: str = "binary", inputs: Any = ONE_IN, outputs: Any = ONE_OUT, **more: Any
) -> LoadOrder:
    """The load order of a program."""
    return order_of(
        {
            "bundle": str(folder),
            "runtime": {"kind": "command", "toolchain": "python-3.11.7", "entry": "model.any", **more},
            "contract": {"inputs": list(inputs), "outputs": list(outputs)},
            "program": {"argv": list(argv), "variables": {"OWN": "yes"}, "environment": "/env", "wire": wire},
        }
    )


def odd(how: str, folder: Path, **more: Any) -> LoadOrder:
    """The order of a program that misbehaves; it lies in the bundle, for a host reads nothing else."""
    shutil.copy(ODD, folder)
    return order([sys.executable, "-I", str(folder / ODD.name), how], folder, **more)


def echoes(folder: Path, wire: str, inputs: Sequence[dict[str, Any]]) -> LoadOrder:
    """The order of a program that gives back what it gets, each output named `y_` and the input."""
    (folder / "model.py").write_text(textwrap.dedent(ECHO))
    for name in HOSTS.values():
        (folder / name).write_text((EXAMPLES / name).read_text())
    outputs = [{**field, "name": "y_" + field["name"]} for field in inputs]
    return order([sys.executable, "-B", HOSTS[wire]], folder, wire, inputs, outputs)


def texts(*values: str) -> frames.Parts:
    """A column of BYTES."""
    return text_bytes(list(values)), None


def is_alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def program_of(pid: int) -> int:
    """The one process that a host has started."""
    (found,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(found)


def scratch_of(host: int) -> Path:
    """Where the program of a host is told to put temporary files."""
    told = Path(f"/proc/{program_of(host)}/environ").read_bytes().split(b"\0")
    (folder,) = (Path(os.fsdecode(entry[len(b"TMPDIR=") :])) for entry in told if entry.startswith(b"TMPDIR="))
    return folder


# What it answers.


@pytest.mark.parametrize("wire", WIRES)
def test_a_program_answers_like_any_model(hosts: Hosts, tmp_path: Path, wire: str) -> None:
    """Its host says what language it is; text, nulls and no rows at all go there and back."""
    fields = [
        {"name": "x", "datatype": "INT64", "nullable": True},
        {"name": "t", "datatype": "BYTES", "nullable": True},
    ]
    channel = hosts.host(echoes(tmp_path, wire, fields))
    assert (channel.hello.language, channel.hello.toolchain) == ("python", "python-3.11.7")
    big = 2**63 - 1
    columns: list[frames.Parts] = [
        (struct.pack("<3q", big, 0, -big - 1), b"\0\1\0"),
        (text_bytes(["größer \U0001f600", "", ""]), b"\0\0\1"),
    ]
    answer = channel.predict([1, 2], columns)
    assert answer.statuses == b"\0\0"
    assert [(bytes(data), bytes(nulls or b"")) for data, nulls in answer.columns] == columns
    empty = channel.predict([0], [(b"", None), (b"", None)])
    assert (empty.rows, [bytes(data) for data, _ in empty.columns]) == (0, [b"", b""])


def test_a_program_has_a_folder_of_its_own_for_temporary_files(hosts: Hosts, tmp_path: Path) -> None:
    """It may write there and nowhere else, and whoever ended the host, however it ended, takes the folder away."""
    channel = hosts.host(echoes(tmp_path, "lines", ONE_IN))
    folder = scratch_of(channel.hello.pid)
    assert folder.is_dir()
    os.kill(channel.hello.pid, signal.SIGKILL)
    until(lambda: not folder.exists(), "the folder is taken away")


ALL_FIELDS: tuple[dict[str, Any], ...] = tuple(
    {"name": f"{shape}_{datatype}".lower(), "datatype": str(datatype), "shape": [2] if shape == "t" else [], "nullable": shape != "x"}
    for datatype in Datatype
    for shape in ("x", "n", "t")
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, list[frames.Parts]]:
    """Rows and columns of ALL_FIELDS; floats are any bits that are finite, in nullable tensors NaN of any kind, too."""
    rows = draw(st.integers(0, 4))
    columns: list[frames.Parts] = []
    for field in ALL_FIELDS:
        elements = 2 if field["shape"] else 1
        nulls = (
            bytes(draw(st.lists(st.sampled_from((0, 0, 1)), min_size=rows, max_size=rows)))
            if field["nullable"]
            else b""
        )
        values = [draw(_bits(field)) for _ in range(rows * elements)]
        kept = [b"" if nulls and nulls[at // elements] else value for at, value in enumerate(values)]
        if field["datatype"] == "BYTES":
            data = b"".join(struct.pack("<I", len(text)) + text for text in kept)
        else:
            data = b"".join(value or bytes(ITEM_BYTES[field["datatype"]]) for value in kept)
        columns.append((data, nulls if any(nulls) else None))
    return rows, columns


def _bits(field: dict[str, Any]) -> st.SearchStrategy[bytes]:
    datatype, size = field["datatype"], ITEM_BYTES.get(field["datatype"], 0)
    if datatype == "BYTES":
        return st.text(max_size=5).map(lambda text: text.encode())
    if datatype == "BOOL":
        return st.sampled_from((b"\0", b"\1"))
    anything = st.binary(min_size=size, max_size=size)
    if datatype not in FLOATS:
        return anything
    edges = st.sampled_from([-0.0, 5e-324, 0.1]).map(lambda value: struct.pack("<" + STRUCT_CODES[datatype], value))

    def passes(bits: bytes) -> bool:
        (value,) = struct.unpack("<" + STRUCT_CODES[datatype], bits)
        return math.isfinite(value) or (math.isnan(value) and bool(field["shape"]))

    return (anything | edges).filter(passes)


MANY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def _all_contract() -> Contract:
    inputs = tuple(
        Field(field["name"], Datatype(field["datatype"]), tuple(field["shape"]), nullable=field["nullable"])
        for field in ALL_FIELDS
    )
    outputs = tuple(Field("y_" + one.name, one.datatype, one.shape, nullable=one.nullable) for one in inputs)
    return Contract(inputs=inputs, outputs=outputs)


def _as_bytes(columns: Sequence[Any]) -> list[tuple[bytes, bytes]]:
    return [(bytes(data), bytes(nulls or b"")) for data, nulls in columns]


def test_every_bit_survives_the_binary_wire() -> None:
    """All thirteen datatypes, alone, nullable and as tensors, come back bit for bit, NaN with its payload."""
    with driven([sys.executable, "-I", str(ODD), "echo"], _all_contract()) as ask:

        @MANY
        @given(tables())
        def there_and_back(table: tuple[int, list[frames.Parts]]) -> None:
            assert _as_bytes(ask(*table)) == _as_bytes(table[1])

        there_and_back()


def test_every_value_survives_the_wire_of_lines(tmp_path: Path) -> None:
    """The same over JSON lines; only which NaN it was is lost."""
    echoes(tmp_path, "lines", ALL_FIELDS)

    with driven([sys.executable, "-B", "lines_host.py"], _all_contract(), wire="lines", folder=tmp_path) as ask:

        @MANY
        @given(tables())
        def there_and_back(table: tuple[int, list[frames.Parts]]) -> None:
            for field, went, came in zip(ALL_FIELDS, _as_bytes(table[1]), _as_bytes(ask(*table)), strict=True):
                assert came[1] == went[1], field
                if came[0] != went[0]:
                    code = STRUCT_CODES[field["datatype"]]
                    for one, other in zip(
                        struct.iter_unpack("<" + code, went[0]), struct.iter_unpack("<" + code, came[0]), strict=True
                    ):
                        assert one == other or (math.isnan(one[0]) and math.isnan(other[0])), field

        there_and_back()


@pytest.mark.parametrize("wire", WIRES)
def test_noise_is_log(hosts: Hosts, tmp_path: Path, wire: str) -> None:
    """What a model prints lands in the host's log and breaks no answer."""
    channel = hosts.host(echoes(tmp_path, wire, [ACT]))
    for _ in range(3):
        assert channel.predict([1], [texts("print")]).statuses == b"\0"
    assert hosts.log.read_text().count("something for the log") == 3


def test_a_request_that_fails_costs_itself_alone(hosts: Hosts, tmp_path: Path) -> None:
    """Each request of a batch that failed is asked alone; the message is the program's own."""
    channel = hosts.host(echoes(tmp_path, "binary", [ACT]))
    answer = channel.predict([1, 1, 1], [texts("a", "raise", "b")])
    assert (answer.statuses, answer.alone, answer.rows) == (b"\0\1\0", True, 2)
    assert (answer.errors[1].code, answer.errors[1].message) == ("model-raised", "asked to")
    assert bytes(answer.columns[0][0]) == text_bytes(["a", "b"])


def test_lines_say_their_errors_too(tmp_path: Path) -> None:
    """An error on the wire of lines is the model's, and the program goes on."""
    (tmp_path / "program.py").write_text(
        textwrap.dedent("""
        import json, sys
        for line in sys.stdin:
            asked = json.loads(line)
            if "load" in asked:
                print("ready soon"); print('{"loaded": {}}', flush=True)
            elif asked["inputs"][0]["data"][0] < 0:
                print(json.dumps({"id": asked["id"], "error": "below zero"}), flush=True)
            else:
                print(json.dumps({"id": asked["id"], "outputs": [{"name": "y", "data": asked["inputs"][0]["data"]}]}), flush=True)
        """)
    )
    with driven([sys.executable, "program.py"], ONE, wire="lines", folder=tmp_path) as ask:
        with pytest.raises(ModelRaised, match=r"^below zero$"):
            ask(1, [fp64(-1)])
        assert ask(1, [fp64(0.1)]) == [(struct.pack("<d", 0.1), None)]


def test_a_program_that_answers_early_meets_nobody_waiting() -> None:
    """It may say its answer before it has read the question, both bigger than any pipe."""
    count = 1 << 20
    with driven([sys.executable, "-I", str(ODD), "early"], ONE) as ask:
        for _ in range(2):
            ((data, nulls),) = ask(count, [(bytes(8 * count), None)])
            assert (len(data), nulls) == (8 * count, None)


def test_a_batch_of_64_mib(hosts: Hosts, tmp_path: Path) -> None:
    """Eight million rows go there and back, bit for bit."""
    channel = hosts.host(odd("echo", tmp_path))
    data = os.urandom(1 << 16).replace(b"\xff", b"\x3f").replace(b"\x7f", b"\x3f") * (1 << 10)
    answer = channel.predict([len(data) // 8], [(data, None)], 60)
    assert answer.statuses == b"\0"
    assert bytes(answer.columns[0][0]) == data


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("raises", "model-raised", "I am no good at this: é"),
        ("rows:2", "output-broken", "the model answered 2 rows; 1 rows went in"),
        ("columns:0", "output-broken", "answered with 0 outputs; its contract has 1"),
        ("columns:2", "output-broken", "answered with 2 outputs; its contract has 1"),
    ],
)
def test_wrong_answers_are_told(hosts: Hosts, tmp_path: Path, how: str, code: str, said: str) -> None:
    """An answer that does not fit the contract is the request's error, and the program goes on."""
    channel = hosts.host(odd(how, tmp_path))
    for _ in range(2):
        error = channel.predict([1], [fp64(1)]).errors[0]
        assert error.code == code
        assert said in error.message


@pytest.mark.parametrize(
    ("field", "column", "said"),
    [
        ({"datatype": "FP64"}, (struct.pack("<d", math.inf), None), "is inf in row 0"),
        ({"datatype": "FP64"}, (struct.pack("<d", math.nan), None), "is nan in row 0 and is not nullable"),
        ({"datatype": "FP64", "declared": {"maximum": 1}}, (struct.pack("<d", 2), None), "declares at most 1"),
        ({"datatype": "INT8", "declared": {"categories": [1]}}, (b"\2", None), "one of 1 declared categories"),
        ({"datatype": "BYTES", "declared": {"categories": ["a"]}}, (text_bytes(["b"]), None), "one of 1 declared"),
    ],
)
@pytest.mark.parametrize("rows", [1, 40])
def test_promises_are_kept(tmp_path: Path, field: dict[str, Any], column: Column, said: str, rows: int) -> None:
    """What an output may not be is refused, of few rows and of many."""
    del tmp_path
    declared = Contract(
        inputs=(Field("x", Datatype(field["datatype"])),),
        outputs=(_field({"name": "y", **field}),),
    )
    with driven([sys.executable, "-I", str(ODD), "echo"], declared) as ask, pytest.raises(OutputBroken, match=said):
        ask(rows, [(column[0] * rows, None)])


def _field(document: dict[str, Any]) -> Field:
    import msgspec  # noqa: PLC0415 - here alone

    return msgspec.convert(document, Field)


@pytest.mark.parametrize("rows", [2, 40])
def test_nan_is_null_and_the_place_of_a_null_is_empty(rows: int) -> None:
    """In a nullable scalar NaN becomes a mark; what a program left where it says null does not get out."""
    contract = Contract(
        inputs=(Field("x", Datatype.FP64, nullable=True), Field("n", Datatype.INT32, nullable=True)),
        outputs=(
            Field("y", Datatype.FP64, nullable=True),
            _field({"name": "m", "datatype": "INT32", "nullable": True, "declared": {"minimum": 1}}),
        ),
    )
    half = rows // 2
    with driven([sys.executable, "-I", str(ODD), "echo"], contract) as ask:
        columns: list[frames.Parts] = [
            (struct.pack("<2d", math.nan, 1.5) * half, None),
            (struct.pack("<2i", 7, -9) * half, b"\0\1" * half),
        ]
        assert ask(rows, columns) == [
            (struct.pack("<2d", 0, 1.5) * half, b"\1\0" * half),
            (struct.pack("<2i", 7, 0) * half, b"\0\1" * half),
        ]


def test_what_is_no_table_of_the_contract_never_reaches_the_program(hosts: Hosts, tmp_path: Path) -> None:
    """Wrong columns are refused by the host; the program is not asked."""
    counted = tmp_path / "counted"
    channel = hosts.host(odd(f"counts:{counted}", tmp_path))
    for columns in ([], [fp64(1), fp64(1)], [(b"1234", None)], [(struct.pack("<d", 1), b"\1")]):
        with pytest.raises(TableRefused):
            channel.predict([1], columns)
    assert not counted.exists()


# What goes wrong.


@pytest.mark.parametrize("how", ["nonsense", "other-sequence", "half", "twice", "too-large", "other-kind"])
def test_a_program_that_talks_nonsense_is_replaced(hosts: Hosts, tmp_path: Path, how: str) -> None:
    """Its host ends with status 72 and says why in the log; whoever asked learns that nobody is there."""
    channel = hosts.host(odd(how, tmp_path))
    if how == "twice":
        with contextlib.suppress(HostGone):  # the first answer may have been read alone
            channel.predict([1], [fp64(1)])
    with pytest.raises(HostGone):
        channel.predict([1], [fp64(1)])
    ended = until(lambda: hosts.exits, "the host ends")[0]
    assert (ended.status, ended.signal) == (PROGRAM_GONE, None)
    assert "of no use any more" in hosts.log.read_text()


def test_a_line_that_is_no_answer_ends_the_program(hosts: Hosts, tmp_path: Path) -> None:
    """On the wire of lines, too: an object that nobody asked for."""
    (tmp_path / "program.py").write_text(
        "import sys\nsys.stdin.readline()\nprint('{\"loaded\": {}}', flush=True)\nsys.stdin.readline()\n"
        'print(\'{"id": "9", "outputs": []}\', flush=True)\nsys.stdin.readline()\n'
    )
    channel = hosts.host(order([sys.executable, "program.py"], tmp_path, "lines"))
    with pytest.raises(HostGone):
        channel.predict([1], [fp64(1)])
    assert until(lambda: hosts.exits, "the host ends")[0].status == PROGRAM_GONE
    assert "answered question '9'; 1 was asked" in hosts.log.read_text()


@pytest.mark.parametrize("wire", WIRES)
def test_a_program_that_ends_unasked_takes_its_host_along_at_once(hosts: Hosts, tmp_path: Path, wire: str) -> None:
    """Killed while idle, so that the next host takes over before anybody asks; nobody hears of a second answer."""
    parent = hosts.parent()
    parent.load("k", echoes(tmp_path, wire, [ACT]))
    _, pid, path = hosts.fork(parent, "k")
    hosts.channel(path).predict([1], [texts("")])
    os.kill(program_of(pid), signal.SIGKILL)
    ended = until(lambda: hosts.exits, "the host ends")[0]
    assert (ended.pid, ended.status) == (pid, PROGRAM_GONE)
    assert "signal 9" in hosts.log.read_text()
    assert hosts.channel(hosts.fork(parent, "k")[2]).predict([1], [texts("")]).statuses == b"\0"


def test_killed_while_it_computes(hosts: Hosts, tmp_path: Path) -> None:
    """The question has no answer then; asked again of the spare it has one, and just one."""
    parent = hosts.parent()
    parent.load("busy", odd("sleeps", tmp_path))
    parent.load("spare", odd("counts:counted", tmp_path))
    _, pid, path = hosts.fork(parent, "busy")
    _, spared, spare_path = hosts.fork(parent, "spare")
    spare = hosts.channel(spare_path)
    counted = scratch_of(spared) / "counted"
    channel = hosts.channel(path)
    told: list[BaseException] = []

    def ask() -> None:
        try:
            channel.predict([1], [fp64(60_000)])
        except HostGone as error:
            told.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: Path(f"/proc/{program_of(pid)}/wchan").exists(), "it runs")
    os.kill(program_of(pid), signal.SIGKILL)
    asking.join(10)
    assert len(told) == 1
    assert until(lambda: hosts.exits, "the host ends")[0].status == PROGRAM_GONE
    assert floats(spare.predict([1], [fp64(5)]).columns[0]) == [5]
    assert len(counted.read_text().splitlines()) == 1


def test_an_exit_in_the_middle_of_a_request(hosts: Hosts, tmp_path: Path) -> None:
    """A model that ends its process ends its host, and the log says how."""
    channel = hosts.host(echoes(tmp_path, "binary", [ACT]))
    with pytest.raises(HostGone):
        channel.predict([1], [texts("exit")])
    assert until(lambda: hosts.exits, "the host ends")[0].status == PROGRAM_GONE
    assert "exit status 3" in hosts.log.read_text()


def test_a_killed_host_leaves_no_program(hosts: Hosts, tmp_path: Path) -> None:
    """Whatever ends the host ends the program."""
    parent = hosts.parent()
    parent.load("k", odd("echo", tmp_path))
    _, pid, path = hosts.fork(parent, "k")
    hosts.channel(path).predict([1], [fp64(1)])
    program = program_of(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(program), "the program ends")


def test_a_killed_parent_leaves_a_host_that_works_and_stops(hosts: Hosts, tmp_path: Path) -> None:
    """Host and program go on without the parent; a host that is told to stop takes its program along."""
    parent = hosts.parent()
    parent.load("k", odd("echo", tmp_path))
    _, pid, path = hosts.fork(parent, "k")
    channel = hosts.channel(path)
    assert floats(channel.predict([1], [fp64(1)]).columns[0]) == [1]
    program = program_of(pid)
    assert parent.pid is not None
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: parent.pid is None, "the parent is gone")
    assert floats(channel.predict([1], [fp64(2)]).columns[0]) == [2]
    channel.stop()
    until(lambda: not is_alive(program) and not is_alive(pid), "both end")


def test_nobody_outlives_the_starter(tmp_path: Path) -> None:
    """A starter that is killed leaves neither parent nor host nor program."""
    script = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from muster.runtimes.channel import Channel
        from muster.runtimes.parent import Parent
        folder = Path(sys.argv[1])
        order = {{
            "bundle": str(folder), "runtime": {{"kind": "command"}},
            "contract": {{"inputs": [{{"name": "x", "datatype": "FP64"}}], "outputs": [{{"name": "y", "datatype": "FP64"}}]}},
            "program": {{"argv": [sys.executable, "-I", {ODD.name!r}, "echo"]}},
        }}
        parent = Parent(Path(sys.executable), "sha256:0", folder / "log")
        parent.load("k", order)
        pid = parent.fork("k", "h", folder / "s")
        Channel(folder / "s", 20)
        print(parent.pid, pid, flush=True)
        time.sleep(600)
    """)
    shutil.copy(ODD, tmp_path)
    starter = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    parent, host = map(int, starter.stdout.readline().split())
    family = [parent, host, program_of(host)]
    assert all(map(is_alive, family))
    starter.kill()
    starter.wait()
    starter.stdout.close()
    until(lambda: not any(map(is_alive, family)), "all of them end")


def test_stop_while_it_computes(hosts: Hosts, tmp_path: Path) -> None:
    """What has arrived is answered, then host and program end, the host with status 0."""
    parent = hosts.parent()
    parent.load("k", odd("sleeps", tmp_path))
    _, pid, path = hosts.fork(parent, "k")
    asker, stopper = hosts.channel(path), hosts.channel(path)
    program = program_of(pid)
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(asker.predict([1], [fp64(300)])))
    asking.start()
    time.sleep(0.1)
    stopper.stop()
    asking.join(10)
    assert floats(answers[0].columns[0]) == [300]
    until(lambda: not is_alive(program), "the program ends")
    assert until(lambda: hosts.exits, "the host ends")[0].status == 0


def test_a_program_that_does_not_stop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, its wire is closed, and after its time it is killed."""
    monkeypatch.setattr(programs, "_STOP_S", 0.2)
    begun = time.monotonic()
    with driven([sys.executable, "-I", str(ODD), "stubborn"], ONE) as ask:
        ask(1, [fp64(1)])
    assert time.monotonic() - begun < 10


def test_a_limit_on_memory_is_the_programs_too(hosts: Hosts, tmp_path: Path) -> None:
    """It may not take more than its host may; what it takes below that is its own affair."""
    channel = hosts.host(echoes(tmp_path, "binary", [ACT]), Limits(memory_bytes=400_000_000))
    assert channel.predict([1], [texts("allocate:100")]).statuses == b"\0"
    assert channel.predict([1], [texts("allocate:900")]).statuses == b"\1"
    assert channel.predict([1], [texts("")]).statuses == b"\0"


# How it starts.


def told_by(error: BaseException) -> dict[str, Any]:
    """What the program `tells` found."""
    text = str(error)
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
    return found


def test_what_a_program_is_told(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder, its contract, its share of the machine; and nothing of Muster's own environment."""
    monkeypatch.setenv("MUSTER_TOKEN", "secret")
    parent = hosts.parent(threads=2)
    wanted = order(
        [sys.executable, "-I", str(shutil.copy(ODD, tmp_path)), "tells", "{memory_mib}", "{threads}"],
        tmp_path,
        inputs=[{"name": "x", "datatype": "FP64", "shape": [3], "nullable": True, "unit": "m"}],
    )
    parent.load("k", {**wanted.document(), "threads": 2})
    _, _, path = hosts.fork(parent, "k", Limits(memory_bytes=1 << 30))
    with pytest.raises(HostLoadFailed) as caught:
        Channel(path, 20)
    told = told_by(caught.value)
    assert told["argv"][2:] == ["614", "2"]
    assert told["cwd"] == str(tmp_path)
    assert told["load"] == {
        "protocol": 1, "bundle": str(tmp_path), "environment": "/env", "entry": "model.any", "threads": 2,
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [3], "nullable": True}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [], "nullable": False}],
    }  # fmt: skip
    variables = told["variables"]
    assert "MUSTER_TOKEN" not in variables
    assert {name: value for name, value in variables.items() if name.startswith("MUSTER_")} == {
        "MUSTER_BUNDLE": str(tmp_path), "MUSTER_ENVIRONMENT": "/env", "MUSTER_THREADS": "2", "MUSTER_WIRE": "binary",
    }  # fmt: skip
    assert (variables["OWN"], variables["GOMAXPROCS"], variables["GOMEMLIMIT"]) == ("yes", "2", "819MiB")
    assert variables["OMP_NUM_THREADS"] == "2"


def test_the_bundle_decides_its_heap(hosts: Hosts, tmp_path: Path) -> None:
    """`memory_mib` of muster.toml wins over the share of the limit."""
    parent = hosts.parent()
    parent.load(
        "k",
        order(
            [sys.executable, "-I", str(shutil.copy(ODD, tmp_path)), "tells", "{memory_mib}"], tmp_path, memory_mib=77
        ),
    )
    with pytest.raises(HostLoadFailed) as caught:
        Channel(hosts.fork(parent, "k")[2], 20)
    assert told_by(caught.value)["argv"][2:] == ["77"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["{python}", "-I", ODD.name, "refuses"], "there is no model here"),
        (["{python}", "-c", "import sys; print('I feel ill'); sys.exit(4)"], "(exit status 4) before it had loaded"),
        (["{python}", "-c", "import sys; print('I feel ill'); sys.exit(4)"], "I feel ill"),
        (["{python}", "-c", "import os; os.write(4, b'x' * 99)"], "no frame of host protocol v1"),
        (["{python}", "-c", "import os; os.write(4, b'\\0' * 4 + b'\\1\\1' + b'\\0' * 10)"], "began with hello"),
    ],
)
def test_a_program_that_cannot_load_says_why(hosts: Hosts, tmp_path: Path, argv: list[str], said: str) -> None:
    """Whoever connects is told, with the end of what it has printed; its host ends with status 73."""
    shutil.copy(ODD, tmp_path)
    parent = hosts.parent()
    parent.load("k", order([word.replace("{python}", sys.executable) for word in argv], tmp_path))
    _, _, path = hosts.fork(parent, "k")
    with pytest.raises(HostLoadFailed) as caught:
        Channel(path, 20)
    assert said in caught.value.message
    assert until(lambda: hosts.exits, "the host ends")[0].status == LOAD_FAILED


@pytest.mark.parametrize("wire", WIRES)
def test_a_program_that_never_says_anything_is_given_up(tmp_path: Path, wire: str) -> None:
    """After its time it is ended."""
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    with (
        pytest.raises(ProgramFailed, match="did not answer in time"),
        driven(argv, ONE, wire=wire, folder=tmp_path, load_s=0.3),
    ):
        pytest.fail("it has loaded")


def test_a_program_that_is_not_there_or_of_another_machine(hosts: Hosts, tmp_path: Path) -> None:
    """Told when it is to be loaded, with both machines by name."""
    parent = hosts.parent()
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HH", 2, 183) + bytes(40))
    for path, said in (
        (tmp_path / "nothing", "is not there"),
        (foreign, "is not executable"),
        (foreign, "is built for aarch64, this machine is"),
    ):
        with pytest.raises(HostLoadFailed, match=said):
            parent.load("k", order([str(path)], tmp_path))
        if path == foreign:
            foreign.chmod(0o755)


def test_an_order_without_a_program(hosts: Hosts, tmp_path: Path) -> None:
    """A kind that needs a program, and an order that does not say which, are refused as an order."""
    parent = hosts.parent()
    document = odd("echo", tmp_path).document()
    del document["program"]
    with pytest.raises(OrderBroken, match="does not say how its program is started"):
        parent.load("k", document)
    with pytest.raises(OrderBroken, match="binary and lines"):
        parent.load("k", {**document, "program": {"argv": [sys.executable], "wire": "pigeon"}})


@pytest.mark.parametrize("wire", WIRES)
def test_the_example_of_any_language(wire: str) -> None:
    """The hosts that the how-to shows answer, nulls as nulls."""
    contract = Contract(
        inputs=(Field("tenure", Datatype.FP64, nullable=True), Field("contract", Datatype.BYTES)),
        outputs=(Field("churn_probability", Datatype.FP64, nullable=True),),
    )
    with driven([sys.executable, "-B", HOSTS[wire]], contract, wire=wire, folder=EXAMPLES) as ask:
        ((data, nulls),) = ask(3, [(struct.pack("<3d", 1, 40, 0), b"\0\0\1"), texts("Month-to-month", "One year", "")])
        assert nulls == b"\0\0\1"
        first, second, third = struct.unpack("<3d", data)
        assert 0.8 < first < 0.9
        assert 0.05 < second < 0.15
        assert third == 0


@pytest.mark.parametrize("name", ["host.py", "lines_host.py", "model.py"])
def test_the_page_shows_what_runs(name: str) -> None:
    """The how-to holds the example's files as they are."""
    page = EXAMPLES.parents[2] / "docs" / "how-to" / "bring-a-model" / "any-language.md"
    assert (EXAMPLES / name).read_text().strip() in page.read_text()


def test_a_program_that_ends_in_the_middle(tmp_path: Path) -> None:
    """Without a host around it: the driver says that it is gone."""
    with driven([sys.executable, "-I", str(ODD), "half"], ONE, folder=tmp_path) as ask, pytest.raises(ProgramGone):
        ask(1, [fp64(1)])
