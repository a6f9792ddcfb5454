"""Bundles of the echo model in several ways, as subjects of the conformance kit."""

import platform
import shutil
import sys
import tomllib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from muster.environments.carried import copy_helper, hosts_folder
from muster.environments.languages.known import LANGUAGES
from muster.environments.shelf import Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.documents import Bundle, load_order, read_description
from muster.packaging.golden import read_golden
from muster.runtimes.channel import Channel
from muster.runtimes.conformance import echo
from muster.runtimes.conformance.kit import Subject
from muster.runtimes.host import running_host
from muster.runtimes.parent import Limits

PROGRAM = Path(__file__).with_name("echo_program.py")
PYTHON_ECHO = """
import os
import time

held = []


class Model:
    def predict(self, columns):
        for act in columns["act"]:
            word, _, amount = act.partition(":")
            if word == "raise":
                raise ValueError("the row asked to raise an error")
            if word == "print":
                print("a line for the log")
            if word == "exit":
                os._exit(3)
            if word == "sleep":
                time.sleep(int(amount) / 1000)
            if word == "allocate":
                held.append(b"1" * (int(amount) << 20))
        return {"y_" + name: values for name, values in columns.items()}
"""


@dataclass(frozen=True)
class Environment:
    """This interpreter, as an environment."""

    id: str = "sha256:" + "0" * 64
    python: Path = Path(sys.executable)


def python_subject(folder: Path) -> Subject:
    """The echo model as an object of Python."""
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "echoing.py").write_text(PYTHON_ECHO)
    (folder / "model.cloudpickle").write_bytes(b"cechoing\nModel\n(tR.")
    (folder / "requirements.lock").write_bytes(b"")
    runtime = {
        "kind": "python", "python": platform.python_version(), "serializer": "cloudpickle", "model": "model.cloudpickle",
        "method": "predict", "input": "lists", "code": ["src"],
        "dtypes": {field.name: "list" for field in echo.contract().inputs},
    }  # fmt: skip
    echo.write_bundle(folder, runtime)
    return _subject(folder, None)


def program_subject(folder: Path, wire: str = "binary", *arguments: str) -> Subject:
    """The echo model as the program beside this module, which travels in the bundle."""
    folder.mkdir(parents=True)
    argv = [sys.executable, "-S", "-E", str(shutil.copy(PROGRAM, folder)), *arguments]
    runtime = {
        "kind": "command", "command": argv, "wire": wire, "toolchain": f"python-{platform.python_version()}",
        "lock": "command.lock",
    }  # fmt: skip
    (folder / "command.lock").write_bytes(b"")
    echo.write_bundle(folder, runtime)
    return _subject(folder, {"argv": argv, "variables": {}, "environment": "", "wire": wire})


def language_subject(folder: Path, kind: str, wire: str, shelf: Shelf) -> Subject:
    """The echo model of `hosts/<kind>/echo`, with the helper library, in an environment built here.

    Raises:
        ToolchainMissing: the language's tools are not on this machine.
    """
    source = hosts_folder() / kind / "echo"
    language = LANGUAGES[kind]
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("runtime*.toml"))
    copy_helper(language, folder)
    said = tomllib.loads((source / ("runtime.toml" if wire == "binary" else "runtime-lines.toml")).read_text())
    draft = msgspec.convert(echo.described(said), Bundle)
    said["toolchain"] = language.toolchain(draft).name
    echo.write_bundle(folder, said)
    lock = folder / draft.runtime.lock
    if not lock.exists():
        scratch = folder.parent / "locking"
        scratch.mkdir()
        lock.write_bytes(language.lock(folder, read_description(folder), scratch, lambda _: None))
    bundle = read_bundle(folder)
    environment = shelf.ensure(folder, bundle)

    def start(limits: Limits) -> AbstractContextManager[Channel]:
        order = environment.order(folder, bundle)
        return running_host(environment, folder, order, folder.parent / "host.log", limits=limits)

    return Subject(bundle=bundle, golden=read_golden(folder, bundle), start=start)


def _subject(folder: Path, program: dict[str, object] | None) -> Subject:
    bundle = read_bundle(folder)

    def start(limits: Limits) -> AbstractContextManager[Channel]:
        order = load_order(folder, bundle, program=program)
        return running_host(Environment(), folder, order, folder.parent / "host.log", limits=limits)

    return Subject(bundle=bundle, golden=read_golden(folder, bundle), start=start)
