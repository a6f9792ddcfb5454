"""Who calls, and the call as every service is handed it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from muster.access.errors import RightMissing
from muster.access.roles import Right, rights_of_role, roles_with
from muster.access.tokens import WHOLE, Scope
from muster.vocabulary.names import DEFAULT_PROJECT


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Actor:
    """Somebody who was identified by a token."""

    name: str
    roles: Mapping[str, frozenset[str]]
    """Roles in each project: the user's own and those of the user's groups."""
    token_id: str
    solo: bool
    """The factory is one person's: the rule against passing one's own work is waived, and every event says so."""
    granted: Mapping[str, frozenset[Right]]
    """Rights in each project, within the scope of the token."""
    scope: Scope
    """What the token is limited to."""
    expires_at: datetime | None
    """When the token ends; None: not by itself."""

    def __init__(
        self,
        *,
        name: str,
        roles: Mapping[str, str | Iterable[str]],
        token_id: str,
        solo: bool = False,
        granted: Mapping[str, frozenset[Right]] | None = None,
        scope: Scope = WHOLE,
        expires_at: datetime | None = None,
    ) -> None:
        """An actor.

        Args:
            name: of the user.
            roles: in each project one role, or several.
            token_id: of the token that identified the user.
            solo: the factory is one person's.
            granted: rights in each project; None: those that the roles have by themselves.
            scope: what the token is limited to.
            expires_at: when the token ends.
        """
        several = {project: frozenset({role} if isinstance(role, str) else role) for project, role in roles.items()}
        if granted is None:
            granted = {
                project: frozenset(right for role in some for right in rights_of_role(role, project, {}))
                for project, some in several.items()
            }
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "roles", MappingProxyType(several))
        object.__setattr__(self, "token_id", token_id)
        object.__setattr__(self, "solo", solo)
        object.__setattr__(self, "granted", MappingProxyType(dict(granted)))
        object.__setattr__(self, "scope", scope)
        object.__setattr__(self, "expires_at", expires_at)

    def rights(self, project: str = DEFAULT_PROJECT) -> frozenset[Right]:
        """What the actor may do in the project."""
        return self.granted.get(project, frozenset())

    def may(self, right: Right, project: str = DEFAULT_PROJECT) -> bool:
        """Whether the actor has the right in the project."""
        return right in self.granted.get(project, ())

    def belongs_to(self, project: str) -> bool:
        """Whether the actor has a role in the project."""
        return project in self.roles


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
        role = ", ".join(sorted(self.actor.roles.get(self.project, ()))) or None
        needed = [str(role) for role in roles_with(right)]
        scoped = "" if self.actor.scope == WHOLE else " with this token"
        raise RightMissing(
            f"{self.actor.name} is {role or 'nobody'} in project {self.project} and may not {right}{scoped}; "
            f"that takes {' or '.join(needed)}",
            actor=self.actor.name,
            role=role,
            project=self.project,
            right=str(right),
            roles=needed,
        )
