"""The question under which licences the packages stand that a version is made of."""

from collections import Counter
from contextlib import ExitStack
from typing import ClassVar, Literal

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.records import Figure
from muster.scanning.licences import expression_of, verdict
from muster.scanning.parts import licences_of
from muster.wire.evidence import Grid

_SHOWN, _MOST_ROWS = 3, 200


class LicenceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a standard says about licences; names as SPDX writes them, `*` for any rest: `GPL-*`."""

    allow: tuple[str, ...] = ()
    """The only ones that may be; empty: all that are not denied."""
    deny: tuple[str, ...] = ()
    """Those that may not be."""
    unknown: Literal["tell", "refuse"] = "tell"
    """What becomes of a package that does not say its licence."""

    def problems(self) -> list[str]:
        """Names that no licence has."""
        return [
            f"{name!r} is no licence as SPDX writes it"
            for name in (*self.allow, *self.deny)
            if "*" not in name and expression_of(name) is None
        ]


class LicencesAllowed:
    """Every package of the environment stands under a licence that the standard lets pass."""

    name: ClassVar[str] = "licences-allowed"
    asks: ClassVar[str] = "may its packages be used under their licences?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Replace the packages that are named by others, or have the standard allow their licences: [checks.licences-allowed] options."
    )
    Options: ClassVar[type[msgspec.Struct]] = LicenceOptions

    def is_asked(self, bench: Bench) -> bool:
        """Whether there is a seal, which says what the environment is made of."""
        return bench.seal is not None

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many packages may not be used."""
        if bench.seal is None:
            return Finding(
                passed=False, figure=None, limit=0, detail="the environment is not sealed, so nobody knows its packages"
            )
        options = bench.given(self, LicenceOptions)
        found = licences_of(bench.seal.seal, bench.blobs.read)
        judged = {purl: verdict(licence, options.allow, options.deny) for purl, licence in found.items()}
        refused = [
            purl
            for purl, told in judged.items()
            if told == "denied" or (told == "unknown" and options.unknown == "refuse")
        ]
        unknown = sum(told == "unknown" for told in judged.values())
        counts = Counter(licence or "not known" for licence in found.values())
        whole = f"{len(found)} packages: " + ", ".join(f"{count} {licence}" for licence, count in counts.most_common(5))
        named = "; ".join(f"{purl}: {found[purl] or 'not known'}" for purl in refused[:_SHOWN])
        rows = tuple(
            (purl, found[purl], judged[purl]) for purl in (*refused, *(purl for purl in found if purl not in refused))
        )
        return Finding(
            passed=not refused,
            figure=len(refused),
            limit=0,
            detail=named or (whole if found else "its environment has no packages"),
            figures={"packages": len(found), "unknown": unknown},
            exhibits=(Grid(title="Licences", columns=("package", "licence", "verdict"), rows=rows[:_MOST_ROWS]),)
            if rows
            else (),
        )
