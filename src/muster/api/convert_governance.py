"""From the records of gates and standards to the documents of the wire."""

from datetime import datetime

from muster.gates import records as gate_records
from muster.release.dry_run import WouldFail
from muster.standards.durations import span_text
from muster.standards.evaluation import Lack
from muster.standards.records import InForce, ProjectStandard
from muster.vocabulary.clock import rfc3339
from muster.wire import governance


def review(found: gate_records.Review) -> governance.Review:
    """All that was said about something."""
    return governance.Review(
        subject=found.subject,
        gate=found.gate.value,
        digest=found.digest,
        rules=tuple(_rule(rule) for rule in found.rules),
        is_met=found.is_met,
        missing=found.missing,
        opinions=tuple(_opinion(one) for one in found.opinions),
        comments=tuple(
            governance.Comment(number=one.number, author=one.author, text=one.text, at=rfc3339(one.at))
            for one in found.comments
        ),
    )


def standard(found: ProjectStandard) -> governance.Standard:
    """A standard of a project."""
    return governance.Standard(
        number=found.number,
        name=found.name,
        description=found.standard.description,
        digest=found.digest,
        state=found.state.value,
        in_force=found.state == "adopted",
        text=found.text,
        proposed_by=found.proposed_by,
        proposed_at=rfc3339(found.proposed_at),
        reason=found.reason,
        basis=found.basis,
        decided_by=found.decided_by,
        decided_at=_at(found.decided_at),
        decision_reason=found.decision_reason,
        missing=found.missing,
    )


def nothing_adopted(found: InForce) -> governance.Standard:
    """The ready standard that holds where a project has adopted none."""
    return governance.Standard(
        number=0,
        name=found.standard.name,
        description=found.standard.description,
        digest=found.standard.digest,
        state="adopted",
        in_force=True,
        text=found.standard.text,
        proposed_by=None,
        proposed_at=None,
        reason="the project has adopted none of its own",
        basis=None,
        decided_by=None,
        decided_at=None,
        decision_reason=None,
        missing=(),
    )


def standards(found: tuple[ProjectStandard, ...], in_force: InForce) -> governance.Standards:
    """The standards of a project."""
    return governance.Standards(
        in_force=in_force.number,
        standards=tuple(
            governance.StandardSummary(
                number=one.number,
                name=one.name,
                digest=one.digest,
                state=one.state.value,
                proposed_by=one.proposed_by,
                proposed_at=rfc3339(one.proposed_at),
                reason=one.reason,
                decided_by=one.decided_by,
            )
            for one in found
        ),
    )


def lack(found: Lack) -> governance.Lack:
    """One thing that is missing."""
    return governance.Lack(name=found.name, problem=found.problem, remedy=found.remedy)


def dry_run(name: str, found: tuple[WouldFail, ...]) -> governance.DryRun:
    """What is served, held against a standard."""
    return governance.DryRun(
        name=name,
        fails=sum(bool(one.lacks) for one in found),
        versions=tuple(
            governance.WouldFail(
                version=str(one.version), endpoints=one.endpoints, lacks=tuple(lack(each) for each in one.lacks)
            )
            for one in found
        ),
    )


def delegation(found: gate_records.Delegation, now: datetime) -> governance.Delegation:
    """Who stands in for whom."""
    return governance.Delegation(
        id=found.id,
        from_person=found.from_,
        to=found.to,
        starts=rfc3339(found.starts),
        ends=rfc3339(found.ends),
        reason=found.reason,
        holds=found.holds(now),
    )


def waiver(found: gate_records.Waiver, now: datetime) -> governance.Waiver:
    """What may fail for a while."""
    return governance.Waiver(
        id=found.id,
        version=found.subject,
        digest=found.digest,
        check=found.check,
        reason=found.reason,
        state=found.state.value,
        holds=found.holds(now),
        asked_by=found.asked_by,
        asked_at=rfc3339(found.asked_at),
        ends=rfc3339(found.ends),
        decided_by=found.decided_by,
        decided_at=_at(found.decided_at),
        decision_reason=found.decision_reason,
    )


def _rule(rule: gate_records.Rule) -> governance.GateRule:
    return governance.GateRule(
        approvals=tuple(governance.Need(count=need.count, role=need.role) for need in rule.approvals),
        disjoint=rule.disjoint,
        expires=None if rule.expires is None else span_text(rule.expires),
        changes_block=rule.changes_block,
    )


def _opinion(one: gate_records.Opinion) -> governance.Opinion:
    vote = one.vote
    return governance.Opinion(
        number=vote.number,
        voter=vote.voter,
        verdict=vote.verdict.value,
        text=vote.text,
        at=rfc3339(vote.at),
        for_person=vote.for_person,
        roles=vote.roles,
        not_before=_at(vote.not_before),
        digest=vote.digest,
        counts=one.why_not is None,
        why_not=one.why_not,
    )


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
