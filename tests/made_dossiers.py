"""What is on record of a version, made up for tests of what is told of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from muster.certification.records import NO_EVIDENCE, Certificate, Check
from muster.dossiers.records import Declaration, Dossier, Examination, Serving
from muster.gates.records import Gate, Opinion, Review, Verdict, Vote
from muster.packaging.documents import Bundle, Card, DataSource, GoldenDescription, Source
from muster.packaging.runtimes import PythonRuntime
from muster.registry.records import ModelFacts, Version
from muster.release.records import Cause, Pointer, Release
from muster.sessions.records import CERTIFICATION, Measure, Measured, Session
from muster.standards.document import ready
from muster.standards.records import InForce
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState, Role, SessionState, VersionState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Declared, Field
from muster.wire.plans import FirstPolicy, PlannedVariant, ServingPlan

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NAME = VersionName("churn", 3)
DIGEST = digest_of(b"churn 3")
CONTRACT = Contract(
    inputs=(
        Field(name="tenure", datatype=Datatype.INT64, declared=Declared(minimum=0, maximum=120)),
        Field(name="gender", datatype=Datatype.BYTES, personal=True),
    ),
    outputs=(Field(name="churn_probability", datatype=Datatype.FP64),),
)


def version(**changed: Any) -> Version:
    """churn:3, accepted."""
    given: dict[str, Any] = {
        "name": NAME, "project": "default", "digest": DIGEST, "state": VersionState.ACCEPTED, "registered_by": "ana",
        "registered_at": NOW - timedelta(days=3), "description": "will they leave?", "owners": ("ana",), "authors": ("ana",),
        "tags": {}, "contract": CONTRACT, "contract_digest": DIGEST, "lock_digest": DIGEST, "python": "3.11.7", "files": 9, "size": 1000,
    }  # fmt: skip
    return Version(**{**given, **changed})


def bundle(**changed: Any) -> Bundle:
    """Of churn:3, all said that can be."""
    given: dict[str, Any] = {
        "format": 1,
        "name": "churn",
        "runtime": PythonRuntime(
            python="3.11.7", serializer="skops", model="model.skops", method="predict_proba", input="pandas"
        ),
        "contract": CONTRACT,
        "golden": GoldenDescription(rows=4),
        "source": Source(commit="0123456789abcdef", dirty=False, remote="https://git.example/churn.git"),
        "card": Card(intended_use="to call them", limitations="not for firms", risk_tier="high", licences=("MIT",), deputy="li",
                     business_metric="churn a quarter"),
        "data": (DataSource(name="lake", uri="source:lake/a.parquet", from_="2025-01-01", to="2026-01-01", digest=DIGEST),),
    }  # fmt: skip
    return Bundle(**{**given, **changed})


def session(
    checks: Mapping[str, bool], figures: Mapping[str, Mapping[str, float]] | None = None, **changed: Any
) -> Session:
    """A certification that made these checks, which measured this."""
    told = figures or {}
    made = [
        {"name": name, "passed": passed, "figure": int(not passed), "limit": 0, "detail": f"{name} said so",
         "figures": dict(told.get(name, {})), "remedy": ""}
        for name, passed in checks.items()
    ]  # fmt: skip
    given: dict[str, Any] = {
        "id": "s-" + "1" * 32, "kind": CERTIFICATION, "subject": str(NAME), "project": "default", "state": SessionState.PASSED,
        "requested_by": "ana", "created_at": NOW, "started_at": NOW, "finished_at": NOW, "executor": "e1", "progress": (),
        "result": {"version": str(NAME), "passed": True, "checks": made, "hardware": "a machine", "environment": DIGEST},
    }  # fmt: skip
    return Session(**{**given, **changed})


def examination(checks: dict[str, bool], **changed: Any) -> Examination:
    """What came of such a certification."""
    return replace(Examination(session=session(checks), evidence=NO_EVIDENCE, measures=()), **changed)


def measured(name: str, value: float, *, number: int = 3, over: str = "evaluation:2", slice_: str = "") -> Measured:
    """A number of a version."""
    measure = Measure(name=name, version=1, value=value, over=over, slice=slice_)
    return Measured(
        session=f"s-{number}", project="default", version=VersionName("churn", number), measure=measure, at=NOW
    )


def release(number: int, *versions: tuple[str, Role], **changed: Any) -> Release:
    """A release of the endpoint `churn`."""
    variants = tuple(
        PlannedVariant(version=name, role=role, manifest=DIGEST, inputs=("tenure",)) for name, role in versions
    )
    plan = ServingPlan(
        format=1, project="default", endpoint="churn", release=number, contract=CONTRACT, contract_digest=DIGEST, variants=variants,
        policy=FirstPolicy(order=(versions[0][0],), patience_ms=(60.0,)), deadline_ms=100.0,
    )  # fmt: skip
    given: dict[str, Any] = {
        "endpoint": "churn", "number": number, "project": "default", "state": ReleaseState.LIVE, "current": True, "plan": plan,
        "plan_digest": DIGEST, "proposed_by": "ana", "proposed_at": NOW, "reason": "so", "decided_by": "ben", "decided_at": NOW,
        "decision_reason": "yes", "live_at": NOW, "failure": None,
    }  # fmt: skip
    return Release(**{**given, **changed})


def serving(*releases: Release) -> Serving:
    """The endpoint, answering with the first of the releases; the others were current before."""
    history = tuple(
        Pointer(endpoint="churn", sequence=100 - at, release=one.number, at=NOW, by="ben", cause=next(iter(Cause)))
        for at, one in enumerate(releases)
    )
    return Serving(endpoint="churn", current=releases[0], releases=releases, history=history)


def vote(person: str, verdict: Verdict = Verdict.APPROVE) -> Opinion:
    """What somebody said at the gate of acceptance."""
    given = Vote(
        number=1, project="default", gate=Gate.ACCEPTANCE, subject=str(NAME), digest=DIGEST, voter=person, verdict=verdict,
        text="fine", at=NOW,
    )  # fmt: skip
    return Opinion(vote=given, why_not=None)


def review(*opinions: Opinion) -> Review:
    """What was said at the gate of acceptance."""
    return Review(
        gate=Gate.ACCEPTANCE, subject=str(NAME), digest=DIGEST, rules=(), opinions=opinions, comments=(), is_met=True, missing=(),
    )  # fmt: skip


def certificate(**changed: Any) -> Certificate:
    """Of churn:3."""
    given: dict[str, Any] = {
        "session": "s-" + "1" * 32, "version": NAME, "project": "default", "digest": DIGEST, "environment": Digest(DIGEST),
        "hardware": "a machine", "checks": (Check(name="golden-answers", passed=True, figure=0, limit=0),), "requested_by": "ana",
        "at": NOW - timedelta(days=1),
    }  # fmt: skip
    return Certificate(**{**given, **changed})


def declaration(test: str, **changed: Any) -> Declaration:
    """Something done by hand yesterday."""
    given = {"test": test, "where": "wiki/churn", "reason": "looked at it", "by": "ana", "at": NOW - timedelta(days=1)}
    return Declaration(**{**given, **changed})


def dossier(**changed: Any) -> Dossier:
    """Nothing but a registered version, unless more is said."""
    given: dict[str, Any] = {
        "now": NOW, "version": version(state=VersionState.REGISTERED), "bundle": bundle(source=None, card=Card(), data=()),
        "facts": ModelFacts(owner="ana"), "certificate": None, "valid_until": None,
        "standard": InForce(number=0, standard=ready("exploration")), "examination": None, "measures": (), "review": review(),
        "servings": (), "replayed": None,
    }  # fmt: skip
    return Dossier(**{**given, **changed})
