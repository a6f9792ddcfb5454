"""Models that dial out, read what is not theirs and fork without end, in several languages, and hosts that keep them from it."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hosts_by_hand import ONE_IN, BundleMaker, Hosts, floats, fp64, until

from muster.runtimes import process_groups
from muster.runtimes.confinement import Confinement, confined_command
from muster.runtimes.errors import HostGone, HostLoadFailed
from muster.runtimes.order import LoadOrder, order_of
from muster.runtimes.parent import Limits
from muster_host import confine, landlock, syscalls
from muster_host.fields import Field

pytest_plugins = ["hosts_by_hand"]
pytestmark = pytest.mark.skipif(
    landlock.abi() < 6 or syscalls.machine() is None, reason="this kernel cannot confine hosts"
)

#: More children than the host may have processes.
CHILDREN, BOUND = 80, 48
TOLD = tuple({"name": name, "datatype": "BYTES"} for name in ("file", "tcp", "forks"))
PYTHON = """
    import os, signal, socket

    def said(act):
        try:
            return act()
        except OSError as error:
            return error.strerror

    def read():
        with open("@FILE@") as stream:
            return stream.read()

    def dial():
        with socket.create_connection(("127.0.0.1", @PORT@), 1):
            return "connected"

    def fork():
        for number in range(@CHILDREN@):
            try:
                if os.fork() == 0:
                    signal.pause()
            except OSError:
                return str(number)
        return "@CHILDREN@"

    class Model:
        def predict(self, columns):
            return {"file": [said(read)], "tcp": [said(dial)], "forks": [fork()]}
"""
NODE = """
    const fs = require("fs"), net = require("net"), {spawn} = require("child_process");
    const dial = () => new Promise((told) => {
      const socket = net.connect(@PORT@, "127.0.0.1");
      socket.on("connect", () => { socket.destroy(); told("connected"); });
      socket.on("error", (error) => told(error.code));
    });
    const read = () => { try { return fs.readFileSync("@FILE@", "utf8"); } catch (error) { return error.code; } };
    const fork = () => {
      let born = 0;
      for (let number = 0; number < @CHILDREN@; number++) {
        try {
          const child = spawn("/bin/sleep", ["60"], {stdio: "ignore"});
          child.on("error", () => {});
          if (child.pid) born++;
        } catch (error) { break; }
      }
      return String(born);
    };
    require("readline").createInterface({input: process.stdin}).on("line", async (line) => {
      const asked = JSON.parse(line);
      if (asked.load) { console.log(JSON.stringify({loaded: {language: "node"}})); return; }
      const outputs = {file: read(), tcp: await dial(), forks: fork()};
      console.log(JSON.stringify({id: asked.id, outputs: Object.entries(outputs).map(([name, data]) => ({name, data: [data]}))}));
    });
"""
R = """
    input <- file("stdin", "r")
    told <- function(act) tryCatch(suppressWarnings(act()), error = function(problem) "refused")
    read <- function() readLines("@FILE@", warn = FALSE)[1]
    dial <- function() { close(socketConnection("127.0.0.1", @PORT@, timeout = 1, open = "r+")); "connected" }
    fork <- function() {
      for (number in 0:(@CHILDREN@ - 1)) {
        child <- tryCatch(suppressWarnings(parallel:::mcfork()), error = function(problem) NULL)
        if (is.null(child)) return(as.character(number))
        if (inherits(child, "masterProcess")) Sys.sleep(60)
      }
      "@CHILDREN@"
    }
    while (length(line <- readLines(input, n = 1))) {
      if (grepl('"load"', line, fixed = TRUE)) { cat('{"loaded": {"language": "r"}}\\n'); flush(stdout()); next }
      id <- sub('.*"id" *: *([^,}]*).*', "\\\\1", line)
      one <- function(name, text) sprintf('{"name": "%s", "data": ["%s"]}', name, text)
      outputs <- paste(one("file", told(read)), one("tcp", told(dial)), one("forks", fork()), sep = ", ")
      cat(sprintf('{"id": %s, "outputs": [%s]}\\n', id, outputs)); flush(stdout())
    }
"""
CPP = r"""
    #include <arpa/inet.h>
    #include <cerrno>
    #include <cstring>
    #include <fstream>
    #include <iostream>
    #include <string>
    #include <sys/socket.h>
    #include <unistd.h>

    std::string read_it() {
      std::ifstream stream("@FILE@");
      std::string text;
      return std::getline(stream, text) ? text : "refused";
    }
    std::string dial() {
      int sock = socket(AF_INET, SOCK_STREAM, 0);
      if (sock < 0) return std::strerror(errno);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(@PORT@);
      inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
      return connect(sock, reinterpret_cast<sockaddr*>(&address), sizeof address) ? std::strerror(errno) : "connected";
    }
    std::string born() {
      for (int number = 0; number < @CHILDREN@; number++) {
        pid_t pid = fork();
        if (pid < 0) return std::to_string(number);
        if (pid == 0) { pause(); _exit(0); }
      }
      return "@CHILDREN@";
    }
    int main() {
      for (std::string line; std::getline(std::cin, line);) {
        if (line.find("\"load\"") != std::string::npos) { std::cout << "{\"loaded\": {\"language\": \"cpp\"}}" << std::endl; continue; }
        auto at = line.find("\"id\"");
        at = line.find(':', at) + 1;
        auto id = line.substr(at, line.find_first_of(",}", at) - at);
        auto one = [](std::string name, std::string text) { return "{\"name\": \"" + name + "\", \"data\": [\"" + text + "\"]}"; };
        std::cout << "{\"id\": " << id << ", \"outputs\": [" << one("file", read_it()) << ", " << one("tcp", dial()) << ", "
                  << one("forks", born()) << "]}" << std::endl;
      }
    }
"""


@dataclass(frozen=True)
class Targets:
    """What is to be reached, and really there."""

    file: Path
    port: int

    def put_into(self, source: str) -> str:
        """The source of a model that tries to reach them."""
        known = {"@FILE@": str(self.file), "@PORT@": str(self.port), "@CHILDREN@": str(CHILDREN)}
        for name, value in known.items():
            source = source.replace(name, value)
        return textwrap.dedent(source)


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[Targets]:
    """A secret beside the bundles, and a server on this machine."""
    file = tmp_path / "admin.token"
    file.write_text("the secret\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Targets(file, server.getsockname()[1])


def program(argv: list[str], folder: Path) -> LoadOrder:
    """The order of a program that speaks lines."""
    return order_of(
        {
            "bundle": str(folder), "runtime": {"kind": "command"},
            "contract": {"inputs": list(ONE_IN), "outputs": list(TOLD)},
            "program": {"argv": argv, "wire": "lines"},
        }
    )  # fmt: skip


def python_model(folder: Path, targets: Targets, make_bundle: BundleMaker) -> LoadOrder:
    del folder
    return make_bundle(targets.put_into(PYTHON), outputs=TOLD)


def node_model(folder: Path, targets: Targets, make_bundle: BundleMaker) -> LoadOrder:
    del make_bundle
    (folder / "model.cjs").write_text(targets.put_into(NODE))
    return program([tool("node"), "model.cjs"], folder)


def r_model(folder: Path, targets: Targets, make_bundle: BundleMaker) -> LoadOrder:
    del make_bundle
    (folder / "model.R").write_text(targets.put_into(R))
    return program([tool("Rscript"), "model.R"], folder)


def cpp_model(folder: Path, targets: Targets, make_bundle: BundleMaker) -> LoadOrder:
    del make_bundle
    (folder / "model.cpp").write_text(targets.put_into(CPP))
    subprocess.run([tool("g++"), "-o", folder / "model", folder / "model.cpp"], check=True, timeout=60)
    return program([str(folder / "model")], folder)


def tool(name: str) -> str:
    """Where a program is; without it the test is left out, and fails in CI."""
    found = shutil.which(name)
    if found is None:
        told = f"there is no {name} here"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return found


LANGUAGES: dict[str, Callable[[Path, Targets, BundleMaker], LoadOrder]] = {
    "python": python_model,
    "node": node_model,
    "r": r_model,
    "cpp": cpp_model,
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """An empty folder beside the secret."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("level", ["require", "off"])
def test_a_model_reaches_nothing_that_is_not_its_own(
    hosts: Hosts, make_bundle: BundleMaker, bundle: Path, targets: Targets, language: str, level: confine.Level
) -> None:
    """In `predict` it reads a secret, dials a server and forks: all of it works unconfined, and none of it confined."""
    order = LANGUAGES[language](bundle, targets, make_bundle)
    channel = hosts.host(order, Limits(processes=BOUND), confinement=Confinement(level=level))
    answer = channel.predict([1], [fp64(0)])
    assert answer.errors == {}
    said = {
        name["name"]: Field(name).texts(memoryview(data), 1)[0]
        for name, (data, _) in zip(TOLD, answer.columns, strict=True)
    }
    if level == "off":
        assert said == {"file": said["file"], "tcp": "connected", "forks": str(CHILDREN)}
        assert said["file"].strip() == "the secret"
    else:
        assert said["file"].lower() in {"permission denied", "eacces", "refused"}
        assert said["tcp"].lower() in {"permission denied", "eacces", "refused"}
        assert 0 < int(said["forks"]) < BOUND
    assert set(channel.hello.confined) == (set() if level == "off" else set(confine.PARTS))
    assert channel.hello.unconfined == {}


def test_answers_do_not_depend_on_confinement(hosts: Hosts, make_bundle: BundleMaker) -> None:
    """An ordinary model gives the same bits, and has its temporary files and a home."""
    source = """
    import os, pathlib, tempfile
    import numpy as np

    class Model:
        def predict(self, columns):
            with tempfile.TemporaryFile() as stream:
                np.save(stream, np.asarray(columns["x"]))
                stream.seek(0)
                x = np.load(stream)
            pathlib.Path.home().joinpath("cache").write_text("kept")
            return np.linalg.solve(np.vander(np.arange(1.0, len(x) + 1)), np.sin(x) ** 3)
    """
    order = make_bundle(source)
    values = [0.1 * number for number in range(8)]
    levels: tuple[confine.Level, ...] = ("off", "require")
    (without, confined) = (
        hosts.host(order, confinement=Confinement(level=level), variables={"HOME": str(hosts.folder)}).predict(
            [8], [fp64(*values)]
        )
        for level in levels
    )
    assert bytes(without.columns[0][0]) == bytes(confined.columns[0][0])
    assert len(floats(confined.columns[0])) == len(values)


def test_a_host_reads_its_own_bundle_alone(hosts: Hosts, make_bundle: BundleMaker) -> None:
    """Of two bundles that share a parent neither host reads the other's, nor the sockets' folder, nor writes into its own."""
    source = """
    import os
    class Model:
        def predict(self, columns):
            found = []
            for act in (lambda: open(OTHER).read(), lambda: os.listdir(SOCKETS), lambda: open("new", "w"), lambda: open(OWN).read()):
                try:
                    act()
                    found.append(1.0)
                except PermissionError:
                    found.append(0.0)
            return found
    """
    first = make_bundle("class Model: pass", module="first_code")
    known = f'OTHER = {str(Path(first.bundle) / "src" / "first_code.py")!r}\nSOCKETS = {str(hosts.folder)!r}\nOWN = "src/second_code.py"\n'
    second = make_bundle(known + textwrap.dedent(source), module="second_code")
    parent = hosts.parent()
    parent.load("second", second)
    channel = hosts.channel(hosts.fork(parent, "second")[2])
    assert floats(channel.predict([4], [fp64(0, 0, 0, 0)]).columns[0]) == [0.0, 0.0, 0.0, 1.0]


def test_loading_is_confined_too(hosts: Hosts, make_bundle: BundleMaker, targets: Targets) -> None:
    """Code that runs while a model is unpickled reads nothing beyond what its parent was given, and dials nobody."""
    for act in (f"open({str(targets.file)!r})", f"socket.create_connection(('127.0.0.1', {targets.port}))"):
        order = make_bundle(f"import socket\n{act}\nclass Model: pass", module=f"code_{len(act)}")
        parent = hosts.parent(confinement=Confinement.of(order, "require"))
        with pytest.raises(HostLoadFailed, match="Permission denied"):
            parent.load("k", order)


def test_a_model_that_forks_is_ended_where_the_kernel_does_not_bound_it(
    hosts: Hosts, make_bundle: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without control groups its processes are counted: too many, and the host ends with every one of them."""
    monkeypatch.setattr(process_groups, "_root", lambda: None)
    source = f"""
    import os, signal
    class Model:
        def predict(self, columns):
            for _ in range({CHILDREN}):
                if os.fork() == 0:
                    signal.pause()
            signal.pause()
    """
    parent = hosts.parent()
    parent.load("k", make_bundle(source))
    host, pid, path = hosts.fork(parent, "k", Limits(processes=BOUND))
    with pytest.raises(HostGone):
        hosts.channel(path).predict([1], [fp64(0)])
    ended = until(lambda: hosts.exits, "its end is told")[0]
    assert (ended.host, ended.signal) == (host, 9)
    until(lambda: not process_groups.tasks_by_session()[pid], "nobody of its session is left")


def test_where_it_cannot_be_done_the_operators_word_counts(tmp_path: Path, make_bundle: BundleMaker) -> None:
    """On a kernel without Landlock hosts say what is lacking, or do not start where all of it is required."""
    order = make_bundle("class Model:\n    def predict(self, columns): return columns['x']")
    script = """
    import errno, json, sys
    from pathlib import Path
    from muster.runtimes.channel import Channel
    from muster.runtimes.confinement import Confinement
    from muster.runtimes.errors import HostNotStarted
    from muster.runtimes.parent import Parent
    from muster_host import confine, landlock, syscalls
    without = [syscalls.Step(0x20, 0, 0, 0), syscalls.Step(0x15, 0, 1, 444), syscalls.Step(6, 0, 0, 0x50000 | errno.ENOSYS),
               syscalls.Step(6, 0, 0, 0x7FFF0000)]
    confine._libc.prctl(38, 1, 0, 0, 0)
    syscalls.install(without, syscalls.machine())
    assert landlock.abi() == 0
    order, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    with Parent(Path(sys.executable), "e", folder / "log") as parent:
        parent.load("k", order)
        parent.fork("k", "h", folder / "s")
        with Channel(folder / "s") as channel:
            print(sorted(channel.hello.confined), sorted(channel.hello.unconfined.items()))
    try:
        Parent(Path(sys.executable), "e", folder / "log", confinement=Confinement(level="require"))
    except HostNotStarted as error:
        print(error.message)
    """
    folder = tmp_path / "run"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), json.dumps(order.document()), folder],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    said = done.stdout
    assert "['calls', 'network', 'privileges'] [('files', 'this kernel has no Landlock'), ('signals'," in said
    assert "cannot confine hosts as is required: files: this kernel has no Landlock" in said


def test_any_program_can_be_shut_in(tmp_path: Path, targets: Targets) -> None:
    """A command of somebody else's reads what it is given, writes to its folder, and finds everything else closed."""
    scratch, given = tmp_path / "scratch", tmp_path / "given"
    for folder in (scratch, given):
        folder.mkdir()
    (given / "rows").write_text("rows")
    script = (
        'cat "$1/rows"; echo kept > "$TMPDIR/kept"; cat "$2" || echo no secret; echo x > "$1/new" || echo no writing; '
        f"(exec 3<>/dev/tcp/127.0.0.1/{targets.port}) || echo no network; setsid true || echo no leaving"
    )
    command = [tool("bash"), "-c", script, "bash", str(given), str(targets.file)]
    done = subprocess.run(
        [*confined_command(scratch, [given], "require"), *command],
        capture_output=True, text=True, check=True, timeout=30, start_new_session=True,
    )  # fmt: skip
    assert done.stdout.split("\n")[0] == "rowsno secret"
    assert done.stdout.split("\n")[1:] == ["no writing", "no network", "no leaving", ""]
    assert (scratch / "kept").read_text() == "kept\n"
    gone = subprocess.run(
        [*confined_command(scratch, []), "/nowhere"], capture_output=True, text=True, check=False, timeout=30
    )
    assert (gone.returncode, "No such file" in gone.stderr) == (74, True)


def test_another_process_is_not_ended_by_a_limit_on_its_time(tmp_path: Path) -> None:
    """A limit of one second on somebody else's time would be a signal by another name; one's own limits can be set as before."""
    script = """
    import os, resource, sys
    victim = int(sys.argv[1])
    deeds = {
        "limit": lambda pid: resource.prlimit(pid, resource.RLIMIT_CPU, (100, 1000)),
        "slow": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
        "pin": lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(0)),
        "schedule": lambda pid: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)),
    }
    for name, deed in deeds.items():
        deed(0)
        try:
            deed(victim)
            print(name)
        except PermissionError:
            pass
    """
    with subprocess.Popen(["/bin/sleep", "60"]) as victim:
        try:
            before = resource.prlimit(victim.pid, resource.RLIMIT_CPU)
            done = subprocess.run(
                [*confined_command(tmp_path, [], "require"), sys.executable, "-c", textwrap.dedent(script), str(victim.pid)],
                capture_output=True, text=True, check=True, timeout=30,
            )  # fmt: skip
            assert done.stdout == ""
            assert resource.prlimit(victim.pid, resource.RLIMIT_CPU) == before
        finally:
            victim.kill()


def test_a_second_layer_allows_what_the_first_found(tmp_path: Path) -> None:
    """Whoever is shut in already lists no folders of the system's, and still names the same files: settings of Java among them."""
    script = """
    import os, sys
    from muster_host import confine
    before = list(confine._readable([]))
    confine.shut_in(confine.Wish("require", [], sys.argv[1]))
    try:
        os.listdir("/etc")
    except PermissionError:
        print(before == list(confine._readable([])))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "True\n"
