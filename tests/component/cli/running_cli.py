"""The program `muster`, started as users start it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MUSTER = (sys.executable, "-m", "muster")
_OWN = ("MUSTER_URL", "MUSTER_TOKEN", "MUSTER_HOME", "MUSTER_PROJECT", "MUSTER_SCORING_URL", "XDG_CONFIG_HOME")


@dataclass
class Shell:
    """A shell with its own home folder, in which commands are typed.

    Args:
        folder: where it is.
        variables: of its environment.
    """

    folder: Path
    variables: dict[str, str]

    def where(self, **variables: str) -> "Shell":
        """The same shell with further variables."""
        return Shell(self.folder, self.variables | variables)

    def type(self, *arguments: object, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command and hold its exit code against the expected one."""
        environment = {name: value for name, value in os.environ.items() if name not in _OWN}
        environment |= {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "config"), "COLUMNS": "200"}
        done = subprocess.run(
            [*MUSTER, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=self.folder,
            env=environment | self.variables, input=stdin, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments: object, code: int = 0) -> Any:
        """The one document on stdout."""
        done = self.type(*arguments, "--json", code=code)
        assert done.stderr == "", done.stderr
        return json.loads(done.stdout)

    def problem(self, *arguments: object, code: int) -> Any:
        """The one problem document on stderr; stdout is empty."""
        done = self.type(*arguments, "--json", code=code)
        assert done.stdout == ""
        document = json.loads(done.stderr)
        assert document["type"] == f"urn:muster:problem:{document['code']}"
        return document
