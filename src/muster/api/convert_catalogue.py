"""From what the catalogue and the references know to the documents of the wire."""

from muster.catalogue.service import Page
from muster.registry.records import ModelChanges
from muster.release.resolving import Resolved
from muster.vocabulary.clock import rfc3339
from muster.wire import catalogue


def changes(order: catalogue.ModelOrder) -> ModelChanges:
    """What shall become other of a model."""
    return ModelChanges(
        owner=order.owner,
        deputy=order.deputy,
        description=order.description,
        business_metric=order.business_metric,
        tags=order.tags,
    )


def search(query: str, page: Page) -> catalogue.Search:
    """What a search found."""
    return catalogue.Search(
        query=query,
        next=page.next,
        found=tuple(
            catalogue.Found(
                kind=str(found.kind),
                name=found.name,
                state=found.state,
                owner=found.owner,
                at=rfc3339(found.at),
                description=found.description,
                tags=dict(found.tags),
                digest=found.digest,
            )
            for found in page.found
        ),
    )


def resolution(resolved: tuple[Resolved, ...]) -> catalogue.Resolution:
    """What references stand for."""
    return catalogue.Resolution(resolved=tuple(_resolved(one) for one in resolved))


def _resolved(one: Resolved) -> catalogue.Resolved:
    version = one.version
    if version is None:
        return catalogue.Resolved(reference=one.reference, version=None, problem=one.problem)
    return catalogue.Resolved(
        reference=one.reference,
        problem=None,
        version=catalogue.ResolvedVersion(
            version=str(version.name),
            model=version.model,
            number=version.number,
            state=version.state,
            digest=version.digest,
            registered_by=version.registered_by,
            registered_at=rfc3339(version.registered_at),
            contract_digest=version.contract_digest,
        ),
    )
