"""Java: jars of a maven.lock and the author's sources, compiled by javac alone. Maven locks and fetches, and never builds.

`maven.lock` names each jar and its hash, a line each, sorted; `pom.xml` beside it is what it was made of:

    com.google.protobuf:protobuf-java:3.25.5 sha256:1ba3...
    org.example:native:2.1.0:linux-x86_64 sha256:77c0...

    TREE/jars/      the jars, by group, artifact and version
    TREE/own-jars/  those that the bundle brings among its sources
    TREE/classes/   the author's classes and the helper's, and whatever lies in src/main/resources
"""

import fcntl
import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar
from xml.sax.saxutils import escape

from muster.environments.errors import BuildFailed, LockUnresolved, PartUnsafe, ToolchainMissing
from muster.environments.offline import run_tool
from muster.environments.parts import place
from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.environments.sources import source_files
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding
from muster.packaging.runtimes import JavaRuntime, ProgramRuntime
from muster.packaging.uv import last_lines

POM = "pom.xml"
MAIN_CLASS = "muster.host.Main"
#: Files of hosts/java/src/main/java/muster/host, which travel in the bundle.
HELPER_CLASSES = (
    *("Column", "Datatype", "Field", "Frames", "Half", "Host", "Inputs", "Json", "Lines", "Load", "Main"),
    *("OutputBroken", "Outputs", "Predictor"),
)
HELPER_FOLDER = "muster_host"

_HELPER_SOURCES = "java/src/main/java/muster/host"
_RESOURCES = "src/main/resources/"
_TESTS = "src/test/"
_OLDEST = 17
_JARS, _OWN_JARS = "jars", "own-jars"
_JVMS = (Path("/usr/lib/jvm"), Path("/opt/java"))
#: The plugin that copies jars, with its version: what it does must not change under us.
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
_LINE = re.compile(
    r"(?P<name>\w[\w.\-]*:\w[\w.\-]*):(?P<version>\w[\w.+\-]*)(:(?P<classifier>\w[\w.\-]*))? sha256:(?P<hash>[0-9a-f]{64})",
    re.ASCII,
)
_RELEASE = re.compile(r'^JAVA_VERSION="([^"]+)"', re.MULTILINE)
_ADVICE = ("[Help", "-> [Help", "To see the full stack trace", "Re-run Maven", "For more information about the errors")
_ASSEMBLE = "Delete it and run `muster assemble`, which locks anew."
_EMPTY_LOCK = "# no jars\n"
_POM_HEAD = (
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    "<groupId>muster</groupId><artifactId>fetched</artifactId><version>1</version><dependencies>"
)
_POM_TAIL = "</dependencies></project>"
_WITHOUT_OTHERS = (
    "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
)


class Java:
    """A class that implements `muster.host.Predictor`."""

    kind: ClassVar[str] = "java"
    lock_name: ClassVar[str] = "maven.lock"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """What is wrong with a bundle as far as it can be seen without tools."""
        runtime = _runtime(bundle)
        if not _has_class(folder, bundle, runtime.entry):
            yield Finding(
                "error",
                "muster.toml",
                f"[runtime] entry = {runtime.entry!r} is no class of the bundle's sources",
                "Name the class with its package; its file has the class's name and is among [runtime] sources.",
            )
        yield from jar_problems(folder, bundle)

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """The JDK on this machine, and Maven where it is there: only locking and fetching need it.

        Raises:
            ToolchainMissing: there is no JDK of the major version that the bundle names.
        """
        return java_toolchain(bundle)

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """The jars that maven.lock names; see `jars_of`."""
        return jars_of(lock)

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """maven.lock of pom.xml; without a pom.xml the lock of a model that needs no jars.

        Raises:
            LockUnresolved: Maven cannot resolve it.
            ToolchainMissing: there is no Maven.
        """
        pom = folder / POM
        if not pom.is_file():
            say(f"there is no {POM}: the model needs no jars")
            return _EMPTY_LOCK.encode()
        return lock_jars(pom.read_bytes(), self.toolchain(bundle), scratch, say)

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """The jars of packages, by Maven; see `fetch_jars`."""
        yield from fetch_jars(packages, toolchain, scratch, say)

    def build(self, job: BuildJob) -> None:
        """Link the jars and compile the sources.

        Raises:
            BuildFailed: javac said no.
            PartUnsafe: a jar's name leads out of the tree.
        """
        link_jars(job)
        paths = [path for path in source_files(job.folder, job.bundle) if not path.startswith(_TESTS)]
        copy_own_jars(job, [path for path in paths if path.endswith(".jar")])
        compile_java(job, job.folder, [path for path in paths if path.endswith(".java")])
        for path in paths:
            if path.startswith(_RESOURCES):
                target = job.tree / "classes" / path.removeprefix(_RESOURCES)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(job.folder / path, target)

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:
        """How the model is started."""
        del folder
        return program_of(environment, java_toolchain(bundle), MAIN_CLASS, _runtime(bundle).entry)

    def helper(self) -> Mapping[str, str]:
        """Files that travel in the bundle."""
        return helper_sources()


def helper_sources() -> dict[str, str]:
    """Sources of the package `muster.host`: file of the helper → place in the bundle."""
    return {f"{_HELPER_SOURCES}/{name}.java": f"{HELPER_FOLDER}/muster/host/{name}.java" for name in HELPER_CLASSES}


def jar_problems(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    """What is wrong with a maven.lock, in itself and beside pom.xml."""
    lock = folder / bundle.runtime.lock
    if not lock.is_file():
        return
    content = lock.read_bytes()
    try:
        locked = {(package.name, package.version.partition(":")[0]) for package in jars_of(content)}
    except BundleMalformed as error:
        yield Finding("error", bundle.runtime.lock, error.message, _ASSEMBLE)
        return
    if not content.strip():
        yield Finding("error", bundle.runtime.lock, "it is empty", _ASSEMBLE)
    if not (folder / POM).is_file():
        if locked:
            remedy = f"Put the {POM} there that the lock was made of: it is what a later lock is made of."
            yield Finding("warning", POM, "it is missing", remedy)
        return
    text = (folder / POM).read_text(encoding="utf-8", errors="replace")
    missing = [f"{name} {version}" for name, version in _direct_dependencies(text) if (name, version) not in locked]
    if missing:
        yield Finding("error", bundle.runtime.lock, f"it does not name {', '.join(missing)} of {POM}", _ASSEMBLE)


def jars_of(lock: bytes) -> tuple[Package, ...]:
    """The jars that a maven.lock names, in its order; a classifier is a part of the name: `group:artifact:linux-x86_64`.

    Raises:
        BundleMalformed: a line is none of `group:artifact:version[:classifier] sha256:<hex>`.
    """
    try:
        lines = lock.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BundleMalformed(f"maven.lock is no text: {error}. {_ASSEMBLE}") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or ".." in line:
            raise BundleMalformed(
                f"maven.lock, line {number}: {line!r} is not `group:artifact:version sha256:<hex>`. {_ASSEMBLE}"
            )
        classifier = f":{match['classifier']}" if match["classifier"] else ""
        found.append(
            Package(
                ecosystem="maven",
                name=match["name"] + classifier,
                version=match["version"],
                hashes=frozenset({f"sha256:{match['hash']}"}),
            )
        )
    return tuple(found)


def lock_jars(pom: bytes, toolchain: Toolchain, scratch: Path, say: Say) -> bytes:
    """The maven.lock of a pom.xml: everything that its runtime scope brings, with hashes, without addresses.

    Raises:
        LockUnresolved: Maven cannot resolve it, or it names what is no released jar.
        ToolchainMissing: there is no Maven.
    """
    say(f"Maven resolves {POM}")
    lines = []
    for path, file in _copied(pom, toolchain, scratch / "lock", "runtime"):
        group, artifact, version, classifier = _coordinates(path)
        if not path.name.endswith(".jar"):
            raise LockUnresolved(f"{POM} names {group}:{artifact}:{version}, which is no jar but {path.name}")
        if version.endswith("-SNAPSHOT"):
            raise LockUnresolved(f"{POM} names {group}:{artifact}:{version}; only released versions stay what they are")
        words = [group, artifact, version, *([classifier] if classifier else [])]
        lines.append(f"{':'.join(words)} sha256:{_sha256(file)}\n")
    return "".join(sorted(lines)).encode() or _EMPTY_LOCK.encode()


def fetch_jars(
    packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
) -> Iterator[tuple[Package, str, Path]]:
    """The jars of packages, each without those that it needs itself: the lock names them all.

    Raises:
        LockUnresolved: a jar does not exist, or no repository answers.
        ToolchainMissing: there is no Maven.
    """
    if not packages:
        return
    say(f"fetching {len(packages)} jars by Maven")
    wanted = {(package.name, package.version): package for package in packages}
    pom = "".join([_POM_HEAD, *(_dependency(package) for package in packages), _POM_TAIL])
    for path, file in _copied(pom.encode(), toolchain, scratch / "fetch", ""):
        group, artifact, version, classifier = _coordinates(path)
        package = wanted.get((":".join([group, artifact, *([classifier] if classifier else [])]), version))
        if package is not None:
            yield package, path.as_posix(), file


def link_jars(job: BuildJob) -> None:
    """Put the fetched jars into `jars/`.

    Raises:
        PartUnsafe: a jar's name leads out of the tree.
    """
    jars = job.tree / _JARS
    jars.mkdir()
    for part in job.parts:
        group, artifact, *classifier = part.package.name.split(":")
        name = f"{group}.{'-'.join([artifact, part.package.version, *classifier])}.jar"
        if "/" in name or (jars / name).exists():
            raise PartUnsafe(f"{part.file} has no place of its own among the jars", file=part.file)
        place(part, jars / name)


def copy_own_jars(job: BuildJob, paths: Sequence[str]) -> None:
    """Put the bundle's own jars into `own-jars/`: among the others, which are links to the parts of all, none could be told from them.

    Raises:
        BuildFailed: two of them have one name.
    """
    own = job.tree / _OWN_JARS
    for path in paths:
        target = own / PurePosixPath(path).name
        if target.exists():
            raise BuildFailed(f"two jars of the bundle are named {target.name}, the second is {path}: rename one")
        own.mkdir(exist_ok=True)
        shutil.copyfile(job.folder / path, target)


def _jars_in(tree: Path) -> list[Path]:
    """The class path of an environment: what the lock names first."""
    return [*sorted((tree / _JARS).glob("*.jar")), *sorted((tree / _OWN_JARS).glob("*.jar"))]


def compile_java(job: BuildJob, root: Path, files: Sequence[str]) -> None:
    """Compile sources into `classes/`, with the jars of the tree.

    Args:
        job: the environment that is built.
        root: the folder that the files' paths begin at.
        files: paths of `.java` files.

    Raises:
        BuildFailed: there is nothing to compile, or javac said no.
    """
    if not files:
        raise BuildFailed("there is no .java file among the sources; [runtime] sources says where they are")
    classes = job.tree / "classes"
    classes.mkdir()
    listed = job.scratch / "sources.txt"
    listed.write_text("".join(f'"{_quoted(str(root / file))}"\n' for file in files), encoding="utf-8")
    major = _major(job.toolchain.name.removeprefix("jdk-"))
    jars = _jars_in(job.tree)
    command: list[str | Path] = [
        job.toolchain.programs["javac"],
        *("--release", str(major), "-proc:none", "-encoding", "UTF-8", "-g:source,lines", "-nowarn"),
        *("-cp", ":".join(map(str, jars)) or str(job.scratch)),
        *("-d", classes, f"@{listed}"),
    ]
    answer = run_tool(command, folder=root, scratch=job.scratch)
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).replace(f"{root}/", "")
        raise BuildFailed(f"javac failed:\n{last_lines(said)}")


def program_of(environment: Path, toolchain: Toolchain, main_class: str, argument: str) -> Program:
    """How a class of an environment is started: small at first, with one thread for its garbage."""
    jars = _jars_in(environment)
    flags = (
        *("-Xms8m", "-Xmx{memory_mib}m", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount={threads}"),
        *("-XX:-UsePerfData", "-Dfile.encoding=UTF-8", "-Djava.io.tmpdir={scratch}"),
    )
    path = ":".join(map(str, [environment / "classes", *jars]))
    return Program(argv=(str(toolchain.programs["java"]), *flags, "-cp", path, main_class, argument))


def java_toolchain(bundle: Bundle) -> Toolchain:
    """The JDK of the major version that a bundle names, else the one of JAVA_HOME or the PATH.

    Raises:
        ToolchainMissing: it is not on this machine.
    """
    runtime = bundle.runtime
    wanted = runtime.toolchain if isinstance(runtime, ProgramRuntime) else ""
    found = {}
    for home in _homes():
        version = _version_of(home)
        if version is None or version in found:
            continue
        found[version] = home
        if _major(version) >= _OLDEST and wanted in {"", f"jdk-{version}"}:
            return _toolchain(version, home)
    for version, home in found.items():
        if wanted and _major(version) == _major(wanted.removeprefix("jdk-")):
            return _toolchain(version, home)
    here = ", ".join(f"jdk-{version}" for version in found) or "none"
    major = _major(wanted.removeprefix("jdk-")) if wanted else _OLDEST
    raise ToolchainMissing(
        f"a JDK {major}{'' if wanted else ' or later'} is needed, on this machine is {here}; "
        f"Debian: apt install openjdk-{major}-jdk-headless",
        program="javac",
        wanted=wanted or f"jdk-{_OLDEST}",
    )


def _runtime(bundle: Bundle) -> JavaRuntime:
    assert isinstance(bundle.runtime, JavaRuntime)
    return bundle.runtime


def _homes() -> Iterator[Path]:
    """Folders of JDKs, the one that the user means first."""
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    compiler = shutil.which("javac")
    if compiler is not None:
        yield Path(compiler).resolve().parents[1]
    for folder in _JVMS:
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _version_of(home: Path) -> str | None:
    """`17.0.15`; None where there is no JDK."""
    if not all(os.access(home / "bin" / program, os.X_OK) for program in ("java", "javac")):
        return None
    try:
        match = _RELEASE.search((home / "release").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return match[1].replace("_", "-") if match else None


def _major(version: str) -> int:
    words = re.split(r"\D", version)
    return int(words[0] or 0)


def _toolchain(version: str, home: Path) -> Toolchain:
    programs = {name: home.resolve() / "bin" / name for name in ("java", "javac")}
    maven = shutil.which("mvn")
    if maven is not None:
        programs["mvn"] = Path(maven)
    return Toolchain(name=f"jdk-{version}", programs=programs)


def _copied(pom: bytes, toolchain: Toolchain, folder: Path, scope: str) -> list[tuple[PurePosixPath, Path]]:
    """Have Maven copy what a pom names: path in a repository, and the file."""
    if "mvn" not in toolchain.programs:
        raise ToolchainMissing("Maven is not on this machine; Debian: apt install maven", program="mvn")
    folder.mkdir()
    (folder / POM).write_bytes(pom)
    target = folder / "jars"
    repository = _repository()
    options = [f"-DincludeScope={scope}"] if scope else []
    command: list[str | Path] = [
        *(
            toolchain.programs["mvn"],
            "-B",
            "-q",
            "-N",
            "-U",
            "-Dstyle.color=never",
            f"-Dmaven.repo.local={repository}",
            _COPY,
        ),
        *(f"-DoutputDirectory={target}", "-Dmdep.useRepositoryLayout=true", *options),
    ]
    home = {"JAVA_HOME": str(toolchain.programs["java"].parents[1])}
    with (repository / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Maven does not share one between processes
        answer = run_tool(command, folder=folder, scratch=folder, variables=home, network=True)
    if answer.returncode != 0:
        raise LockUnresolved(f"Maven cannot bring what is named:\n{_without_advice(answer.stdout + answer.stderr)}")
    files = sorted(path for path in target.rglob("*") if path.is_file()) if target.is_dir() else []
    return [
        (PurePosixPath(path.relative_to(target).as_posix()), path)
        for path in files
        if path.suffix not in {".pom", ".xml", ".sha1"}
    ]


def _repository() -> Path:
    """Where Maven keeps what it has downloaded, its own plugins above all; the lock's hashes say what may be used of it."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(cache) / "muster" / "maven"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _without_advice(said: str) -> str:
    """Maven's errors without its advice about Maven, and without the addresses of repositories."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", said)  # it resets the colours that it does not use
    lines = [line.removeprefix("[ERROR] ") for line in plain.splitlines() if line.startswith("[ERROR] ")]
    told = [re.sub(r"https?://\S+", "(address)", line) for line in lines if line and not line.startswith(_ADVICE)]
    return last_lines("\n".join(told[:6]) or plain)


def _coordinates(path: PurePosixPath) -> tuple[str, str, str, str]:
    """Group, artifact, version and classifier of a file in a repository."""
    *group, artifact, version, name = path.parts
    classifier = path.stem.removeprefix(f"{artifact}-{version}").removeprefix("-")
    return ".".join(group), artifact, version, "" if classifier == name else classifier


def _dependency(package: Package) -> str:
    group, artifact, *classifier = map(escape, package.name.split(":"))
    named = f"<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{escape(package.version)}</version>"
    return f"<dependency>{named}{''.join(f'<classifier>{word}</classifier>' for word in classifier)}{_WITHOUT_OTHERS}"


def _direct_dependencies(pom: str) -> Iterator[tuple[str, str]]:
    """What a pom.xml names itself with a version that stands there: (`group:artifact`, version)."""
    text = re.sub(r"<!--.*?-->|<(dependencyManagement|build|profiles|exclusions)>.*?</\1>", "", pom, flags=re.DOTALL)
    for block in re.findall(r"<dependency>(.*?)</dependency>", text, flags=re.DOTALL):
        word = dict(re.findall(r"<(\w+)>\s*([^<]*?)\s*</\1>", block))
        version = word.get("version", "")
        is_kept = word.get("scope", "compile") in {"compile", "runtime"} and "classifier" not in word
        if is_kept and version and not set("${[(,") & set(version):
            yield f"{word.get('groupId', '')}:{word.get('artifactId', '')}", version


def _has_class(folder: Path, bundle: Bundle, name: str) -> bool:
    """Whether a class stands in a source file of its name, or in a jar of the bundle."""
    outer = name.partition("$")[0].replace(".", "/")
    for path in source_files(folder, bundle):
        if path == f"{outer}.java" or path.endswith(f"/{outer}.java"):
            return True
        if path.endswith(".jar"):
            try:
                with zipfile.ZipFile(folder / path) as jar:
                    if f"{name.replace('.', '/')}.class" in jar.namelist():
                        return True
            except (OSError, zipfile.BadZipFile):
                continue
    return False


def _quoted(path: str) -> str:
    """A path inside the quotes of a file of arguments for javac."""
    return path.replace("\\", "\\\\").replace('"', '\\"')


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
