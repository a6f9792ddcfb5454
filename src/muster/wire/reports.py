"""What is told of a version to those who decide: the report of a certification, the model card, the ML Test Score; format 1 each."""

from typing import Annotated, Literal

import msgspec

from muster.vocabulary.states import SessionState, VersionState
from muster.wire.control import Answer, Order, ReasonText
from muster.wire.evidence import Exhibit

REPORT_FORMAT: Literal[1] = 1
CARD_FORMAT: Literal[1] = 1
SCORE_FORMAT: Literal[1] = 1

#: The name of one of the 28 tests: `data-1` … `monitoring-7`.
RubricTest = Annotated[str, msgspec.Meta(pattern=r"^(data|model|infrastructure|monitoring)-[1-7]$")]
#: Where the results of what people did can be read: an address, a document's name.
PlaceText = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a document."""


class ReportedCheck(_Part, frozen=True, kw_only=True):
    """One check with all that it showed."""

    name: str
    asks: str
    """What it asks, in words; empty for a check of the project's or author's own."""
    passed: bool
    may_fail: bool
    """Whether the version can pass although this check failed: by the standard, or by a waiver that the detail names."""
    figure: float | int | str | bool | None
    limit: float | int | str | bool | None
    detail: str
    remedy: str
    """What can be done about it, if it failed."""
    figures: dict[str, float]
    exhibits: tuple[Exhibit, ...]


class ReportedMeasure(_Part, frozen=True, kw_only=True):
    """A number by a definition that does not change."""

    name: str
    definition: int
    """Version of the definition."""
    value: float
    over: str
    """What it was computed on: `evaluation:2`."""
    slice: str
    """`region=north`; empty: all of it."""
    low: float | None
    high: float | None


class ReportedStandard(_Part, frozen=True, kw_only=True):
    """What the project asked for when the session ran."""

    name: str
    number: int | None
    """Of the project's standards; null: none was adopted, and the ready one of this name held."""
    digest: str


class ReportedSignature(_Part, frozen=True, kw_only=True):
    """Who signed the certificate, with which key."""

    key: str
    by: str
    at: str


class ReportedVote(_Part, frozen=True, kw_only=True):
    """What one person said at the gate of acceptance."""

    person: str
    verdict: str
    at: str
    text: str
    counts: bool
    """Whether it counts now."""


class CertificationReport(Answer, frozen=True, kw_only=True):
    """All that one certification found; the page of the same name shows the same."""

    format: Literal[1]
    session: str
    session_state: SessionState
    verdict: Literal["certified", "not-certified", "unfinished"]
    why: str
    """The verdict's reason in one sentence."""
    version: str
    project: str
    digest: str
    """Of the bundle."""
    state: VersionState
    """Of the version, now."""
    description: str
    owners: tuple[str, ...]
    authors: tuple[str, ...]
    registered_by: str
    registered_at: str
    standard: ReportedStandard
    requested_by: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    valid_until: str | None
    """When the certificate lapses; null: never, or there is none."""
    environment: str | None
    hardware: str
    seal: str | None
    twin: str | None
    evidence: str | None
    """Digest of what the checks show, in the store."""
    signatures: tuple[ReportedSignature, ...]
    is_complete: bool
    """Whether every check that was asked for could be made."""
    checks: tuple[ReportedCheck, ...]
    measures: tuple[ReportedMeasure, ...]


class CardField(_Part, frozen=True, kw_only=True):
    """An input or output, as the card tells it."""

    name: str
    datatype: str
    unit: str | None
    nullable: bool
    personal: bool
    expected: str
    """Which values are declared, or were seen in the sample; empty: nothing is known."""
    description: str


class CardData(_Part, frozen=True, kw_only=True):
    """Data that the model was made of."""

    name: str
    uri: str
    from_: str = msgspec.field(name="from")
    to: str
    rows: int | None
    digest: str


class CardGap(_Part, frozen=True, kw_only=True):
    """Something that a reader would ask for, and nobody has said or measured."""

    what: str
    remedy: str
    """How it gets into the next card."""


class CardUse(_Part, frozen=True, kw_only=True):
    """An endpoint that answers with the version."""

    endpoint: str
    release: int
    role: str
    live_at: str | None


class ModelCard(Answer, frozen=True, kw_only=True):
    """What people have to know who judge a model or are judged by it; generated from facts, with the gaps named.

    Source: Mitchell et al., "Model Cards for Model Reporting" (2019), for the sections.
    """

    format: Literal[1]
    version: str
    project: str
    digest: str
    state: VersionState
    description: str
    tags: dict[str, str]
    owner: str
    deputy: str | None
    owners: tuple[str, ...]
    authors: tuple[str, ...]
    registered_by: str
    registered_at: str
    runtime: str
    """`python`, `java`, …"""
    made_by: str
    """What wrote the bundle, on which platform."""
    source: str
    """Where its code was: remote, commit, whether there were changes besides."""
    licences: tuple[str, ...]
    risk_tier: str
    intended_use: str
    limitations: str
    business_metric: str
    task: str
    """`binary`, …; empty: the bundle does not say what it predicts."""
    protected: tuple[str, ...]
    inputs: tuple[CardField, ...]
    outputs: tuple[CardField, ...]
    data: tuple[CardData, ...]
    declared_metrics: dict[str, float]
    """What the author measured; nobody has checked it."""
    measures: tuple[ReportedMeasure, ...]
    """What the factory measured, in the newest session that measured anything."""
    measured_in: str | None
    """Which session that was."""
    certified_in: str | None
    """Session of the newest certificate."""
    certified_at: str | None
    valid_until: str | None
    hardware: str
    latency: dict[str, float]
    """Milliseconds on that hardware, by name."""
    failed: tuple[str, ...]
    """Checks that failed in the newest examination, with whether they may."""
    votes: tuple[ReportedVote, ...]
    uses: tuple[CardUse, ...]
    score: float
    """The ML Test Score of its model."""
    gaps: tuple[CardGap, ...]


class ScoredTest(_Part, frozen=True, kw_only=True):
    """One of the 28 tests."""

    test: str
    """`data-1`."""
    title: str
    points: float
    """1: the factory runs it by itself; 0.5: people said that they did it by hand; 0: neither."""
    how: Literal["automatic", "declared", "missing"]
    told: str
    """Which fact meets it; else what is missing."""
    declared_by: str | None = None
    declared_at: str | None = None
    where: str | None = None
    """Where the results of what people did can be read."""


class ScoredSection(_Part, frozen=True, kw_only=True):
    """Seven tests of one kind."""

    name: Literal["data", "model", "infrastructure", "monitoring"]
    points: float
    tests: tuple[ScoredTest, ...]


class TestScore(Answer, frozen=True, kw_only=True):
    """The ML Test Score of a model: the least of the sums of four sections.

    Source: Breck, Cai, Nielsen, Salib, Sculley, "The ML Test Score: A Rubric for ML Production Readiness and Technical Debt
    Reduction" (IEEE Big Data 2017).
    """

    format: Literal[1]
    model: str
    project: str
    version: str
    """The version that was looked at: the champion of an endpoint, else the newest."""
    score: float
    meaning: str
    sections: tuple[ScoredSection, ...]


class DeclarationOrder(Order, frozen=True, kw_only=True):
    """That people have done by hand what one of the tests asks, and where its results can be read."""

    test: RubricTest
    where: PlaceText
    reason: ReasonText


class DeclarationWithdrawal(Order, frozen=True, kw_only=True):
    """That it does not hold any more."""

    test: RubricTest
    reason: ReasonText
