"""What can go wrong with a search."""

from muster.vocabulary.errors import Invalid


class QueryMalformed(Invalid):
    """A search cannot be understood: an unknown key, a comparison without a number, too much of it."""

    code = "catalogue.query-malformed"
    advice = (
        'Write like `state:accepted tag:team=risk owner:ana metric:auc>0.8 registered>2026-01-01 "free text"`; '
        "docs/reference/catalogue.md names every key."
    )
