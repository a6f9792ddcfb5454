"""What a bundle and its evidence lack by a standard: pure, the same in the lab and in the factory."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from muster.gates.records import Gate
from muster.standards.document import CERTIFICATE, LIVE_TEST, Demands, LiveTestRule


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """What a bundle says of itself, as far as a standard can ask for it."""

    tier: str | None
    """Its risk tier; None: it names none."""
    has: frozenset[str]
    """Which of the requirements it meets."""
    deputy: str | None = None
    """Who stands in for the owner, and so has part in it; None: nobody is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFound:
    """What a check came to, in the newest certificate or in an examination that failed after it."""

    passed: bool
    figure: float | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The newest certificate of a version, and what failed since."""

    at: datetime
    checks: Mapping[str, CheckFound]
    expires: datetime | None = None
    """Until when it is good by its own words; None: it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTestFound:
    """A live-test as a standard looks at it; what is a share is one of requests or rows."""

    subject: str
    """`churn live-test 2`."""
    requests: int
    """That the version was asked, whether it answered or not."""
    hours: float
    errors: float
    late: float
    left_out: float
    down: float
    disagreement: float | None
    """None: nothing could be compared."""
    unlike: float | None
    shift: float | None
    """None: there was too little to compare."""
    passed: bool
    """By what was in force at its end."""
    outcome: str
    """Why it passed or failed, in words."""
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One thing that is missing by the standard."""

    name: str
    """By which it can be waived."""
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}"


_REMEDIES = {
    "release-notes": ("nothing says what changed", 'Write NOTES.md: muster.save(…, notes="…").'),
    "notebook": ("no notebook tells how the author got there", 'Put it in: muster.save(…, notebook="train.ipynb").'),
    "intended-use": ("[card] does not say what the model is for", 'muster.save(…, card={"intended_use": "…"}).'),
    "limitations": ("[card] does not say what the model is not fit for", 'muster.save(…, card={"limitations": "…"}).'),
    "risk-tier": ("[card] names no risk tier", 'muster.save(…, card={"risk_tier": "low"}).'),
    "data-sources": (
        "[[data]] names no source of data with its address",
        'muster.save(…, data={"training": "s3://bucket/churn.parquet"}).',
    ),
    "data-spans": (
        "[[data]] does not say of which time every source is",
        'muster.save(…, data={"training": {"uri": "…", "from": "2025-01-01", "to": "2026-01-01"}}).',
    ),
    "licences": ("[card] names no licence of model and data", 'muster.save(…, card={"licences": ["CC-BY-4.0"]}).'),
    "owner": ("the bundle has no owner", 'muster.save(…, owner="ana").'),
    "deputy": ("nobody stands in for the owner", 'muster.save(…, card={"deputy": "ben"}).'),
    "business-metric": (
        "[card] does not say by what the business measures the model",
        'muster.save(…, card={"business_metric": "…"}).',
    ),
}


def lacks_of_bundle(demands: Demands, facts: BundleFacts) -> tuple[Lack, ...]:
    """What a bundle lacks."""
    lacks = [
        Lack(name=name, problem=_REMEDIES[name][0], remedy=_REMEDIES[name][1])
        for name in demands.require
        if name not in facts.has
    ]
    if demands.tiers and facts.tier is not None and facts.tier not in demands.tiers:
        # Misspelt it would get what is asked of none, which may be less.
        known = ", ".join(demands.tiers)
        problem = f"[card] names the risk tier {facts.tier}, and the standard knows {known}"
        lacks.append(
            Lack(name="risk-tier", problem=problem, remedy="Name one that it knows, or put it into the standard.")
        )
    return tuple(lacks)


def lacks_of_evidence(demands: Demands, gate: Gate, evidence: Evidence | None, now: datetime) -> tuple[Lack, ...]:
    """What the newest certificate of a version lacks for a gate.

    Args:
        demands: of the standard, for the version's risk tier.
        gate: at which it is asked.
        evidence: the certificate; None: there is none.
        now: the moment.
    """
    if evidence is None:
        asked = demands.valid is not None or demands.checks
        return (Lack(name=CERTIFICATE, problem="there is no certificate", remedy=_CERTIFY),) if asked else ()
    lacks = [
        Lack(
            name=name,
            problem="the check failed when it was last put",
            remedy=_MEND,
        )
        for name, found in evidence.checks.items()
        if not found.passed and name not in demands.checks
    ]
    lacks.extend(_lacks_of_checks(demands, gate, evidence))
    if evidence.expires is not None and evidence.expires <= now:
        problem = f"the newest certificate was good until {evidence.expires.isoformat()}"
        lacks.append(Lack(name=CERTIFICATE, problem=problem, remedy=_CERTIFY))
    elif demands.valid is not None and evidence.at + demands.valid <= now:
        lacks.append(
            Lack(
                name=CERTIFICATE,
                problem=f"the newest certificate is of {evidence.at.isoformat()}; one lasts {demands.valid.days} days",
                remedy=_CERTIFY,
            )
        )
    return tuple(lacks)


def lacks_of_live_test(
    rule: LiveTestRule, endpoint: str, found: LiveTestFound | None, now: datetime, *, is_served: bool = False
) -> tuple[Lack, ...]:
    """What the live-test of a version that is to answer callers lacks.

    Args:
        rule: of the standard, for the version's risk tier.
        endpoint: where it shall answer.
        found: its newest live-test there that passed or failed, on the same bytes; None: there is none.
        now: the moment.
        is_served: it answers there already, though less; callers have seen since how it does, and none can be started.
    """
    if found is None:
        remedy = f"`muster livetest start {endpoint} VERSION`, and wait until it has passed."
        problem = f"no live-test of it at endpoint {endpoint} has passed on the bytes that shall be served"
        return (Lack(name=LIVE_TEST, problem=problem, remedy=remedy),) if rule.is_required else ()
    if not found.passed:
        # The newest says more than an older one that passed: nobody tries until it fits.
        return (Lack(name=LIVE_TEST, problem=f"{found.subject} failed: {found.outcome}", remedy=_TRY_AGAIN),)
    problems = list(broken_limits(rule, found))
    if not is_served and found.ended_at is not None and found.ended_at + rule.valid <= now:
        problems.append(f"it ended {found.ended_at.isoformat()}, and counts for {rule.valid / _DAY:g} days")
    return tuple(Lack(name=LIVE_TEST, problem=f"{found.subject}: {problem}", remedy=_TRY_AGAIN) for problem in problems)


def broken_limits(rule: LiveTestRule, found: LiveTestFound) -> tuple[str, ...]:
    """By what a live-test falls short of a rule, in words."""
    told = []
    if found.requests < rule.least_requests:
        told.append(f"it saw {found.requests} requests, fewer than {rule.least_requests}")
    if rule.hours is not None and found.hours < rule.hours:
        told.append(f"it lasted {found.hours:.3g} hours, less than {rule.hours:g}")
    for name, value, most in (
        ("errors", found.errors, rule.max_errors),
        ("late answers", found.late, rule.max_late),
        ("left out", found.left_out, rule.max_left_out),
        ("down", found.down, rule.max_down),
        ("disagreement", found.disagreement, rule.max_disagreement),
        # Where nothing was compared there is nothing unlike; who wants a comparison limits the disagreement.
        ("unlike", found.unlike or 0.0, rule.max_unlike),
        ("shift", found.shift, rule.max_shift),
    ):
        if most is None:
            continue
        if value is None:
            told.append(f"{name}: there was too little to compare with")
        elif value > most:
            told.append(f"{name}: {value:.4g} is more than {most:g}")
    return tuple(told)


def unwaived(lacks: Iterable[Lack], waived: Collection[str]) -> tuple[Lack, ...]:
    """Those for which nobody has granted a waiver."""
    return tuple(lack for lack in lacks if lack.name not in waived)


_DAY = timedelta(days=1)
_MEND = "Mend the model, certify it again if the fault was not its own, or have the check waived."
_TRY_AGAIN = "Mend the model and put it to a live-test again, or have `live-test` waived."
_CERTIFY = "`muster certify VERSION`; a version that is accepted may be certified again."


def _lacks_of_checks(demands: Demands, gate: Gate, evidence: Evidence) -> Iterable[Lack]:
    for name, rule in demands.checks.items():
        # What failed stays failed at every gate; a limit is asked for at its own.
        found = evidence.checks.get(name)
        if not rule.is_needed or rule.run is False:
            continue
        if found is not None and not found.passed:
            yield Lack(name=name, problem="the check failed when it was last put", remedy=_MEND)
        elif rule.gate is not gate:
            continue
        elif found is None:
            yield Lack(name=name, problem="the certificate does not hold the check", remedy=_CERTIFY)
        elif rule.limit is not None and not _holds(found.figure, rule.limit):
            yield Lack(
                name=name,
                problem=f"{found.figure} is more than {rule.limit:g}",
                remedy="Mend the model and certify it again, or have the check waived.",
            )


def _holds(figure: object, limit: float) -> bool:
    return isinstance(figure, int | float) and not isinstance(figure, bool) and figure <= limit
