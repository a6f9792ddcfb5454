"""Model cards with everything in them, for tests of pages."""

from typing import Any

from made_reports import DIGEST, measures
from muster.vocabulary.states import VersionState
from muster.wire.reports import CardData, CardField, CardGap, CardUse, ModelCard, ReportedVote


def card(**changed: Any) -> ModelCard:
    """A card of a version that is served, with one gap."""
    given: dict[str, Any] = {
        "format": 1,
        "version": "churn:3",
        "project": "default",
        "digest": DIGEST,
        "state": VersionState.ACCEPTED,
        "description": "Will this customer leave within a quarter?",
        "tags": {"team": "retention"},
        "owner": "ana",
        "deputy": None,
        "owners": ("ana",),
        "authors": ("ana", "li"),
        "registered_by": "ana",
        "registered_at": "2026-11-20T09:12:44.000000Z",
        "runtime": "python",
        "made_by": "muster 0.7, 3.11.7 on linux-x86_64",
        "source": "https://git.example/churn.git, commit 0123456789abcdef",
        "licences": ("Apache-2.0",),
        "risk_tier": "high",
        "intended_use": "To rank customers whom the retention team calls.\n\nBy people, never by itself.",
        "limitations": "Not for business customers; months since 2025 alone are known.",
        "business_metric": "churn of premium customers per quarter",
        "task": "binary",
        "protected": ("gender",),
        "inputs": (
            CardField(
                name="tenure",
                datatype="INT64",
                unit="months",
                nullable=False,
                personal=False,
                expected="declared 0 to 120",
                description="months since the contract began",
            ),
            CardField(
                name="gender",
                datatype="BYTES",
                unit=None,
                nullable=True,
                personal=True,
                expected="seen: f, m",
                description="",
            ),
        ),
        "outputs": (
            CardField(
                name="churn_probability",
                datatype="FP64",
                unit=None,
                nullable=False,
                personal=False,
                expected="declared 0 to 1",
                description="",
            ),
        ),
        "data": (
            CardData(
                name="customers",
                uri="source:lake/customers.parquet",
                from_="2025-01-01",
                to="2026-01-01",
                rows=7043,
                digest=DIGEST,
            ),
        ),
        "declared_metrics": {"auc": 0.8536},
        "measures": measures(),
        "measured_in": "s-0123456789abcdef0123456789abcdef",
        "certified_in": "s-0123456789abcdef0123456789abcdef",
        "certified_at": "2026-11-20T09:14:31.000000Z",
        "valid_until": "2027-05-20T09:14:31.000000Z",
        "hardware": "Intel(R) Xeon(R) CPU @ 2.60GHz, 2 cores, Linux x86_64",
        "latency": {"p50_ms": 2.1, "p99_ms": 3.4},
        "failed": (),
        "votes": (
            ReportedVote(
                person="ben",
                verdict="approve",
                at="2026-11-20T10:00:00.000000Z",
                text="AUC holds on October",
                counts=True,
            ),
        ),
        "uses": (CardUse(endpoint="churn", release=4, role="champion", live_at="2026-11-20T11:00:00.000000Z"),),
        "score": 2.5,
        "gaps": (CardGap(what="who stands in for the owner", remedy="`muster model set MODEL --deputy NAME`"),),
    }
    return ModelCard(**{**given, **changed})
