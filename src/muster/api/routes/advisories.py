"""Files of known vulnerabilities, and the versions that they hit."""

from dataclasses import replace
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import QueryParameter

from muster.access.actor import Actor
from muster.access.roles import Right
from muster.api import convert_advisories as convert
from muster.api.identity import request_digest
from muster.api.origins import TAKES_FILE
from muster.api.services import Caller, Given
from muster.api.threads import in_thread
from muster.api.uploads import uploaded
from muster.wire import advisories

TAG = "vulnerabilities"


@post(
    "/vulnerabilities",
    request_max_body_size=None,
    opt={TAKES_FILE: True},
    operation_id="importVulnerabilities",
    tags=[TAG],
)
async def import_vulnerabilities(
    services: Given,
    call: Caller,
    request: Request[Actor, Any, Any],
    reason: Annotated[
        str, QueryParameter(min_length=1, max_length=2000, description="Why; kept in the audit journal.")
    ],
    name: Annotated[
        str, QueryParameter(min_length=1, max_length=200, description="What the file is called, for people.")
    ] = "vulnerabilities",
) -> advisories.VulnerabilityFile:
    """Take a file of known vulnerabilities in; certifications from now on go by it. Takes the right manage-packages.

    The body is in the format of OSV: one record, a JSON list, one record per line, or a zip of records (`application/octet-stream`).
    """
    services.access.require(call, Right.MANAGE_PACKAGES)  # before the file is taken
    async with uploaded(request, services.uploads, services.upload_bytes) as upload:
        if call.idempotency_key is not None:
            call = replace(call, request_digest=request_digest(request, upload.sha256))
        return convert.vulnerability_file(await in_thread(services.advisories.take_in, call, upload.file, name, reason))


@get("/vulnerabilities", sync_to_thread=True, operation_id="listVulnerabilityFiles", tags=[TAG])
def list_vulnerability_files(services: Given, call: Caller) -> advisories.VulnerabilityFiles:
    """The files of known vulnerabilities that the project has taken in, the newest first; the newest counts."""
    return advisories.VulnerabilityFiles(
        files=tuple(convert.vulnerability_file(one) for one in services.advisories.files(call))
    )


@get("/vulnerabilities/affected", sync_to_thread=True, operation_id="listAffectedVersions", tags=[TAG])
def list_affected_versions(services: Given, call: Caller) -> advisories.AffectedVersions:
    """Which certified and accepted versions of the project the newest file hits; those that are served first."""
    return convert.affected(services.advisories.affected(call))


HANDLERS = (import_vulnerabilities, list_vulnerability_files, list_affected_versions)
