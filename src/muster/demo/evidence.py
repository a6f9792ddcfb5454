"""What is left afterwards: the record of a decision, the same answer computed again, and a chain that shows any edit."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from muster.demo.errors import ClaimDoesNotHold
from muster.demo.factory import RunningFactory, muster_command
from muster.demo.governance import People
from muster.demo.screen import Step
from muster.wire import control


def show_and_replay(step: Step, people: People, records: Sequence[control.Request]) -> None:
    """Take a request that was computed together with others, show what happened to it, and compute it again."""
    record = people.olga.request(_most_accompanied(records).request_id)
    step.say(
        f"request {record.request_id} of {record.consumer} at {record.received_at}, "
        f"release {record.release}, answered after {record.elapsed_ms:.1f} of {record.deadline_ms:g} ms"
    )
    facts = list(record.inputs.items())
    step.say("about a customer with " + ", ".join(f"{name} {values[0]}" for name, values in facts[-4:]) + ", …")
    step.table(
        ("variant", "role", "answer", "latency ms", "batch", "place in it", "process"),
        [
            (
                answer.version,
                answer.role,
                _said(answer),
                f"{answer.latency_ms:.1f}" + (" late" if answer.late else ""),
                f"{answer.batch_rows} rows",
                answer.position,
                answer.host,
            )
            for answer in record.answers
        ],
    )
    together = max(answer.batch_rows for answer in record.answers)
    step.say(f"chosen: {', '.join(record.chosen)}, because: {record.reason}")
    with step.progress("computing it again on the sealed bundles") as advance:
        replay = people.olga.replay(
            record.request_id, progress=lambda session: advance(news=session.progress[-1] if session.progress else "")
        )
    step.claim(
        f"replayed on the sealed bundles, in batches as they were then (the largest of {together} rows): "
        + ("identical to the last bit" if replay.identical else f"differs: {list(replay.differences)[:3]}"),
        holds=replay.identical and not replay.differences,
    )
    step.measured(
        request_id=record.request_id,
        identical=replay.identical,
        differences=len(replay.differences),
        batch_rows=together,
        variants=len(replay.variants),
    )


def _most_accompanied(records: Sequence[control.Request]) -> control.Request:
    """Of the requests that all variants answered, the one that shared its batch with the most others."""
    answered = [record for record in records if all(answer.outputs is not None for answer in record.answers)]
    return max(answered or records, key=lambda record: max(answer.batch_rows for answer in record.answers))


def _said(answer: control.RequestAnswer) -> str:
    if answer.outputs is None:
        return answer.error or answer.status
    return ", ".join(f"{values[0]:.6f}" for values in answer.outputs.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edited:
    sequence: int
    said: str
    says: str


def verify_and_tamper(step: Step, people: People, factory: RunningFactory, copy: Path) -> None:
    """The real chain is whole; in a copy somebody gives himself another reason, and is found out."""
    verdict = people.olga.audit_verify()
    step.claim(f"the audit chain is whole: {verdict.events} events, head {verdict.head[:19]}…", holds=verdict.valid)
    _copy_database(factory.home / "muster.db", copy)
    untouched = muster_command("audit", "verify", "--database", str(copy))
    step.claim("so is that of a copy of the database", holds=untouched.code == 0 and untouched.document["valid"])
    edited = _tamper(copy)
    step.say(f"in the copy, the reason of event {edited.sequence} is edited: “{edited.said}” becomes “{edited.says}”")
    found = muster_command("audit", "verify", "--database", str(copy))
    problem = (found.document or {}).get("problem")
    step.claim(
        f"`muster audit verify --database` finds it and exits with {found.code}: {problem}",
        holds=found.code == 1 and not found.document["valid"] and found.document["at_sequence"] == edited.sequence,
    )
    again = people.olga.audit_verify()
    step.claim(f"the real one is still whole: {again.events} events", holds=again.valid)
    step.measured(
        events=again.events, head=again.head, tampered_at=edited.sequence, found_at=found.document["at_sequence"]
    )


def _copy_database(source: Path, target: Path) -> None:
    """A consistent copy, though the factory goes on writing."""
    with closing(sqlite3.connect(source)) as real, closing(sqlite3.connect(target)) as copy:
        real.backup(copy)


def _tamper(database: Path) -> _Edited:
    """Do what somebody with the database file could: edit one row, whatever guards the table."""
    says = "reviewed by two people"
    with closing(sqlite3.connect(database)) as connection, connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_events'"
        ).fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        row = connection.execute(
            "SELECT sequence, reason FROM audit_events WHERE reason != '' ORDER BY sequence LIMIT 1 OFFSET 2"
        ).fetchone()
        if row is None:
            raise ClaimDoesNotHold("the audit chain holds no event with a reason")
        sequence, said = row
        connection.execute("UPDATE audit_events SET reason = ? WHERE sequence = ?", (says, sequence))
    return _Edited(sequence=sequence, said=said, says=says)
