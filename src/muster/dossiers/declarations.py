"""What people declare to have tested by hand, kept as audit events: who, when, and where the results can be read.

There is no table of it: the chain of events is what counts, and the newest event about a test says whether it is declared.
"""

import json

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed, Entry
from muster.audit.journal import Journal
from muster.dossiers.errors import NotDeclared
from muster.dossiers.records import Declaration
from muster.registry.errors import NotYourModel
from muster.registry.reasons import checked_reason
from muster.registry.service import Registry
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import from_rfc3339

_DECLARED = "test-score.declared"
_WITHDRAWN = "test-score.withdrawn"


class Declarations:
    """Tests of the ML Test Score that people did by hand.

    Args:
        database: where the journal is.
        journal: keeps them.
        registry: tells who owns a model.
    """

    def __init__(self, *, database: Database, journal: Journal, registry: Registry) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry

    def of(self, tx: Transaction, project: str, model: str) -> dict[str, Declaration]:
        """What is declared of a model, by test."""
        found: dict[str, Declaration] = {}
        for entry in self._journal.about(tx, _subject(model), project, _DECLARED, _WITHDRAWN):
            details = json.loads(entry.details)
            if entry.action == _WITHDRAWN:
                found.pop(details["test"], None)
            else:
                found[details["test"]] = _declaration(entry, details)
        return found

    def declare(self, call: Call, model: str, test: str, where: str, reason: str) -> None:
        """Keep that somebody has done by hand what a test asks; declared again, it counts from now.

        Args:
            call: who, and in which project.
            model: of which.
            test: `data-3`.
            where: the results can be read.
            reason: what was done and found.

        Raises:
            ModelNotFound: the project has none of this name.
            NotYourModel: the caller neither owns the model nor has the right manage-models.
        """
        self._put(call, model, _DECLARED, {"test": test, "where": where}, reason)

    def withdraw(self, call: Call, model: str, test: str, reason: str) -> None:
        """Take back what was declared.

        Raises:
            ModelNotFound: the project has none of this name.
            NotYourModel: the caller neither owns the model nor has the right manage-models.
            NotDeclared: it is not declared.
        """
        self._put(call, model, _WITHDRAWN, {"test": test}, reason)

    def _put(self, call: Call, model: str, action: str, details: dict[str, str], reason: str) -> None:
        call.require(Right.READ)
        told = checked_reason(reason)
        self._require_owned(call, model)
        with self._database.write() as tx:
            if self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None:
                return
            tx.lock("muster.dossiers", call.project, model)
            if action == _WITHDRAWN and details["test"] not in self.of(tx, call.project, model):
                raise NotDeclared(f"{details['test']} is not declared for {model}", model=model, test=details["test"])
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action=action,
                    subject=_subject(model),
                    project=call.project,
                    details=dict(details),
                    reason=told,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )

    def _require_owned(self, call: Call, model: str) -> None:
        owner = self._registry.model(call, model, limit=0).facts.owner
        if owner != call.actor.name and not call.may(Right.MANAGE_MODELS):
            raise NotYourModel(
                f"{call.actor.name} does not own the model {model}, and may not {Right.MANAGE_MODELS}",
                model=model,
                owner=owner,
            )


def _subject(model: str) -> str:
    return f"model {model}"


def _declaration(entry: Entry, details: dict[str, str]) -> Declaration:
    return Declaration(
        test=details["test"], where=details["where"], reason=entry.reason, by=entry.actor, at=from_rfc3339(entry.at)
    )
