"""The audit journal."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from muster.access.roles import Right
from muster.api import convert
from muster.api.services import Caller, Given
from muster.audit.verify import verify
from muster.wire import control

TAG = "audit"


@get("/audit", sync_to_thread=True, operation_id="listAuditEvents", tags=[TAG])
def list_events(
    services: Given,
    call: Caller,
    after: Annotated[
        int | None, QueryParameter(ge=0, le=2**53, description="Begin behind this event; without it, the last ones.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most.")] = 100,
    subject: Annotated[
        str | None, QueryParameter(max_length=200, pattern=r"^[^\x00]*$", description="Only about this.")
    ] = None,
) -> control.AuditEvents:
    """Audit events in their order, of the projects in which the caller has the right read-audit."""
    readable = [project for project in call.actor.roles if call.actor.may(Right.READ_AUDIT, project)]
    if not readable:
        services.access.require(call, Right.READ_AUDIT)
    with services.database.read() as tx:
        ask = services.journal
        entries = (
            ask.newest(tx, limit, subject, readable)
            if after is None
            else ask.entries(tx, after, limit, subject, readable)
        )
    more = after is not None and len(entries) == limit
    return control.AuditEvents(
        events=tuple(convert.audit_event(entry) for entry in entries), next=entries[-1].sequence if more else None
    )


@get("/audit/verify", sync_to_thread=True, operation_id="verifyAudit", tags=[TAG])
def verify_chain(services: Given, call: Caller) -> control.AuditVerdict:
    """Whether the chain is whole: nothing edited, removed, inserted or cut off. Takes the right read-audit in `default`."""
    services.access.require(call, Right.READ_AUDIT)
    return convert.audit_verdict(verify(services.database, services.audit_head))


HANDLERS = (list_events, verify_chain)
