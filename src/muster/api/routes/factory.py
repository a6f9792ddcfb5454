"""The factory itself."""

from litestar import get

import muster
from muster.api.identity import OPEN
from muster.api.services import Caller, Given
from muster.wire import control

TAG = "factory"


@get("/health", sync_to_thread=False, opt={OPEN: True}, security=[{}], operation_id="health", tags=[TAG])
def health(services: Given) -> control.Health:
    """That control runs, and what it is. Takes no token."""
    return control.Health(
        status="ok", factory=services.factory, version=muster.__version__, scoring_url=services.scoring_url
    )


@get("/whoami", sync_to_thread=False, operation_id="whoami", tags=[TAG])
def whoami(call: Caller) -> control.Identity:
    """Who the token says the caller is."""
    actor = call.actor
    return control.Identity(
        name=actor.name,
        roles={project: tuple(sorted(roles)) for project, roles in sorted(actor.roles.items())},
        token_id=actor.token_id,
        rights={project: tuple(sorted(map(str, rights))) for project, rights in sorted(actor.granted.items())},
    )


HANDLERS = (health, whoami)
