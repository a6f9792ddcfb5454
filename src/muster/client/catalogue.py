"""What there is, as `muster.connect` asks about it: models and what they carry, searches, references."""

from collections.abc import Iterable, Iterator, Mapping

from muster.client.orders import order_of
from muster.client.transport import Transport
from muster.vocabulary.names import checked_name
from muster.vocabulary.pages import MOST, USUAL
from muster.wire import catalogue, control


class Catalogue:
    """The part of `Factory` that asks what there is."""

    _transport: Transport
    _project: str

    def set_model(
        self,
        model: str,
        reason: str,
        *,
        owner: str | None = None,
        deputy: str | None = None,
        description: str | None = None,
        business_metric: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> control.Model:
        """Change what a model carries; what is None stays.

        Args:
            model: its name.
            reason: why.
            owner: who answers for it.
            deputy: who stands in for the owner; empty: nobody.
            description: what it is.
            business_metric: what it is for in figures that the business knows.
            tags: by key; None: the tag goes.
        """
        order = order_of(
            catalogue.ModelOrder,
            owner=owner,
            deputy=deputy,
            description=description,
            business_metric=business_metric,
            tags=dict(tags or {}),
            reason=reason,
        )
        return self._transport.post(f"{self._project}/models/{checked_name(model, of='model')}", control.Model, order)

    def search(self, query: str = "", *, limit: int = USUAL, after: int | None = None) -> catalogue.Search:
        """Models, versions and endpoints that a query fits, what came last first.

        Args:
            query: terms that must all hold: `state:accepted tag:team=risk metric:auc>0.8 "free text"`; empty: everything.
            limit: how many at most.
            after: the `next` of the page before.
        """
        return self._transport.get(f"{self._project}/search", catalogue.Search, q=query, limit=limit, after=after)

    def search_all(self, query: str = "") -> Iterator[catalogue.Found]:
        """Everything that a query fits, page after page."""
        after: int | None = None
        while True:
            page = self.search(query, limit=MOST, after=after)
            yield from page.found
            if page.next is None:
                return
            after = page.next

    def resolve(self, references: Iterable[str]) -> catalogue.Resolution:
        """What up to a hundred references stand for, in their order.

        Args:
            references: `churn:3`, `churn:latest`, `churn@champion` of an endpoint, `sha256:…`.
        """
        order = order_of(catalogue.ResolveOrder, references=tuple(references))
        return self._transport.post(f"{self._project}/resolve", catalogue.Resolution, order)
