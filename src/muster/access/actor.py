"""Who calls, and the call as every service is handed it."""

from collections.abc import Mapping
from dataclasses import dataclass

from muster.access.errors import RightMissing
from muster.access.roles import RIGHTS, AccessRole, Right, roles_with
from muster.vocabulary.names import DEFAULT_PROJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody who was identified by a token."""

    name: str
    roles: Mapping[str, AccessRole]
    """Role in each project."""
    token_id: str
    solo: bool = False
    """The factory is one person's: the rule against passing one's own work is waived, and every event says so."""

    def may(self, right: Right, project: str = DEFAULT_PROJECT) -> bool:
        """Whether the actor has the right in the project."""
        role = self.roles.get(project)
        return role is not None and right in RIGHTS[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a service: who, in which project, and the key that makes a repetition harmless."""

    actor: Actor
    project: str = DEFAULT_PROJECT
    idempotency_key: str | None = None
    request_digest: str | None = None
    """Digest of all that makes the request what it is (method, path, body); goes with the key."""

    def may(self, right: Right) -> bool:
        """Whether the actor has the right in the project of the call."""
        return self.actor.may(right, self.project)

    def require(self, right: Right) -> None:
        """Nothing, if the actor has the right in the project of the call.

        Raises:
            RightMissing: it has not.
        """
        if self.may(right):
            return
        role = self.actor.roles.get(self.project)
        needed = [str(role) for role in roles_with(right)]
        raise RightMissing(
            f"{self.actor.name} is {role or 'nobody'} in project {self.project} and may not {right}; "
            f"that takes {' or '.join(needed)}",
            actor=self.actor.name,
            role=role and str(role),
            project=self.project,
            right=str(right),
            roles=needed,
        )
