"""From the records of the rooms to the documents of the wire; the only place where the two meet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from muster.access import users
from muster.access.tokens import Token
from muster.api.errors import RequestMalformed
from muster.archive.records import Record, RetentionRule
from muster.archive.verify import Verdict as ArchiveVerdict
from muster.audit.entries import Entry
from muster.audit.verify import Verdict
from muster.certification.records import Certificate
from muster.packaging.columns import Column, values_of
from muster.packaging.evolution import Change
from muster.packaging.manifest import Manifest
from muster.registry import records as registry_records
from muster.registry.differences import Diff, Difference
from muster.registry.rules import PackageRules
from muster.release import records as release_records
from muster.serving.decisions import COMBINED
from muster.sessions.records import Session as SessionRecord
from muster.vocabulary.clock import rfc3339, rfc3339_of_ns
from muster.vocabulary.names import VersionName
from muster.vocabulary.tensors import Datatype
from muster.wire import control
from muster.wire.plans import FirstPolicy, RequestLimits, SplitPolicy
from muster.wire.records import StoredColumn, VariantAnswer

_MS = 1_000_000  # nanoseconds


def user(user: users.User) -> control.User:
    """A user in a project."""
    return control.User(
        name=user.name,
        role=user.role,
        endpoints=user.endpoints,
        created_at=rfc3339(user.created_at),
        may=tuple(str(right) for right in user.may),
        tokens=tuple(map(token, user.tokens)),
        groups=dict(user.groups),
        kind=user.kind.value,
        title=user.title,
        contact=user.contact,
        channel=user.channel,
    )


def token(held: Token) -> control.Token:
    """A token, without its text."""
    scope = held.scope
    return control.Token(
        token_id=held.token_id,
        user=held.user,
        created_at=rfc3339(held.created_at),
        expires_at=_at(held.expires_at),
        label=held.label,
        rights=None if scope.rights is None else tuple(sorted(str(right) for right in scope.rights)),
        endpoints=scope.endpoints,
        project=scope.project,
        last_used_at=_at(held.last_used_at),
        replaces=held.replaces,
    )


def new_user(made: users.NewUser) -> control.NewUser:
    """A user with a new token."""
    return control.NewUser(name=made.name, role=made.role, token=made.token, token_id=made.token_id)


def revoked(gone: users.Revoked) -> control.Revoked:
    """Tokens that ended."""
    return control.Revoked(user=gone.user, token_ids=gone.token_ids)


def audit_event(entry: Entry) -> control.AuditEvent:
    """An event in its place."""
    return control.AuditEvent(
        sequence=entry.sequence,
        at=entry.at,
        project=entry.project,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        reason=entry.reason,
        details=msgspec.json.decode(entry.details),
        previous=entry.previous,
        hash=entry.hash,
    )


def audit_verdict(verdict: Verdict) -> control.AuditVerdict:
    """Whether the chain is whole."""
    return control.AuditVerdict(
        valid=verdict.valid,
        events=verdict.events,
        head=verdict.head,
        problem=verdict.problem,
        at_sequence=verdict.at_sequence,
    )


def proposal(order: control.ProposalOrder) -> release_records.Proposal:
    """A release as somebody wants it."""
    return release_records.Proposal(
        champion=VersionName.parse(order.champion),
        challengers=tuple(VersionName.parse(version) for version in order.challengers),
        canaries=tuple(VersionName.parse(version) for version in order.canaries),
        twins=tuple(VersionName.parse(version) for version in order.twins),
        order=None if order.order is None else tuple(VersionName.parse(version) for version in order.order),
        deadline=None if order.deadline_ms is None else timedelta(milliseconds=order.deadline_ms),
        policy=_wanted(order.policy),
        patience=timedelta(milliseconds=order.patience_ms) if isinstance(order.patience_ms, float | int) else None,
        patience_of={
            VersionName.parse(version): timedelta(milliseconds=patience)
            for version, patience in (order.patience_ms.items() if isinstance(order.patience_ms, dict) else ())
        },
        default=order.default,
        archive_level=order.archive_level,
        archive_full=order.archive_full,
        limits=order.limits or RequestLimits(),
    )


def window(order: control.SimulationOrder) -> release_records.Window:
    """Which past requests are meant."""
    last = {} if order.last is None else {"last": order.last}
    return release_records.Window(from_=moment_of(order.from_), to=moment_of(order.to), **last)


def simulation(found: release_records.Simulation) -> control.Simulation:
    """What the policy of a release would have done."""
    return control.Simulation(
        endpoint=found.endpoint,
        release=found.release,
        step=found.step,
        records=found.records,
        used=found.used,
        skipped=dict(found.skipped),
        first_at=None if found.first_ns is None else rfc3339_of_ns(found.first_ns),
        last_at=None if found.last_ns is None else rfc3339_of_ns(found.last_ns),
        never_seen=found.never_seen,
        absent=dict(found.absent),
        unasked=found.unasked,
        unasked_and_none=found.unasked_and_none,
        champion_share=found.champion_share,
        fallback_share=found.fallback_share,
        default_share=found.default_share,
        on_time_share=found.on_time_share,
        reasons=dict(found.reasons),
        answered_by=dict(found.answered_by),
        p50_ms=found.p50_ms,
        p99_ms=found.p99_ms,
        rows_compared=found.rows_compared,
        agreement=found.agreement,
        mean_absolute_difference=dict(found.mean_absolute_difference),
    )


def moment_of(text: str | None) -> datetime | None:
    """The moment that a document names.

    Raises:
        RequestMalformed: there is no such moment.
    """
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RequestMalformed(f"{text!r} is not a moment: {error}", value=text) from error


def required_moment(text: str) -> datetime:
    """The moment that a document names, where it has to name one.

    Raises:
        RequestMalformed: there is no such moment.
    """
    found = moment_of(text)
    assert found is not None
    return found


def _wanted(
    order: control.FirstOrder | control.VoteOrder | control.WeightedOrder | control.SplitOrder,
) -> release_records.WantedPolicy:
    match order:
        case control.FirstOrder():
            return release_records.WantedFirst()
        case control.VoteOrder(output=output, wait_ms=wait_ms):
            return release_records.WantedVote(output=output, wait=_duration(wait_ms))
        case control.WeightedOrder(weights=weights, outputs=outputs, argmax=argmax, wait_ms=wait_ms):
            return release_records.WantedWeighted(
                weights=_by_version(weights), outputs=outputs, argmax=argmax, wait=_duration(wait_ms)
            )
        case control.SplitOrder(field=field, steps=steps, salt=salt):
            return release_records.WantedSplit(field=field, steps=tuple(_by_version(step) for step in steps), salt=salt)


def _by_version(figures: dict[str, float]) -> dict[VersionName, float]:
    return {VersionName.parse(version): figure for version, figure in figures.items()}


def _duration(milliseconds: float | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)


def release(found: release_records.Release, *, with_plan: bool = True) -> control.Release:
    """A release; its plan only where one release is asked for."""
    plan = found.plan
    return control.Release(
        endpoint=found.endpoint,
        release=found.number,
        state=found.state,
        current=found.current,
        project=found.project,
        variants=tuple(
            control.Variant(version=variant.version, role=variant.role, manifest=variant.manifest)
            for variant in plan.variants
        ),
        order=plan.policy.order,
        deadline_ms=plan.deadline_ms,
        patience_ms=plan.policy.patience_ms if isinstance(plan.policy, FirstPolicy | SplitPolicy) else (),
        policy=plan.policy,
        step=found.step if isinstance(plan.policy, SplitPolicy) else None,
        archive_full=plan.archive_full,
        default=plan.default,
        proposed_by=found.proposed_by,
        proposed_at=rfc3339(found.proposed_at),
        reason=found.reason,
        decided_by=found.decided_by,
        decided_at=_at(found.decided_at),
        decision_reason=found.decision_reason,
        live_at=_at(found.live_at),
        failure=found.failure,
        plan_digest=found.plan_digest,
        plan=plan if with_plan else None,
        warnings=found.warnings,
        breaks=tuple(contract_change(change) for change in found.breaks),
        awaited=found.awaited,
        missing=found.missing,
        live_from=_at(found.live_from),
        glass=None if found.glass is None else _glass(found.glass),
    )


def _glass(glass: release_records.Glass) -> control.BrokenGlass:
    return control.BrokenGlass(
        broken_by=glass.broken_by,
        at=rfc3339(glass.at),
        confirm_by=rfc3339(glass.confirm_by),
        reason=glass.reason,
        state=glass.state.value,
    )


def contract_change(found: Change) -> control.ContractChange:
    """Something that is not as it was, in one field of a contract."""
    return control.ContractChange(field=found.field, side=found.side, what=found.what, compatible=found.is_compatible)


def endpoint(found: release_records.Endpoint) -> control.EndpointSummary:
    """An endpoint in a list."""
    return control.EndpointSummary(
        name=found.name,
        project=found.project,
        current=found.current,
        champion=None if found.champion is None else str(found.champion),
        releases=found.releases,
    )


def endpoint_with_history(
    found: release_records.Endpoint, history: tuple[release_records.Pointer, ...], after: int | None = None
) -> control.Endpoint:
    """An endpoint, and what was current when."""
    return control.Endpoint(
        name=found.name,
        project=found.project,
        created_by=found.created_by,
        created_at=rfc3339(found.created_at),
        current=found.current,
        champion=None if found.champion is None else str(found.champion),
        releases=found.releases,
        history=tuple(
            control.WasCurrent(release=pointer.release, at=rfc3339(pointer.at), by=pointer.by, cause=pointer.cause)
            for pointer in history
        ),
        next=after,
    )


def front(found: release_records.Front) -> control.Front:
    """A front that is connected."""
    return control.Front(name=found.name, number=found.number, silent_s=found.silent_s)


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def model_summary(found: registry_records.ModelSummary) -> control.ModelSummary:
    """A model in a list."""
    return control.ModelSummary(
        name=found.name,
        project=found.project,
        versions=found.versions,
        latest=None if found.latest is None else version_summary(found.latest),
        **_model_facts(found.facts),
    )


def model(found: registry_records.Model, after: int | None = None) -> control.Model:
    """A model and its versions, and behind which there are more."""
    return control.Model(
        name=found.name,
        project=found.project,
        created_by=found.created_by,
        created_at=rfc3339(found.created_at),
        versions=tuple(version_summary(version) for version in found.versions),
        next=after,
        **_model_facts(found.facts),
    )


def _model_facts(facts: registry_records.ModelFacts) -> dict[str, Any]:
    return {
        "owner": facts.owner,
        "deputy": facts.deputy,
        "description": facts.description,
        "business_metric": facts.business_metric,
        "tags": dict(facts.tags),
    }


def version_summary(found: registry_records.Version) -> control.VersionSummary:
    """A version in a list."""
    return control.VersionSummary(
        version=str(found.name),
        number=found.number,
        state=found.state,
        digest=found.digest,
        registered_by=found.registered_by,
        registered_at=rfc3339(found.registered_at),
    )


def version(
    found: registry_records.Version,
    sealed: Manifest,
    certificate: Certificate | None,
    releases: tuple[release_records.Release, ...],
    lacks: tuple[str, ...] = (),
) -> control.Version:
    """A version with its files, its certificate, the releases that name it, and what it lacks."""
    return control.Version(
        model=found.model,
        version=str(found.name),
        number=found.number,
        digest=found.digest,
        state=found.state,
        project=found.project,
        registered_by=found.registered_by,
        registered_at=rfc3339(found.registered_at),
        description=found.description,
        owners=found.owners,
        authors=found.authors,
        tags=found.tags,
        contract=found.contract,
        files=(
            *(control.BundleFile(path=one.path, digest=one.digest, size=one.size) for one in sealed.files),
            *(
                control.BundleFile(path=one.path, digest=one.digest, size=one.size, uri=one.uri)
                for one in sealed.external
            ),
        ),
        certificate=None if certificate is None else certificate_of(certificate),
        releases=tuple(release.subject for release in releases),
        missing=found.missing,
        lacks=lacks,
    )


def certificate_of(found: Certificate) -> control.Certificate:
    """One certificate."""
    return control.Certificate(
        session=found.session,
        environment=found.environment,
        hardware=found.hardware,
        requested_by=found.requested_by,
        at=rfc3339(found.at),
        seal=found.seal,
        twin=found.twin,
        evidence=found.evidence,
        standard=None if found.standard is None else f"{found.standard.name}:{found.standard.number}",
        expires=_at(found.expires),
        signed=found.envelope is not None,
        checks=tuple(
            control.Check(
                name=check.name,
                passed=check.passed,
                figure=check.figure,
                limit=check.limit,
                detail=check.detail,
                figures=dict(check.figures),
                remedy=check.remedy,
            )
            for check in found.checks
        ),
    )


def manifest(name: VersionName, found: Manifest) -> control.Manifest:
    """A version's manifest."""
    return control.Manifest(version=str(name), digest=found.digest, manifest=msgspec.to_builtins(found))


def diff(found: Diff, environment: tuple[Difference, ...] = ()) -> control.VersionDiff:
    """How two versions differ; `environment`: in what their seals do."""
    return control.VersionDiff(
        before=str(found.before),
        after=str(found.after),
        same=found.same,
        files=_differences(found.files),
        contract=_differences(found.contract),
        packages=_differences(found.packages),
        declared=_differences(found.declared),
        environment=_differences(environment),
    )


def package_rules(found: PackageRules) -> control.PackageRules:
    """Which packages a project trusts."""
    return control.PackageRules(
        rules=found.text, set_by=found.set_by, set_at=None if found.set_at is None else rfc3339(found.set_at)
    )


def _differences(found: tuple[Difference, ...]) -> tuple[control.Difference, ...]:
    return tuple(control.Difference(what=one.what, before=one.before, after=one.after) for one in found)


def session(found: SessionRecord) -> control.Session:
    """One execution of long work."""
    return control.Session(
        id=found.id,
        kind=found.kind,
        subject=found.subject,
        state=found.state,
        requested_by=found.requested_by,
        created_at=rfc3339(found.created_at),
        started_at=_at(found.started_at),
        finished_at=_at(found.finished_at),
        progress=found.progress,
        result=None if found.result is None else dict(found.result),
        attempt=found.attempt,
        ahead=found.ahead,
        lines=found.lines,
        kept=tuple(done.content["check"] for done in found.kept if "check" in done.content),
    )


def request_summary(record: Record) -> control.RequestSummary:
    """A past request in a list."""
    decided = record.decided
    return control.RequestSummary(
        request_id=record.request_id,
        at=rfc3339_of_ns(decided.received_ns),
        endpoint=decided.endpoint,
        release=decided.release,
        consumer=decided.consumer,
        rows=decided.rows,
        reason=decided.reason,
        variants=tuple(dict.fromkeys(_chosen(record))),
        elapsed_ms=decided.elapsed_ns / _MS,
        client_id=decided.client_id,
    )


def request(record: Record) -> control.Request:
    """The decision record of a request."""
    decided = record.decided
    late = {event.answer.version for event in record.late}
    return control.Request(
        request_id=record.request_id,
        client_id=decided.client_id,
        consumer=decided.consumer,
        project=decided.project,
        endpoint=decided.endpoint,
        release=decided.release,
        plan_digest=decided.plan,
        contract_digest=decided.contract,
        received_at=rfc3339_of_ns(decided.received_ns),
        decided_at=rfc3339_of_ns(decided.decided_ns),
        elapsed_ms=decided.elapsed_ns / _MS,
        deadline_ms=decided.deadline_ns / _MS,
        rows=decided.rows,
        body_sha256=decided.body_sha256.hex(),
        inputs=_columns(decided.inputs),
        answers=tuple(_answer(answer, late=answer.version in late) for answer in record.answers()),
        chosen=_chosen(record),
        reason=decided.reason,
        probability=decided.probability,
        forced=decided.forced,
        default=None if decided.default is None else msgspec.json.decode(decided.default),
        front=decided.front,
        weights={
            answer.version: weight for answer, weight in zip(decided.answers, decided.weights, strict=False) if weight
        },
        combined=_columns(decided.combined) if decided.combined else None,
        step=decided.step,
        overrides=decided.overrides,
    )


def archive_verdict(found: ArchiveVerdict) -> control.ArchiveVerdict:
    """Whether the archive is whole."""
    return control.ArchiveVerdict(
        valid=found.valid,
        endpoints=tuple(
            control.Account(
                endpoint=endpoint,
                received=figures.received,
                recorded=figures.recorded,
                dropped=figures.dropped,
                refused=figures.refused,
                unanswered=figures.unanswered,
                on_the_way=figures.on_the_way,
                late=figures.late,
                removed=figures.removed,
            )
            for endpoint, figures in found.endpoints.items()
        ),
        fronts=tuple(
            control.ArchiveChain(
                front=chain.front, segments=chain.segments, first=chain.first, last=chain.last, digest=chain.digest
            )
            for chain in found.chains
        ),
        files=found.files,
        unproven_files=found.unproven_files,
        problems=tuple(
            control.ArchiveProblem(kind=problem.kind, where=problem.where, message=problem.message)
            for problem in found.problems
        ),
    )


def retention(rule: RetentionRule) -> control.Retention:
    """How long the records of an endpoint are kept."""
    return control.Retention(
        endpoint=rule.endpoint,
        days=rule.days,
        set_by=rule.set_by or None,
        set_at=rule.set_at or None,
        reason=rule.reason or None,
    )


def _answer(answer: VariantAnswer, *, late: bool) -> control.RequestAnswer:
    return control.RequestAnswer(
        version=answer.version,
        role=answer.role,
        status=answer.status,
        late=late,
        outputs=None if answer.outputs is None else _columns(answer.outputs),
        error=answer.error,
        latency_ms=answer.latency_ns / _MS,
        compute_ms=answer.compute_ns / _MS,
        environment=answer.environment,
        host=answer.host,
        batch=answer.batch,
        position=answer.position,
        batch_rows=answer.batch_rows,
        alone=answer.alone,
        threads=answer.threads,
        cpu=answer.cpu,
    )


def _chosen(record: Record) -> tuple[str, ...]:
    """Per row the version whose answer was given, or what was given in its place."""
    if COMBINED in record.decided.chosen:
        return ("combined",) * max(1, record.decided.rows)
    otherwise = "none" if record.decided.default is None else "default"
    return tuple(version or otherwise for version in record.chosen_versions())


def _columns(stored: tuple[StoredColumn, ...]) -> dict[str, list[Any]]:
    return {
        column.name: values_of(Column(Datatype(column.datatype), column.shape, column.data, column.nulls))
        for column in stored
    }
