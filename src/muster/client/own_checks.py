"""The verbs of checks of a project's own."""

from pathlib import Path

import msgspec

from muster.client.errors import OrderMalformed
from muster.client.transport import Transport
from muster.vocabulary.digests import checked_digest
from muster.wire import governance


class OwnChecks:
    """What a factory's client can say about checks of a project's own; part of `muster.client.control.Factory`."""

    _transport: Transport
    _project: str

    def checks(self) -> governance.ProjectChecks:
        """The checks that were added to the project, the newest first."""
        return self._transport.get(f"{self._project}/checks", governance.ProjectChecks)

    def check(self, digest: str) -> governance.ProjectCheck:
        """One of them, with its program."""
        return self._transport.get(f"{self._project}/checks/{checked_digest(digest)}", governance.ProjectCheck)

    def add_check(self, name: str, program: str | Path, reason: str) -> governance.ProjectCheck:
        """Add a check; versions are held to it once the project's standard names its digest.

        Args:
            name: of the check; standards call it `own:` and this.
            program: Python, or the file that holds it.
            reason: why.
        """
        text = program.read_text(encoding="utf-8") if isinstance(program, Path) else program
        try:
            order = msgspec.convert({"name": name, "program": text, "reason": reason}, governance.CheckOrder)
        except msgspec.ValidationError as error:
            raise OrderMalformed(str(error)) from error
        return self._transport.post(f"{self._project}/checks", governance.ProjectCheck, order)
