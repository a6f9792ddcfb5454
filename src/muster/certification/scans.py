"""Questions about what a bundle's files hold, put before anything of it is run."""

from contextlib import ExitStack
from typing import ClassVar

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.records import Figure
from muster.scanning.folder import scan_folder
from muster.scanning.secrets import scan_secrets
from muster.wire.evidence import Grid

_SHOWN, _MOST_ROWS, _LONGEST_CELL = 3, 50, 300


class CodeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a standard says about code that loads itself."""

    allow: tuple[str, ...] = ()
    """Names that a pickle may call although no serialiser needs them: `package.module.name`."""

    def problems(self) -> list[str]:
        """Names without a module."""
        return [
            f"allow: {name!r} is no name like `package.module.name`"
            for name in self.allow
            if "." not in name.strip(".")
        ]


class NoMaliciousCode:
    """Nothing in the bundle runs when it is loaded but what serialisers need; what cannot be read counts as if it did."""

    name: ClassVar[str] = "no-malicious-code"
    asks: ClassVar[str] = "does nothing in the bundle run by itself, or hide?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = True
    """What is loaded in a host runs there: a pickle is judged before."""
    remedy: ClassVar[str] = (
        "Save the model with `muster.save`, without objects that call functions when they are loaded; unpack archives that cannot be "
        "read. A function of a library that has to be called is allowed by the standard: [checks.no-malicious-code] "
        'options = { allow = ["package.module.name"] }.'
    )
    Options: ClassVar[type[msgspec.Struct]] = CodeOptions

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many findings refuse the bundle."""
        assert bench.folder is not None
        scan = scan_folder(bench.folder, bench.given(self, CodeOptions).allow)
        refused = scan.refused
        looked = f"{scan.files} files, {scan.inside} pickles and archives read to their end"
        also = f"; {len(scan.told)} places for people to read" if scan.told else ""
        rows = tuple(
            (one.place[:_LONGEST_CELL], one.what, one.told[:_LONGEST_CELL], "refused" if one.refused else "told")
            for one in (*refused, *scan.told)[:_MOST_ROWS]
        )
        grid = Grid(
            title="What runs by itself, hides or reaches out", columns=("file", "kind", "what", "verdict"), rows=rows
        )
        return Finding(
            passed=not refused,
            figure=len(refused),
            limit=0,
            detail="; ".join(one.told for one in refused[:_SHOWN]) or looked + also,
            exhibits=(grid,) if rows else (),
        )


class SecretOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a standard says about secrets."""

    allow: tuple[str, ...] = ()
    """Fingerprints of values that look like secrets and are none, as the check shows them."""


class NoSecrets:
    """No key, token or password lies in the bundle's files."""

    name: ClassVar[str] = "no-secrets"
    asks: ClassVar[str] = "are its files free of keys, tokens and passwords?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Take the value out of the file, make the secret invalid where it was given out (a registered version keeps its bytes), and "
        'register anew. A value that is no secret is allowed by its fingerprint: [checks.no-secrets] options = { allow = ["…"] }.'
    )
    Options: ClassVar[type[msgspec.Struct]] = SecretOptions

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many there are."""
        assert bench.folder is not None
        found = scan_secrets(bench.folder, bench.given(self, SecretOptions).allow)
        told = "; ".join(f"{one.place}, line {one.line}: {one.kind} {one.masked}" for one in found[:_SHOWN])
        rows = tuple(
            (one.place[:_LONGEST_CELL], one.line, one.kind, one.masked, one.fingerprint) for one in found[:_MOST_ROWS]
        )
        grid = Grid(
            title="What looks like a secret", columns=("file", "line", "kind", "begins", "fingerprint"), rows=rows
        )
        return Finding(
            passed=not found,
            figure=len(found),
            limit=0,
            detail=told or "no file holds anything that looks like one",
            exhibits=(grid,) if rows else (),
        )
