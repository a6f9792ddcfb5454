"""Projects: make them, say what they are, limit what they hold."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from muster.access import store
from muster.access.actor import Call
from muster.access.changes import EVERY_ENDPOINT, Changes
from muster.access.errors import ProjectExists, ProjectNotFound, TokenBeyond, UserNotFound
from muster.access.profiles import checked_line
from muster.access.quotas import Quotas
from muster.access.records import Project, Usage
from muster.access.roles import AccessRole, Right
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import DEFAULT_PROJECT, checked_name

#: What counts how much of some quotas a project uses, by their names: rooms above know.
Counting = Callable[[Transaction, str], Mapping[str, int]]


def quotas_in(tx: Transaction, project: str) -> Quotas:
    """The quotas of a project, for the rooms that hold what they limit."""
    return store.quotas_of(tx, project)


class Projects:
    """The tenants of a factory.

    Args:
        database: where they are kept.
        journal: where each change is put on record.
        board: where the fronts learn of how often tokens may ask.
        clock: tells when.
    """

    def __init__(self, database: Database, journal: Journal, board: Board, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._board = board
        self._clock = clock
        self._counting: list[Counting] = []

    def counted_by(self, *counting: Counting) -> None:
        """From now on ask these how much of its quotas a project uses."""
        self._counting.extend(counting)

    def projects(self, call: Call) -> tuple[Project, ...]:
        """The projects that the caller has a part in, by name; all of them, if the caller manages projects."""
        with self._database.read() as tx:
            every = store.every_project(tx)
        manages = _manages(call)
        return tuple(
            project
            for project in every
            if call.actor.belongs_to(project.name) or (manages and call.actor.scope.holds_project(project.name))
        )

    def project(self, call: Call) -> Usage:
        """The project of the call, and how much of its quotas it uses.

        Raises:
            ProjectNotFound: there is none, or the caller has no part in it.
        """
        with self._database.read() as tx:
            found = store.project(tx, call.project)
            if found is None or not (call.actor.belongs_to(call.project) or _manages(call)):
                raise ProjectNotFound(
                    f"there is no project {call.project}, or you have no part in it", project=call.project
                )
            used = {quota: count for counting in self._counting for quota, count in counting(tx, call.project).items()}
        return Usage(project=found, used=used)

    def add(
        self,
        call: Call,
        name: str,
        admin: str,
        *,
        title: str | None = None,
        contact: str | None = None,
        quotas: Mapping[str, object] | None = None,
    ) -> Project:
        """Make a project and give it its first admin, a user that the factory has.

        Args:
            call: who; the right to manage projects comes from a role in `default`.
            name: of the project, for ever.
            admin: a user of any project.
            title: one line for people.
            contact: whom to ask about it.
            quotas: its limits.

        Raises:
            ProjectExists: the name is taken.
            TokenBeyond: the token of the call is good in another project alone.
            UserNotFound: there is no such user.
            QuotaMalformed, ContactMalformed: what is said of it cannot be kept.
        """
        self._require(call)
        checked_name(name, of="project")
        if not call.actor.scope.holds_project(name):
            raise TokenBeyond(
                f"the token {call.actor.token_id} is good in {call.actor.scope.project} alone", project=name
            )
        limits = Quotas.from_document(quotas or {})
        told, asked = checked_line(title, of="title"), checked_line(contact, of="contact")
        with self._database.write() as tx:
            if self._repeated(tx, call) and (known := store.project(tx, name)) is not None:
                return known
            changes = Changes(tx, self._clock)
            if store.project(tx, name) is not None:
                raise ProjectExists(f"there is a project {name}", project=name)
            if store.profile(tx, admin) is None:
                raise UserNotFound(f"there is no user {admin!r} in this factory", user=admin)
            made = Project(
                name=name,
                title=told,
                contact=asked,
                created_by=call.actor.name,
                created_at=changes.now,
                quotas=limits,
            )
            store.add_project(tx, made)
            # No look at the maker's own rights: whoever makes a project says who decides in it.
            changes.add_grant(admin, AccessRole.ADMIN, EVERY_ENDPOINT, name)
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            details: dict[str, object] = {"admin": admin, "quotas": limits.as_document()}
            if told is not None:
                details["title"] = told
            self._journal.append(tx, _deed(call, "project.added", name, details))
        return made

    def describe(self, call: Call, told: Mapping[str, str | None]) -> Project:
        """Say anew what the project of the call is: title and contact.

        Raises:
            ProjectNotFound: there is none.
            RightMissing: the caller neither manages projects nor the users of this one.
            ContactMalformed: what is told cannot be kept.
        """
        if not _manages(call):
            call.require(Right.MANAGE_USERS)
        about = {name: checked_line(text, of=name) for name, text in told.items()}
        with self._database.write() as tx:
            before = self._required(tx, call.project)
            if self._repeated(tx, call):
                return before
            after = replace(
                before, title=about.get("title", before.title), contact=about.get("contact", before.contact)
            )
            store.change_project(tx, after)
            self._journal.append(tx, _deed(call, "project.described", call.project, about))
        return after

    def limit(self, call: Call, quotas: Mapping[str, object]) -> Project:
        """Set quotas of the project of the call; those that are not named stay, None takes a limit away.

        What the project holds beyond a new limit stays; nothing more comes until it is within.

        Raises:
            ProjectNotFound: there is none.
            QuotaMalformed: one is unknown or no whole number.
        """
        self._require(call)
        Quotas.from_document(quotas)
        with self._database.write() as tx:
            before = self._required(tx, call.project)
            if self._repeated(tx, call):
                return before
            changes = Changes(tx, self._clock)
            before = self._required(tx, call.project)
            after = replace(before, quotas=Quotas.from_document({**before.quotas.as_document(), **quotas}))
            store.change_project(tx, after)
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            details = {"quotas": after.quotas.as_document(), "before": before.quotas.as_document()}
            self._journal.append(tx, _deed(call, "project.limited", call.project, details))
        return after

    @staticmethod
    def _require(call: Call) -> None:
        replace(call, project=DEFAULT_PROJECT).require(Right.MANAGE_PROJECTS)

    @staticmethod
    def _required(tx: Transaction, name: str) -> Project:
        found = store.project(tx, name)
        if found is None:
            raise ProjectNotFound(f"there is no project {name}, or you have no part in it", project=name)
        return found

    def _repeated(self, tx: Transaction, call: Call) -> bool:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None


def _manages(call: Call) -> bool:
    return call.actor.may(Right.MANAGE_PROJECTS)


def _deed(call: Call, action: str, project: str, details: Mapping[str, object]) -> Deed:
    return Deed(
        actor=call.actor.name,
        action=action,
        subject=f"project {project}",
        project=project,
        details=dict(details),
        idempotency_key=call.idempotency_key,
        request_digest=call.request_digest,
    )
