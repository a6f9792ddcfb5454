"""Checks of the project's own."""

from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, PathParameter

from muster.api.services import Caller, Given
from muster.standards.records import ProjectCheck
from muster.vocabulary.clock import rfc3339
from muster.vocabulary.digests import checked_digest
from muster.wire import governance

TAG = "governance"
ProgramDigest = Annotated[
    str, PathParameter(pattern=r"^sha256:[0-9a-f]{64}$", description="Digest of the check's program.")
]


@get("/checks", sync_to_thread=True, operation_id="listChecks", tags=[TAG])
def list_checks(services: Given, call: Caller) -> governance.ProjectChecks:
    """The checks that were added to the project, the newest first."""
    return governance.ProjectChecks(checks=tuple(_told(one) for one in services.project_checks.checks(call)))


@get("/checks/{digest:str}", sync_to_thread=True, operation_id="getCheck", tags=[TAG])
def get_check(services: Given, call: Caller, digest: ProgramDigest) -> governance.ProjectCheck:
    """One check of the project's own, with its program."""
    found = services.project_checks.read(call, checked_digest(digest))
    return _told(found.check, found.text)


@post("/checks", sync_to_thread=True, operation_id="addCheck", tags=[TAG])
def add_check(services: Given, call: Caller, data: JSONBody[governance.CheckOrder]) -> governance.ProjectCheck:
    """Add a check of the project's own; it is put to versions once the project's standard names its digest."""
    return _told(services.project_checks.add(call, data.name, data.program, data.reason))


def _told(check: ProjectCheck, text: str | None = None) -> governance.ProjectCheck:
    return governance.ProjectCheck(
        name=check.name,
        digest=check.digest,
        size=check.size,
        added_by=check.added_by,
        added_at=rfc3339(check.added_at),
        reason=check.reason,
        text=text,
    )


HANDLERS = (list_checks, get_check, add_check)
