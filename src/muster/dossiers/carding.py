"""The model card, as a document: generated from what is on record, with what nobody said or measured named as gaps."""

from collections.abc import Iterator
from datetime import datetime

from muster.dossiers.records import Dossier
from muster.dossiers.reporting import measures_told
from muster.dossiers.rubric_facts import importance_of
from muster.sessions.records import Measured
from muster.vocabulary.clock import rfc3339
from muster.vocabulary.states import VersionState
from muster.wire.contracts import Field
from muster.wire.reports import CARD_FORMAT, CardData, CardField, CardGap, CardUse, ModelCard, ReportedVote, TestScore

_MOST_CATEGORIES = 8
_IN_TOML = "say it in muster.toml (muster.save takes it as a keyword) and register a new version"


def card_of(dossier: Dossier, score: TestScore, *, solo: bool) -> ModelCard:
    """The document.

    Args:
        dossier: what is on record of the version.
        score: the ML Test Score of its model.
        solo: whether the factory is for one person.
    """
    version, bundle, facts = dossier.version, dossier.bundle, dossier.facts
    certificate, prediction, made = dossier.certificate, bundle.prediction, bundle.made
    measures = newest_measures(dossier)
    latency = None if certificate is None else certificate.latency
    return ModelCard(
        format=CARD_FORMAT,
        version=str(version.name),
        project=version.project,
        digest=version.digest,
        state=version.state,
        description=version.description or facts.description,
        tags={**facts.tags, **version.tags},
        owner=facts.owner,
        deputy=facts.deputy or bundle.card.deputy or None,
        owners=version.owners,
        authors=version.authors,
        registered_by=version.registered_by,
        registered_at=rfc3339(version.registered_at),
        runtime=bundle.runtime.kind,
        made_by="" if made is None else f"{made.by}, {made.python} on {made.platform}",
        source=_source(dossier),
        licences=bundle.card.licences,
        risk_tier=bundle.card.risk_tier,
        intended_use=bundle.card.intended_use,
        limitations=bundle.card.limitations,
        business_metric=facts.business_metric or bundle.card.business_metric,
        task="" if prediction is None else prediction.task,
        protected=() if prediction is None else prediction.protected,
        inputs=tuple(map(_field, version.contract.inputs)),
        outputs=tuple(map(_field, version.contract.outputs)),
        data=tuple(
            CardData(name=one.name, uri=one.uri, from_=one.from_, to=one.to, rows=one.rows, digest=one.digest)
            for one in bundle.data
        ),
        declared_metrics=dict(bundle.metrics),
        measures=measures_told(measures),
        measured_in=measures[0].session if measures else None,
        certified_in=None if certificate is None else certificate.session,
        certified_at=None if certificate is None else rfc3339(certificate.at),
        valid_until=_at(dossier.valid_until),
        hardware="" if certificate is None else certificate.hardware,
        latency={} if latency is None else dict(latency.figures()),
        failed=tuple(name for name, passed in dossier.checks.items() if not passed),
        votes=tuple(
            ReportedVote(
                person=one.vote.person,
                verdict=str(one.vote.verdict),
                at=rfc3339(one.vote.at),
                text=one.vote.text,
                counts=one.why_not is None,
            )
            for one in dossier.review.opinions
        ),
        uses=tuple(_uses(dossier)),
        score=score.score,
        gaps=tuple(_gaps(dossier, measures)),
        solo=solo,
    )


def newest_measures(dossier: Dossier) -> tuple[Measured, ...]:
    """What was measured of the version, of everything that was measured on the newest, slices included."""
    newest: dict[str, str] = {}
    own = [one for one in dossier.measures if one.version == dossier.version.name]
    for one in own:
        newest.setdefault(one.measure.over, one.session)
    return tuple(one for one in own if newest[one.measure.over] == one.session)


def _source(dossier: Dossier) -> str:
    source = dossier.bundle.source
    if source is None:
        return ""
    besides = ", with changes besides" if source.dirty else ""
    return f"{source.remote or 'a repository without a remote'}, commit {source.commit}{besides}"


def _field(field: Field) -> CardField:
    return CardField(
        name=field.name,
        datatype=f"{field.datatype}{list(field.shape) if field.shape else ''}",
        unit=field.unit,
        nullable=field.nullable,
        personal=field.personal,
        expected=_expected(field),
        description=field.description or "",
    )


def _expected(field: Field) -> str:
    """`declared 0 to 120`, `seen: a, b`."""
    declared, observed = field.declared, field.observed
    for word, known in (("declared", declared), ("seen", observed)):
        if known is None:
            continue
        if known.categories:
            shown = ", ".join(map(str, known.categories[:_MOST_CATEGORIES]))
            more = len(known.categories) - _MOST_CATEGORIES
            return f"{word}: {shown}" + (f" and {more} more" if more > 0 else "")
        if known.minimum is not None or known.maximum is not None:
            least = "…" if known.minimum is None else known.minimum
            return f"{word} {least} to {'…' if known.maximum is None else known.maximum}"
    return ""


def _uses(dossier: Dossier) -> Iterator[CardUse]:
    for one in dossier.live:
        roles = [variant.role for variant in one.current.plan.variants if variant.version == str(dossier.version.name)]
        yield CardUse(
            endpoint=one.endpoint, release=one.current.number, role=str(roles[0]), live_at=_at(one.current.live_at)
        )


def _gaps(dossier: Dossier, measures: tuple[Measured, ...]) -> Iterator[CardGap]:
    card, bundle, prediction = dossier.bundle.card, dossier.bundle, dossier.bundle.prediction
    said = (
        (dossier.version.description or dossier.facts.description, "what the model is"),
        (card.intended_use, "what it is meant for, and for whom"),
        (card.limitations, "what it is not fit for"),
        (card.risk_tier, "how much is at stake (its risk tier)"),
        (card.licences, "under which licences model and data are"),
        (dossier.facts.business_metric or card.business_metric, "by what the business measures it"),
        (bundle.data, "what data it was made of"),
        (bundle.source, "which commit its code is"),
    )
    yield from (CardGap(what=what, remedy=_IN_TOML) for told, what in said if not told)
    if bundle.source is not None and bundle.source.dirty:
        yield CardGap(what="the code differs from the commit that is named", remedy="commit, and save again")
    for one in bundle.data:
        lacking = [word for word, told in (("digest", one.digest), ("span", one.from_ and one.to)) if not told]
        if lacking:
            yield CardGap(what=f"of the data {one.name}: {' and '.join(lacking)}", remedy=_IN_TOML)
    if not (dossier.facts.deputy or card.deputy):
        yield CardGap(what="who stands in for the owner", remedy="`muster model set MODEL --deputy NAME`")
    yield from _unmeasured(dossier, measures)
    undescribed = [field.name for field in dossier.version.contract.inputs if not field.description]
    if undescribed:
        of_all = f"{len(undescribed)} of {len(dossier.version.contract.inputs)} inputs"
        yield CardGap(what=f"what {of_all} mean", remedy="describe the fields in muster.toml")
    if prediction is not None and not prediction.slices:
        yield CardGap(what="how well it serves parts of its population", remedy="name [prediction] slices")
    if prediction is not None and not prediction.protected:
        yield CardGap(what="whether it serves groups of people alike", remedy="name [prediction] protected")


def _unmeasured(dossier: Dossier, measures: tuple[Measured, ...]) -> Iterator[CardGap]:
    if dossier.certificate is None:
        yield CardGap(what="whether it does what it says: there is no certificate", remedy="`muster certify VERSION`")
    elif dossier.valid_until is not None and dossier.valid_until <= dossier.now:
        yield CardGap(what="whether it still does: its certificate has lapsed", remedy="`muster certify VERSION`")
    if dossier.bundle.prediction is None:
        yield CardGap(what="what exactly it predicts, and by which label that is judged", remedy=_IN_TOML)
    if not any(one.measure.over.startswith("evaluation:") for one in measures):
        remedy = "`muster evaluation add MODEL FILE`, name [prediction], certify again"
        yield CardGap(what="how well it predicts: nobody but its author has measured it", remedy=remedy)
    if not importance_of(dossier):
        yield CardGap(what="which inputs it leans on", remedy="certify it with an evaluation set")
    if dossier.version.state is not VersionState.ACCEPTED:
        yield CardGap(what="whether somebody else agrees: it is not accepted", remedy="`muster accept VERSION`")


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
