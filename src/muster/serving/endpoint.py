"""What a front serves: endpoints with their plans, lanes to hosts, and one request's way through them.

`apply` takes what control published. A plan is served once its hosts are up; until then the plan before it goes on. Requests
keep the plan they met, so no answer is ever a mixture of two releases.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import Literal

import structlog

from muster.packaging.columns import Column, Table, joined, rows_between
from muster.serving.admission import Admission
from muster.serving.batching import Lane, batch_numbers
from muster.serving.counts import EndpointCounts, FrontCounts, LaneNow
from muster.serving.decisions import COMBINED, DEFAULT, Decision, Outcome
from muster.serving.errors import (
    EndpointNotReady,
    FrontOverloaded,
    NoAnswerInTime,
    RecordNotWritten,
    ServedTooLongOffline,
    VersionUnreachable,
    unknown_endpoint,
)
from muster.serving.fanout import fan_out, pass_over
from muster.serving.plan import Plan
from muster.serving.probation import Probations
from muster.serving.recorder import Ledger, Recorder
from muster.serving.rendezvous import Done, Mailbox, Rendezvous
from muster.serving.shadow import ShadowLane, shadow_key
from muster.serving.workers.keeper_link import KeeperLink
from muster.serving.workers.link import HostLink
from muster.serving.workers.roster import HostStanding, WantedHost
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds, request_id_text
from muster.wire.plans import EndpointPlans, Shadow

_TIDY_EVERY_S = 0.1
#: Where nothing is served.
_NO_DEADLINE_S = 0.1
#: A request whose answer is expected after more than this share of its deadline is refused, where there is no default answer.
_WORTH_WAITING = 0.8
#: A host that is up and does not say hello for so long, seconds, hangs.
_HELLO_WITHIN_S = 30.0

#: (endpoint, release, state, message): tells control what became of a plan.
Reporter = Callable[[str, int, Literal["loaded", "golden_failed", "load_failed", "serving"], str], None]
#: (endpoint, shadow, state, message): tells control what became of a version on trial.
ShadowReporter = Callable[[str, Shadow, Literal["loaded", "golden_failed", "load_failed"], str], None]
#: While so large a share of the requests that can be answered in time is under way, versions on trial are left out.
_BUSY_SHARE = 0.5
log = structlog.get_logger()


class Scored:
    """One request, decided and recorded."""

    __slots__ = ("decision", "mailbox", "request_id")

    def __init__(self, mailbox: Mailbox, decision: Decision) -> None:
        self.mailbox = mailbox
        self.decision = decision
        self.request_id = request_id_text(mailbox.request_id).encode()
        """As answers have it."""

    @property
    def version(self) -> str:
        """`churn:3`, `default` or `combined`; several, with commas, where rows are answered by different variants."""
        chosen = self.decision.chosen
        if chosen is None:
            return self.version_of(self.decision.variant)
        return ",".join(dict.fromkeys(map(self.version_of, chosen)))

    @property
    def role(self) -> str:
        """The role of the variant that answered, or `default`, or `combined`; of several, that of the first row's."""
        return self.role_of(self.decision.variant)

    def version_of(self, variant: int) -> str:
        """What a variant's index in a decision stands for."""
        if variant >= 0:
            return self.mailbox.plan.variants[variant].version
        return "combined" if variant == COMBINED else "default"

    def role_of(self, variant: int) -> str:
        """The role that a variant's index in a decision stands for."""
        if variant >= 0:
            return self.mailbox.plan.variants[variant].role.value
        return "combined" if variant == COMBINED else "default"

    def outputs(self) -> Table:
        """The answer's columns; the default answer has its row repeated, rows of different variants are put together."""
        decision, mailbox = self.decision, self.mailbox
        if decision.chosen is not None:
            return _put_together(mailbox, decision.chosen)
        if decision.variant >= 0:
            return Table(mailbox.rows, dict(mailbox.outputs(decision.variant)))
        if decision.variant == COMBINED:
            return Table(mailbox.rows, dict(decision.outputs or {}))
        return _default_table(mailbox.plan, mailbox.rows)


def _wall_offset_ns() -> int:
    """What the wall clock shows beyond the monotonic one; looked up several times a second, as the wall clock may be set."""
    return wall_ns() - int(monotonic() * 1e9)


def _default_table(plan: Plan, rows: int) -> Table:
    columns = plan.default_columns or {}
    return Table(
        rows,
        {
            name: Column(
                column.datatype, column.shape, bytes(column.data) * rows,
                None if column.nulls is None else bytes(column.nulls) * rows,
            )
            for name, column in columns.items()
        },
    )  # fmt: skip


def _unanswered(mailbox: Mailbox) -> str:
    """Why there is no answer, for the caller."""
    plan = mailbox.plan
    after = f"answered after {mailbox.elapsed_ns / 1e6:.0f} of {mailbox.deadline_s * 1000:g} ms"
    if mailbox.forced:
        return f"the version that was asked for has not {after}"
    failed = [plan.variants[index].version for index in plan.order if mailbox.outcomes[index] is Outcome.FAILED]
    told = f" ({', '.join(failed)} failed)" if failed else ""
    return f"no variant of endpoint {plan.endpoint!r} has {after}{told}, and there is no default answer"


def _put_together(mailbox: Mailbox, chosen: tuple[int, ...]) -> Table:
    """Each row from the variant that was chosen for it; neighbours of one variant are cut out as one piece."""
    tables = {
        variant: Table(mailbox.rows, dict(mailbox.outputs(variant)))
        if variant >= 0
        else _default_table(mailbox.plan, mailbox.rows)
        for variant in set(chosen)
    }
    pieces: list[Table] = []
    start = 0
    for row in range(1, len(chosen) + 1):
        if row == len(chosen) or chosen[row] != chosen[start]:
            pieces.append(rows_between(tables[chosen[start]], start, row))
            start = row
    return joined(pieces)


class _InUse:
    """What a front holds for the requests that meet one plan; everything in the order of the plan's variants."""

    __slots__ = ("lanes", "probations", "variants")

    def __init__(self, plan: Plan, lanes: Mapping[str, Lane], counts: EndpointCounts) -> None:
        self.lanes = tuple(lanes[variant.key] for variant in plan.variants)
        self.variants = tuple(counts.variant(variant.version, variant.role.value) for variant in plan.variants)
        patience_s = {index: plan.patience_s(index) for index in plan.order}
        self.probations = Probations(patience_s, plan.usable_s(plan.deadline_s))


class _Served:
    """One endpoint on this front."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.counts = ledger.counts
        self.number = -1
        self.serving: Plan | None = None
        self.next: Plan | None = None
        """Control says to serve it; its hosts are not all settled yet."""
        self.loading: Plan | None = None
        self.warm: Plan | None = None
        self.banned: frozenset[str] = frozenset()
        self.told: set[tuple[int, str]] = set()
        self.step = 0
        self.shadow: Shadow | None = None
        """What control says is on trial."""
        self.shadow_lane: ShadowLane | None = None
        self.shadow_told: set[tuple[int, str]] = set()

    def plans(self) -> list[Plan]:
        """Every plan that is held, whatever for."""
        return [plan for plan in (self.serving, self.next, self.loading, self.warm) if plan is not None]


class Endpoints:
    """All endpoints of one front.

    Args:
        keeper: the link to the keeper that owns the hosts.
        recorder: writes decision records.
        rendezvous: where answers meet.
        front: this front's number, for request ids.
        report: tells control.
        offline_s: how long control has not been reached, seconds.
        counts: what this front has done.
        report_shadow: tells control of versions on trial.
    """

    def __init__(
        self,
        *,
        keeper: KeeperLink,
        recorder: Recorder,
        rendezvous: Rendezvous,
        front: int,
        report: Reporter,
        offline_s: Callable[[], float],
        counts: FrontCounts,
        report_shadow: ShadowReporter = lambda *_: None,
    ) -> None:
        self._keeper = keeper
        self._report_shadow = report_shadow
        self._recorder = recorder
        self._rendezvous = rendezvous
        self._report = report
        self._offline_s = offline_s
        self._loop = asyncio.get_running_loop()
        self._ids = RequestIds(front)
        self._front = front
        self._batches: dict[str, Iterator[int]] = {}
        self._served: dict[str, _Served] = {}
        self._lanes: dict[str, Lane] = {}
        self._in_use: dict[str, _InUse] = {}
        self._counts = counts
        self._admission = Admission()
        self._wall_offset_ns = _wall_offset_ns()
        self._offline_now_s = 0.0
        self._wanted: dict[str, tuple[Plan, int]] = {}
        self.turn = 0
        """Grows whenever what is served may have changed."""
        self._is_leaving = False
        """A lane that no plan names is still at work."""
        self._connecting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        keeper.on_standings = self._standings
        self._tidying = self._loop.create_task(self._tidy_for_ever(), name="endpoints.tidy")

    # One request's way.

    def find(self, endpoint: str) -> Plan:
        """The plan that is served for an endpoint.

        Raises:
            EndpointUnknown: none is.
        """
        served = self._served.get(endpoint)
        if served is None or served.serving is None:
            raise unknown_endpoint(endpoint)
        return served.serving

    def served(self) -> list[Plan]:
        """Every plan that is served, by endpoint."""
        return [served.serving for _, served in sorted(self._served.items()) if served.serving is not None]

    def with_version(self, model: str, number: str) -> list[Plan]:
        """The plans that have `model:number` among their variants, by endpoint."""
        return [plan for plan in self.served() if plan.variant_of(f"{model}:{number}") is not None]

    def is_staffed(self, plan: Plan) -> bool:
        """Whether a host of the champion or of a fallback of the plan is up."""
        banned = self._served[plan.endpoint].banned
        return any(
            self._lanes[plan.variants[index].key].is_up and plan.variants[index].version not in banned
            for index in plan.order
        )

    def can_answer(self, plan: Plan) -> bool:
        """Whether a request that came now would wait for the champion or a fallback: one is up, and is not passed over."""
        if not self.is_staffed(plan):
            return False
        probations = self._used(plan).probations
        if not probations.passed_over:
            return True
        now, banned = monotonic(), self._served[plan.endpoint].banned
        return any(
            self._lanes[variant.key].is_up and variant.version not in banned and not probations.is_out(index, now)
            for index, variant in ((index, plan.variants[index]) for index in plan.order)
        )

    def _may_answer(self, plan: Plan) -> bool:
        """Whether the champion or a fallback runs, or ended just now and is being started again."""
        banned = self._served[plan.endpoint].banned
        lanes = [
            self._lanes[plan.variants[index].key] for index in plan.order if plan.variants[index].version not in banned
        ]
        return any(lane.is_expected(plan.deadline_s) for lane in lanes)

    def on_probation(self, plan: Plan) -> list[str]:
        """Versions of the plan that nobody waits for at present."""
        return [plan.variants[index].version for index in self._used(plan).probations.passed_over]

    def is_up(self, plan: Plan, variant: int) -> bool:
        """Whether one variant's host is up."""
        lane = self._lanes.get(plan.variants[variant].key)
        return lane is not None and lane.is_up

    def missing(self, plan: Plan) -> list[str]:
        """Versions of the plan whose hosts are not up: the endpoint is degraded by them."""
        return [variant.version for index, variant in enumerate(plan.variants) if not self.is_up(plan, index)]

    def submit(
        self,
        plan: Plan,
        table: Table,
        *,
        consumer: str,
        client_id: str | None,
        body_sha256: bytes,
        arrived_at: float,
        done: Done,
        deadline_s: float | None = None,
        version: int | None = None,
        overrides: tuple[str, ...] = (),
        idempotency_key: str | None = None,
        request_id: bytes | None = None,
    ) -> Mailbox:
        """Send a checked request to every variant; `done` is called once the decision is recorded.

        Args:
            plan: the plan that `find` gave, under which the request was checked.
            table: the request's rows.
            consumer: whose token it was.
            client_id: the caller's own id.
            body_sha256: digest of the request's bytes.
            arrived_at: when the request was there, by `time.monotonic` (uvloop's own clock has steps of a millisecond).
            done: called with the mailbox, and with None or what kept the record from being written; hand both to `scored`.
            deadline_s: how long the caller grants, seconds from arrival; the plan's own deadline is the limit, unless
                `overrides` says that the caller may set it.
            version: index of the only variant that may answer.
            overrides: what the caller overrides by right, for the record.
            idempotency_key: the caller's, for the record.
            request_id: made before, where a claim was laid under it.

        Raises:
            EndpointNotReady: no variant runs, and there is no default.
            FrontOverloaded: too many requests are under way.
            ServedTooLongOffline: control has been away for longer than the plan allows.
        """
        served = self._served[plan.endpoint]
        used = self._used(plan)
        self._admit(plan, version, served, used.lanes)
        granted = plan.granted_s(deadline_s, overrides)
        mailbox = Mailbox(
            plan=plan,
            policy=plan.policy(granted) if version is None else plan.forced(version, granted),
            table=table,
            request_id=request_id or self.new_request_id(),
            client_id=client_id,
            consumer=consumer,
            body_sha256=body_sha256,
            arrived_at=arrived_at,
            received_ns=int(arrived_at * 1e9) + self._wall_offset_ns,
            deadline_s=granted,
            done=done,
            ledger=served.ledger,
            variants=used.variants,
            probations=used.probations,
            forced=version is not None,
            step=served.step,
            overrides=overrides,
            idempotency_key=idempotency_key,
        )
        served.ledger.account.received()
        if version is None:
            pass_over(mailbox, used.lanes)
        self._rendezvous.open(mailbox)
        fan_out(mailbox, used.lanes, served.banned, self._rendezvous)
        if served.shadow_lane is not None:
            served.shadow_lane.offer(mailbox, is_busy=self._is_busy)
        return mailbox

    @property
    def _is_busy(self) -> bool:
        """Whether this front has as much to do as leaves no time for trials."""
        return self._rendezvous.open_mailboxes >= self._admission.limit * _BUSY_SHARE

    @property
    def is_overloaded(self) -> bool:
        """Whether as many requests are under way as can be answered in time."""
        return self._rendezvous.open_mailboxes >= self._admission.limit

    def new_request_id(self) -> bytes:
        """An id for a request that arrives now."""
        return self._ids.next(self._recorder.segment)

    def scored(self, mailbox: Mailbox, problem: RecordNotWritten | None) -> Scored:
        """What `done` was called with, as an answer or as the error that the caller gets.

        Raises:
            NoAnswerInTime: nothing answered, and there is no default.
            RecordNotWritten: the decision could not be recorded.
        """
        if problem is not None:
            raise problem
        decision, plan = mailbox.decision, mailbox.plan
        assert decision is not None
        if decision.variant == DEFAULT and (plan.default_columns is None or mailbox.forced):
            raise NoAnswerInTime(
                _unanswered(mailbox),
                endpoint=plan.endpoint,
                release=plan.release,
                request_id=request_id_text(mailbox.request_id),
            )
        return Scored(mailbox, decision)

    async def score(
        self,
        plan: Plan,
        table: Table,
        *,
        consumer: str,
        client_id: str | None,
        body_sha256: bytes,
        arrived_at: float,
        deadline_s: float | None = None,
        version: int | None = None,
        overrides: tuple[str, ...] = (),
        idempotency_key: str | None = None,
        request_id: bytes | None = None,
    ) -> Scored:
        """`submit` and `scored` for callers that wait; arguments and errors are theirs."""
        answered: asyncio.Future[RecordNotWritten | None] = self._loop.create_future()

        def done(_: Mailbox, problem: RecordNotWritten | None) -> None:
            if not answered.done():  # the caller may have hung up
                answered.set_result(problem)

        mailbox = self.submit(
            plan,
            table,
            consumer=consumer,
            client_id=client_id,
            body_sha256=body_sha256,
            arrived_at=arrived_at,
            done=done,
            deadline_s=deadline_s,
            version=version,
            overrides=overrides,
            idempotency_key=idempotency_key,
            request_id=request_id,
        )
        return self.scored(mailbox, await answered)

    def _used(self, plan: Plan) -> _InUse:
        """What this front holds for the requests that meet a plan."""
        used = self._in_use.get(plan.digest)
        if used is None:
            if plan not in self._served[plan.endpoint].plans():
                raise EndpointNotReady(
                    f"release {plan.release} of endpoint {plan.endpoint!r} is served no more", endpoint=plan.endpoint
                )
            used = self._in_use[plan.digest] = _InUse(plan, self._lanes, self._served[plan.endpoint].counts)
        return used

    def _admit(self, plan: Plan, version: int | None, served: _Served, lanes: tuple[Lane, ...]) -> None:
        if self.is_overloaded:
            raise FrontOverloaded(FrontOverloaded.told)
        if self._offline_now_s > plan.document.max_offline_s:
            raise ServedTooLongOffline(
                f"control has not been reached for {self._offline_now_s:.0f} s; "
                f"the release allows {plan.document.max_offline_s} s",
                endpoint=plan.endpoint,
            )
        if version is not None:
            if not self.is_up(plan, version) or plan.variants[version].version in served.banned:
                raise VersionUnreachable(
                    f"{plan.variants[version].version} does not run now", version=plan.variants[version].version
                )
        elif plan.default_columns is None:
            first = lanes[plan.order[0]]
            if first.is_at_hand and not served.banned and first.expected_wait_s <= plan.deadline_s * _WORTH_WAITING:
                return  # nearly always
            if not self._may_answer(plan):
                raise EndpointNotReady(f"no variant of endpoint {plan.endpoint!r} runs now", endpoint=plan.endpoint)
            if min(lanes[index].expected_wait_s for index in plan.order) > plan.deadline_s * _WORTH_WAITING:
                raise FrontOverloaded(
                    f"every variant of endpoint {plan.endpoint!r} has more to do than fits its deadline"
                )

    # What control says.

    def apply(self, document: EndpointPlans, number: int) -> None:
        """Take a publication: load what is new, keep what is warm, serve what is ready."""
        served = self._served.get(document.endpoint)
        if served is None:
            served = self._served[document.endpoint] = _Served(
                self._recorder.ledger(document.endpoint, self._counts.endpoint(document.endpoint))
            )
        if number <= served.number:
            return
        self.turn += 1
        served.number = number
        served.told = set()
        served.banned = frozenset(document.banned)
        served.step = document.step
        served.shadow, served.shadow_told = document.shadow, set()
        known = {plan.digest: plan for plan in served.plans()}

        def ready(plan_document: object) -> Plan | None:
            if plan_document is None:
                return None
            plan = Plan(plan_document)  # type: ignore[arg-type]
            return known.setdefault(plan.digest, plan)

        wanted = ready(document.serving)
        served.loading = ready(document.loading)
        served.warm = ready(document.warm)
        if wanted is None:
            served.serving = served.next = None
        elif served.serving is None or served.serving.digest == wanted.digest:
            served.serving, served.next = wanted, wanted
            self._count_as_served(served, wanted)
        else:
            served.next = wanted
        self._want()
        self._advance()

    def _want(self) -> None:
        """Tell the keeper which hosts the plans need, make lanes for new ones, close those of old ones.

        A lane that no plan names any more is kept until the requests that met its plan are through.
        """
        wanted: dict[str, tuple[Plan, int]] = {}
        for served in self._served.values():
            for plan in served.plans():
                for index, variant in enumerate(plan.variants):
                    wanted.setdefault(variant.key, (plan, index))
        for key, (plan, index) in wanted.items():
            if key not in self._lanes:
                variant = plan.variants[index]
                inputs = tuple(plan.contract.inputs[at] for at in variant.columns)
                numbers = self._batches.setdefault(key, batch_numbers(self._front))
                self._lanes[key] = Lane(variant, inputs, plan.contract.outputs, self._rendezvous, numbers)
        shadows = self._want_shadows()
        held = {plan.digest for served in self._served.values() for plan in served.plans()}
        self._in_use = {digest: used for digest, used in self._in_use.items() if digest in held}
        self._counts.keep_only(name for name, served in self._served.items() if served.plans())
        unnamed = [key for key in self._lanes if key not in wanted]
        for key in unnamed:
            if self._lanes[key].is_idle:
                self._lanes.pop(key).close()
            else:
                wanted[key] = self._wanted[key]
        self._is_leaving = any(key in self._lanes for key in unnamed)
        self._wanted = wanted
        variants = {key: plan.variants[index] for key, (plan, index) in wanted.items()}
        hosts = [WantedHost(key, variant.version, variant.planned.manifest) for key, variant in variants.items()]
        self._keeper.want((*hosts, *shadows))

    def _want_shadows(self) -> list[WantedHost]:
        """Begin and end trials as control says; the hosts that they need."""
        for served in self._served.values():
            plan, shadow, lane = served.serving, served.shadow, served.shadow_lane
            if shadow is not None and (plan is None or plan.release != shadow.release):
                shadow = None  # it is on trial beside another release than the one that is served here
            if lane is not None and (lane.shadow != shadow or lane.plan is not plan):
                lane.close()
                served.shadow_lane = lane = None
            if lane is None and shadow is not None and plan is not None:
                try:
                    served.shadow_lane = self._shadow_lane(shadow, plan)
                except KeyError as error:  # it takes an input that the endpoint has not: control has looked for that
                    log.exception("shadow.unusable", endpoint=plan.endpoint)
                    self._report_shadow(plan.endpoint, shadow, "load_failed", f"the endpoint has no input {error}")
        lanes = [served.shadow_lane for served in self._served.values() if served.shadow_lane is not None]
        return [
            WantedHost(lane.key, lane.variant.version, lane.variant.planned.manifest, is_shadow=True) for lane in lanes
        ]

    def _shadow_lane(self, shadow: Shadow, plan: Plan) -> ShadowLane:
        numbers = self._batches.setdefault(shadow_key(plan.endpoint, shadow), batch_numbers(self._front))
        return ShadowLane(shadow, plan, numbers, self._recorder.answered_late, self._loop.call_soon)

    def _judge_shadow(self, endpoint: str, served: _Served, lane: ShadowLane) -> None:
        state: Literal["loaded", "golden_failed", "load_failed"] = "loaded"
        message = ""
        if lane.keeps_ending:
            state, message = "load_failed", f"{lane.variant.version}: its host keeps ending"
        elif lane.standing.state == "golden_failed" or lane.standing.state == "load_failed":  # noqa: PLR1714 - mypy narrows by it
            state, message = lane.standing.state, f"{lane.variant.version}: {lane.standing.message}"
        elif not lane.is_up:
            return
        told = lane.shadow.live_test, state
        if told not in served.shadow_told:
            served.shadow_told.add(told)
            self._report_shadow(endpoint, lane.shadow, state, message)

    def _advance(self) -> None:
        """Serve and report whatever has become ready."""
        for endpoint, served in self._served.items():
            following = served.next
            if following is not None and self._is_settled(following):
                if served.serving is not following:
                    log.info("release.switched", endpoint=endpoint, release=following.release)
                    served.serving = following
                    self.turn += 1
                    self._count_as_served(served, following)
                    if served.shadow is not None or served.shadow_lane is not None:
                        self._want()
                if self.is_staffed(following):
                    served.next = None
                    self._tell(served, following, "serving")
            if served.loading is not None:
                self._judge(served, served.loading)
            if served.shadow_lane is not None:
                self._judge_shadow(endpoint, served, served.shadow_lane)

    def _count_as_served(self, served: _Served, plan: Plan) -> None:
        served.counts.serves(plan.release, [(variant.version, variant.role) for variant in plan.variants])

    def _judge(self, served: _Served, plan: Plan) -> None:
        lanes = [self._lanes[variant.key] for variant in plan.variants]
        for lane in lanes:
            if lane.standing.state in {"golden_failed", "load_failed"}:
                self._tell(served, plan, lane.standing.state, f"{lane.key}: {lane.standing.message}")
                return
        if all(lane.is_up for lane in lanes):
            self._tell(served, plan, "loaded")

    def _is_settled(self, plan: Plan) -> bool:
        """Whether every host of the plan is up or has failed for good, and one that may answer is up."""
        lanes = [self._lanes[variant.key] for variant in plan.variants]
        return self.is_staffed(plan) and all(
            lane.is_up or lane.standing.state in {"golden_failed", "load_failed"} for lane in lanes
        )

    def _tell(
        self,
        served: _Served,
        plan: Plan,
        state: Literal["loaded", "golden_failed", "load_failed", "serving"],
        message: str = "",
    ) -> None:
        if (plan.release, state) not in served.told:
            served.told.add((plan.release, state))
            self._report(plan.endpoint, plan.release, state, message)

    def begin_again(self) -> None:
        """Control's numbers begin anew: its next word counts, whatever its number."""
        for served in self._served.values():
            served.number = -1

    def report_again(self) -> None:
        """Control has started anew: say once more how everything stands."""
        for served in self._served.values():
            served.told, served.shadow_told = set(), set()
            if served.serving is not None and served.next is None:
                served.next = served.serving
        self._advance()

    # What the keeper says.

    def _standings(self, standings: tuple[HostStanding, ...]) -> None:
        for standing in standings:
            lane = self._lane_of(standing.key)
            if lane is None:
                continue
            lane.stands(standing)
            self._connect_if_due(lane)
        self._advance()

    def _lane_of(self, key: str) -> Lane | ShadowLane | None:
        """The lane of a host, be it a variant's or a shadow's."""
        return self._lanes.get(key) or next((lane for lane in self._shadow_lanes() if lane.key == key), None)

    def _shadow_lanes(self) -> Iterator[ShadowLane]:
        return (served.shadow_lane for served in self._served.values() if served.shadow_lane is not None)

    def _all_lanes(self) -> list[Lane | ShadowLane]:
        return [*self._lanes.values(), *self._shadow_lanes()]

    def _connect_if_due(self, lane: Lane | ShadowLane) -> None:
        standing = lane.standing
        if standing.state != "up" or lane.is_connected_to(standing.host) or standing.host in self._connecting:
            return
        self._connecting.add(standing.host)
        task = self._loop.create_task(self._open(lane, standing), name=f"link.{standing.key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, lane: Lane | ShadowLane, standing: HostStanding) -> None:
        """Connect a lane to its host; a host that computes says hello when it is through."""
        greeted = self._loop.create_future()

        def ready(link: HostLink) -> None:
            greeted.set_result(None)
            if self._lane_of(lane.key) is not lane:  # its plan has gone meanwhile
                link.close()
                return
            lane.connect(link)
            self._advance()

        try:
            link = await HostLink.open(standing, lane, ready)
            waited = {greeted, link.closed}
            done, _ = await asyncio.wait(waited, timeout=_HELLO_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                link.close()
                self._keeper.hung(standing.host)
        except OSError as error:  # it has died, or its backlog is full: tried again as long as the keeper says it is up
            log.info("host.unreachable", key=standing.key, host=standing.host, error=repr(error))
        finally:
            self._connecting.discard(standing.host)

    async def _tidy_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_EVERY_S)
            try:
                self._tidy()
            except Exception:  # this task must outlive whatever one endpoint does
                log.exception("endpoints.tidy_failed")

    def _tidy(self) -> None:
        self._wall_offset_ns = _wall_offset_ns()
        self._offline_now_s = self._offline_s()
        shortest_s = min((plan.deadline_s for plan in self.served()), default=_NO_DEADLINE_S)
        self._admission.learn(self._rendezvous.decided, self._rendezvous.open_mailboxes, monotonic(), shortest_s)
        for lane in self._all_lanes():
            lane.tidy()
            self._connect_if_due(lane)
            if lane.is_hung:
                self._keeper.hung(lane.standing.host)
        if self._is_leaving:
            self._want()

    def lanes_now(self) -> Iterable[LaneNow]:
        """How the way to each host of a served plan stands."""
        for plan in self.served():
            for variant, lane in zip(plan.variants, self._used(plan).lanes, strict=True):
                yield LaneNow(plan.endpoint, variant.version, variant.role.value, lane.queued, lane.is_up)

    async def close(self) -> None:
        """Stop; requests that are under way have been answered before."""
        self._tidying.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self._tidying, *self._tasks, return_exceptions=True)
        for lane in self._all_lanes():
            lane.close()
