"""Exhibits that name single rows of a sealed evaluation set, apart from the evidence that everybody may read.

A row's place, what was said of it and what came is enough for an author to learn labels: the model's host sees the rows in their order.
The evidence of a session is therefore kept without them. They lie in a document of their own, salted as the sets themselves are: the
digest of the evidence, which everybody sees, leads to none of them, and that of their own is known to the database alone.
"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec
import rfc8785

from muster.evaluation_sets.files import SALT_BYTES, salted
from muster.wire.evidence import EVIDENCE_FORMAT, CheckEvidence, Evidence, Exhibit, Grid, Rows

#: Checks that work on the rows of a sealed set: input rows that they show are sealed, whether or not they say so.
_ON_SEALED_ROWS = frozenset(
    {"prediction-performance", "against-champion", "slices-hold", "calibration", "fairness", "no-leakage"}
)
_WHERE = "of the sealed evaluation set: shown to those who may accept versions and have no part in the model"


def parted(evidence: Evidence) -> tuple[Evidence, Evidence | None]:
    """What everybody may read, and what not everybody may; None: there is nothing of the kind.

    In place of each exhibit that is taken out stands how many rows it has.
    """
    apart: dict[str, list[Exhibit]] = defaultdict(list)
    told = []
    for check in evidence.checks:
        shown: list[Exhibit] = []
        for exhibit in check.exhibits:
            if _is_sealed(check.name, exhibit):
                apart[check.name].append(exhibit)
                shown.append(_in_place_of(exhibit))
            else:
                shown.append(exhibit)
        told.append(CheckEvidence(name=check.name, exhibits=tuple(shown)))
    for_all = Evidence(format=EVIDENCE_FORMAT, checks=tuple(told))
    return for_all, _evidence(apart.items()) if apart else None


def whole(evidence: Evidence, apart: Evidence) -> Evidence:
    """The evidence with what was taken out of it in its places again."""
    exhibits = {check.name: iter(check.exhibits) for check in apart.checks}
    return _evidence(
        (
            check.name,
            [next(exhibits.get(check.name, iter(())), one) if one.sealed else one for one in check.exhibits],
        )
        for check in evidence.checks
    )


def stored(apart: Evidence) -> bytes:
    """As it lies in the store."""
    return salted(rfc8785.dumps(msgspec.to_builtins(apart)))


def read(content: bytes) -> Evidence:
    """What lies in the store."""
    return msgspec.json.decode(memoryview(content)[SALT_BYTES:], type=Evidence)


def _evidence(checks: Iterable[tuple[str, list[Exhibit]]]) -> Evidence:
    return Evidence(
        format=EVIDENCE_FORMAT,
        checks=tuple(CheckEvidence(name=name, exhibits=tuple(exhibits)) for name, exhibits in checks),
    )


def _is_sealed(check: str, exhibit: Exhibit) -> bool:
    return exhibit.sealed or (check in _ON_SEALED_ROWS and isinstance(exhibit, Rows))


def _in_place_of(exhibit: Exhibit) -> Grid:
    rows = len(exhibit.rows) if isinstance(exhibit, Grid | Rows) else None
    return Grid(title=exhibit.title, columns=("rows", "where"), rows=((rows, _WHERE),), sealed=True)
