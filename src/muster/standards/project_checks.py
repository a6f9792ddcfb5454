"""Checks of a project's own: programs that people add, and that versions are held to once a standard names them by digest.

Adding one changes nothing by itself. Its digest comes into force with the standard that names it, which others than its proposer adopt:
what is run is what they have seen.
"""

import json
from dataclasses import dataclass
from typing import NoReturn

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed, Entry
from muster.audit.journal import Journal
from muster.registry.reasons import checked_reason
from muster.registry.service import Registry
from muster.standards import store
from muster.standards.errors import CheckMalformed, CheckNotFound
from muster.standards.records import ProjectCheck
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.names import checked_name

#: A check is read by those who adopt it; more than this is something else.
MOST_BYTES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCheck:
    """A check with its program."""

    check: ProjectCheck
    text: str
    """The program: Python."""


class ProjectChecks:
    """Adds and shows the checks of projects.

    Args:
        database: where they are kept.
        journal: where deeds are recorded.
        registry: keeps the programs beside the bundles.
        clock: tells when.
    """

    def __init__(self, *, database: Database, journal: Journal, registry: Registry, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._clock = clock

    def add(self, call: Call, name: str, program: str, reason: str) -> ProjectCheck:
        """Keep a program under the name of a check; the same program again changes nothing.

        Args:
            call: who asks.
            name: of the check; standards call it `own:` and this.
            program: Python, as docs/reference/own-checks.md describes it.
            reason: why.

        Raises:
            NameMalformed: that is no name.
            CheckMalformed: the program is empty, too long, or no Python.
        """
        call.require(Right.PROPOSE_STANDARD)
        told, name, content = checked_reason(reason), checked_name(name, of="check"), _checked(program)
        added = ProjectCheck(
            project=call.project,
            name=name,
            digest=digest_of(content),
            size=len(content),
            added_by=call.actor.name,
            added_at=self._clock.now(),
            reason=told,
        )
        self._registry.keep_document(content)
        with self._database.write() as tx:
            if (
                entry := self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            ) is not None:
                return self._present(tx, call.project, entry)
            tx.lock("muster.standards", call.project)
            known = store.check(tx, call.project, name, added.digest)
            if known is not None:
                return known
            store.add_check(tx, added)
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="check.added",
                    subject=f"check {name}",
                    project=call.project,
                    details={"digest": added.digest, "size": added.size},
                    reason=told,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
        return added

    def checks(self, call: Call) -> tuple[ProjectCheck, ...]:
        """The checks that were added to the project, the newest first."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.checks_of(tx, call.project)

    def read(self, call: Call, digest: Digest) -> ReadCheck:
        """One of them, with its program.

        Raises:
            CheckNotFound: none of the project's has this digest.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            found = next((one for one in store.checks_of(tx, call.project) if one.digest == digest), None)
        if found is None:
            _refuse_unknown(call.project, digest)
        return ReadCheck(check=found, text=self._registry.document(digest).decode("utf-8"))

    def _present(self, tx: Transaction, project: str, entry: Entry) -> ProjectCheck:
        digest = Digest(str(json.loads(entry.details)["digest"]))
        found = store.check(tx, project, entry.subject.removeprefix("check "), digest)
        if found is None:
            _refuse_unknown(project, digest)
        return found


def _checked(program: str) -> bytes:
    """The program's bytes.

    Raises:
        CheckMalformed: it is empty, too long, or no Python.
    """
    try:
        content = program.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CheckMalformed("the program holds characters that UTF-8 cannot") from error
    if not program.strip() or len(content) > MOST_BYTES:
        raise CheckMalformed(f"the program has {len(content):,} bytes; it has 1 to {MOST_BYTES:,}", bytes=len(content))
    try:
        compile(program, "check.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CheckMalformed(f"the program is no Python: {error}") from error
    return content


def _refuse_unknown(project: str, digest: Digest) -> NoReturn:
    raise CheckNotFound(f"project {project} has no check with the program {digest}", digest=digest)
