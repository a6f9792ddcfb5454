"""Three people and what each of them may do: registering, certifying, accepting, releasing, and being refused."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

import muster
from muster.client.control import Factory
from muster.demo.errors import ClaimDoesNotHold
from muster.demo.factory import RunningFactory
from muster.demo.screen import Step
from muster.vocabulary.errors import Invalid, MusterError, NotAllowed, Refused
from muster.vocabulary.states import ReleaseState, VersionState
from muster.wire import control

ENDPOINT = "churn"
CONSUMER = "call-centre"
DEADLINE = "250ms"
PATIENCE = "100ms"
#: The share of customers who leave: what is answered when no model can answer in time.
DEFAULT_ANSWER = {"churn_probability": 0.27}
_FORBIDDEN = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Three people and an application, each with a token of their own."""

    ana: Factory
    """Data scientist: registers, certifies, proposes."""
    ben: Factory
    """Approver: accepts versions, approves releases."""
    olga: Factory
    """Operator: rolls back, looks at requests, replays."""
    admin: Factory
    ana_token: str
    call_centre_token: str
    """The application that asks for scores."""


def meet_people(factory: RunningFactory, until: ExitStack) -> People:
    """Add them to the factory, and give each a client."""
    admin = until.enter_context(muster.connect(factory.control, factory.admin_token))
    roles = {"ana": "scientist", "ben": "approver", "olga": "operator", CONSUMER: "consumer"}
    tokens = {name: _token(admin.add_user(name, role)) for name, role in roles.items()}
    clients = {name: until.enter_context(muster.connect(factory.control, tokens[name])) for name in roles}
    return People(
        ana=clients["ana"],
        ben=clients["ben"],
        olga=clients["olga"],
        admin=admin,
        ana_token=tokens["ana"],
        call_centre_token=tokens[CONSUMER],
    )


def _token(user: control.NewUser) -> str:
    assert user.token is not None
    return user.token


def refusal_of(deed: Callable[[], object], *families: type[MusterError]) -> MusterError:
    """The error that a deed ends with, which it must.

    Raises:
        ClaimDoesNotHold: it was done.
    """
    try:
        done = deed()
    except families as error:
        return error
    raise ClaimDoesNotHold(f"something that must be refused was done: {done}"[:500])


def register(people: People, bundle: Path) -> control.Version:
    """Ana registers a bundle; the bytes in the factory are those in her lab."""
    return people.ana.register(bundle)


def certify(step: Step, people: People, versions: Sequence[str]) -> dict[str, control.Certification]:
    """Ana has versions examined, several at once, and waits for the verdicts."""
    with step.progress(f"certifying {', '.join(versions)}") as advance, ThreadPoolExecutor(len(versions)) as waiting:

        def verdict_on(version: str) -> control.Certification:
            return people.ana.certify(
                version,
                progress=lambda session: advance(
                    news=f"{version} {session.progress[-1] if session.progress else 'queued'}"
                ),
            )

        return dict(zip(versions, waiting.map(verdict_on, versions), strict=True))


def show_checks(step: Step, verdicts: Iterable[control.Certification]) -> None:
    """The checks side by side, one column per version."""
    shown = list(verdicts)
    names = list(dict.fromkeys(check.name for verdict in shown for check in verdict.checks))
    found = [{check.name: check for check in verdict.checks} for verdict in shown]
    rows = [[name, *(_cell(checks.get(name)) for checks in found)] for name in names]
    step.table(["check", *(verdict.version for verdict in shown)], rows)


def _cell(check: control.Check | None) -> str:
    if check is None:
        return "-"
    figure = f"{check.figure:.4g}" if isinstance(check.figure, float) else str(check.figure)
    limit = f"{check.limit:.4g}" if isinstance(check.limit, float) else str(check.limit)
    return f"{figure} / {limit} {'✓' if check.passed else '✗'}"


def refuse_broken_bundles(step: Step, people: People, incomplete: Path, changed: Path) -> None:
    """Neither a bundle without golden answers nor one that was changed on the way gets in."""
    for what, bundle in (("a bundle without golden answers", incomplete), ("a changed byte in the model", changed)):
        error = refusal_of(partial(people.ana.register, bundle), Invalid, Refused)
        step.claim(f"{what} is refused ({error.code})", holds=True)
        step.say(error.message)
        step.measured(**{what.replace(" ", "_"): error.code})


def show_untrue_answers(step: Step, people: People, verdict: control.Certification) -> None:
    """A version that does not give its golden answers has failed at certification."""
    version = verdict.version
    failed = [check for check in verdict.checks if not check.passed]
    why = "; ".join(f"{check.name}: {check.figure} (limit {check.limit})" for check in failed)
    step.claim(
        f"{version} answers otherwise than its author says and is not certified: {why}",
        holds=not verdict.passed and [check.name for check in failed if "golden" in check.name] != [],
    )
    step.say(f"remedy: {failed[0].remedy}")
    error = refusal_of(lambda: people.ben.accept(version, reason="it will be fine"), MusterError)
    step.claim(f"nor can it be accepted: {error.message}", holds=_state(people, version) is VersionState.REGISTERED)
    step.measured(untrue_version=version, untrue_checks=[check.name for check in failed])


def seal_judgement(step: Step, people: People, rows: Path, label: str) -> None:
    """Ben seals rows by which versions are judged; ana, who makes them, cannot."""
    error = refusal_of(lambda: people.ana.seal_evaluation("churn", rows, "mine are fine", label=label), NotAllowed)
    held = people.ben.seal_evaluation("churn", rows, "customers whom no model has seen", label=label)
    step.claim(
        f"ben seals {held.rows:,} customers to judge versions by; ana, who makes them, cannot ({error.code})",
        holds=held.number == 1,
    )


def show_refusal(step: Step, what: str, verdict: control.Certification, check: str) -> None:
    """A version has failed one check, and by it the certification; the reason and what can be done about it are shown."""
    failed = [found for found in verdict.checks if not found.passed]
    step.claim(
        f"{what} ({verdict.version}) is refused by {', '.join(found.name for found in failed)}",
        holds=not verdict.passed and [found.name for found in failed] == [check],
    )
    for found in failed:
        step.say(f"{found.name}: {found.detail[:300]}")
        step.say(f"remedy: {found.remedy}")
    step.measured(**{f"refused_by_{check.replace('-', '_')}": verdict.version})


def show_evidence(step: Step, people: People, version: str, refused: str, folder: Path) -> None:
    """What an approver looks at: the report of a version that failed, and the signature under one that passed."""
    page = folder / f"report-{refused.replace(':', '-')}.html"
    page.write_text(people.ben.certification_page(refused), encoding="utf-8")
    verified = people.ben.verify_certificate(version)
    step.claim(f"the certificate of {version} is signed, and the signature holds", holds=verified.good)
    measures = people.ben.measures("churn", metric="roc_auc", version=int(version.partition(":")[2])).measures
    step.say(f"AUC of {version} on the sealed customers, by the factory: {measures[0].value:.4f}")
    step.say(f"why {refused} was refused, for people: {page}")
    step.measured(report=str(page), report_bytes=page.stat().st_size, sealed_auc=measures[0].value)


def refuse_own_approval(step: Step, people: People, factory: RunningFactory, version: str) -> None:
    """The author cannot pass her own version: not with her role, and not with an approver's either."""
    model, _, number = version.partition(":")
    path = f"/api/v1/projects/default/models/{model}/versions/{number}/accept"
    reply = httpx.post(
        factory.control + path, json={"reason": "I know it is good"}, headers={"Authorization": f"Bearer {people.ana_token}"}
    )  # fmt: skip
    step.claim(
        f"ana, who made {version}, cannot accept it: HTTP {reply.status_code}, {reply.json().get('code')}",
        holds=reply.status_code == _FORBIDDEN,
    )
    people.admin.change_role("ana", "approver")
    try:
        error = refusal_of(lambda: people.ana.accept(version, reason="I am an approver now"), NotAllowed)
    finally:
        people.admin.change_role("ana", "scientist")
    step.claim(f"nor as an approver: {error.message}", holds=_state(people, version) is not VersionState.ACCEPTED)
    step.measured(own_approval_status=reply.status_code, own_approval_code=error.code)


def accept(step: Step, people: People, versions: Iterable[str], reason: str) -> None:
    """Ben passes certified versions for production use."""
    states = {version: people.ben.accept(version, reason).state for version in versions}
    step.claim(
        f"ben accepts {', '.join(states)}: “{reason}”",
        holds=all(state is VersionState.ACCEPTED for state in states.values()),
    )


def release(
    step: Step,
    people: People,
    *,
    champion: str,
    challengers: Iterable[str] = (),
    canaries: Iterable[str] = (),
    reason: str,
    approval: str,
) -> control.Release:
    """Ana proposes a release, ben approves it, and it is live when every front serves it."""
    proposed = people.ana.propose(
        ENDPOINT,
        champion=champion,
        challengers=challengers,
        canaries=canaries,
        deadline=DEADLINE,
        patience=PATIENCE,
        default=DEFAULT_ANSWER,
        reason=reason,
    )
    with step.progress(f"release {proposed.release}: loading, golden check, warm-up, switch") as advance:
        live = people.ben.approve(
            ENDPOINT, proposed.release, approval, progress=lambda found: advance(news=str(found.state))
        )
    roster = ", ".join(f"{variant.role} {variant.version}" for variant in live.variants)
    step.claim(
        f"release {live.release} is live: {roster}; order {' → '.join(live.order)}, deadline {live.deadline_ms:g} ms"
        + (f" ({live.failure})" if live.failure else ""),
        holds=live.state is ReleaseState.LIVE and live.current,
    )
    return live


def _state(people: People, version: str) -> VersionState:
    return people.ana.version(version).state
