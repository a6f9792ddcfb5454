"""A standard as a document: TOML, format 1, described key by key in docs/reference/standards.md.

Unknown keys are refused: a rule that is misspelt must not be silently without effect.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal, get_args

import msgspec

from muster.gates.records import Gate, Need, Rule
from muster.standards.durations import span_of
from muster.standards.errors import StandardMalformed, StandardNotFound
from muster.standards.freezes import Freeze, freeze_of
from muster.vocabulary.digests import Digest, checked_digest, digest_of
from muster.vocabulary.errors import Invalid
from muster.vocabulary.names import checked_name

STANDARD_FORMAT: Literal[1] = 1
READY = ("exploration", "internal", "regulated")
#: In force where a project has adopted none.
NOTHING_ADOPTED = "exploration"
#: A standard is written by people; more than this is something else that went astray.
MOST_BYTES = 100_000
_MOST_APPROVALS = 20

Requirement = Literal[
    "release-notes",
    "notebook",
    "intended-use",
    "limitations",
    "risk-tier",
    "data-sources",
    "data-spans",
    "licences",
    "owner",
    "deputy",
    "business-metric",
]
#: What a standard can ask of a bundle.
REQUIREMENTS: tuple[str, ...] = get_args(Requirement)
#: What is asked of the certificate as a whole; the name by which it is waived.
CERTIFICATE = "certificate"
#: Before the name of a check that is no part of certification: the author's, or the project's own.
OWN = "own:"
#: What is asked of the live-test of a version that is to answer callers; the name by which it is waived.
LIVE_TEST = "live-test"
#: Of a live-test, where a standard says nothing else: requests that it has seen at least, and the shares of what it was to see
#: that are left out, that came while it was down, and of the rows in which only one of two answers has a number.
LEAST_REQUESTS = 100
MOST_LEFT_OUT = 0.5
MOST_DOWN = 0.01
MOST_UNLIKE = 0.01


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Refuses what it does not know."""


class _Bundle(_Strict, frozen=True):
    require: tuple[Requirement, ...] = ()


class _Check(_Strict, frozen=True):
    gate: Literal["acceptance", "go-live"] = "acceptance"
    limit: float | None = None
    needed: bool = True
    run: bool | None = None
    options: dict[str, Any] = {}
    program: str | None = None


class _Certificate(_Strict, frozen=True):
    valid: str | None = None
    renew: str | None = None


class _Need(_Strict, frozen=True):
    count: int = 1
    role: str | None = None


class _Gate(_Strict, frozen=True):
    approvals: tuple[_Need, ...] = (_Need(),)
    disjoint: bool = False
    expires: str | None = None
    changes_block: bool = True


class _Gates(_Strict, frozen=True, rename={"go_live": "go-live"}):
    acceptance: _Gate = _Gate()
    go_live: _Gate = _Gate()
    standard: _Gate = _Gate()


class _Freeze(_Strict, frozen=True, rename={"from_": "from"}):
    reason: str
    from_: datetime | None = None
    to: datetime | None = None
    weekly: str | None = None
    timezone: str = "UTC"


class _BreakGlass(_Strict, frozen=True):
    confirm_within: str = "4h"


class _LiveTest(_Strict, frozen=True):
    required: bool = True
    requests: int | None = None
    hours: float | None = None
    max_errors: float | None = None
    max_late: float | None = None
    max_left_out: float = MOST_LEFT_OUT
    max_down: float = MOST_DOWN
    max_disagreement: float | None = None
    max_unlike: float = MOST_UNLIKE
    max_shift: float | None = None
    valid: str = "30d"


class _Document(_Strict, frozen=True):
    format: Literal[1]
    name: str
    description: str = ""
    bundle: _Bundle = _Bundle()
    checks: dict[str, _Check] = {}
    certificate: _Certificate = _Certificate()
    gates: _Gates = _Gates()
    freeze: tuple[_Freeze, ...] = ()
    break_glass: _BreakGlass = _BreakGlass()
    livetest: _LiveTest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRule:
    """What a standard says about one check of certification."""

    gate: Gate
    limit: float | None
    """What its figure may be at most; None: what the check itself asks for."""
    is_needed: bool
    """Whether failing it keeps a version from passing."""
    run: bool | None = None
    """Whether it is put at all; None: as it says itself."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Its settings."""
    program: Digest | None = None
    """Of a check of the project's own: the digest of its program in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTestRule:
    """What a standard asks of the live-test of a version that is to answer callers; a limit that is None is not asked for."""

    is_required: bool
    """False: it judges live-tests that there are, and asks for none."""
    requests: int | None = None
    """How many the version has to have been asked, at least; None: `LEAST_REQUESTS`, as shares of nothing keep to any limit."""
    hours: float | None = None
    """How long it has to have been on trial, at least."""
    max_errors: float | None = None
    """Share of the requests that failed."""
    max_late: float | None = None
    """Share of the requests whose answer came after the endpoint's deadline, or not at all."""
    max_left_out: float = MOST_LEFT_OUT
    """Share of the requests that it was not asked, of all that it was to see."""
    max_down: float = MOST_DOWN
    """Share of the requests that came while no host of it ran, of all that it was to see."""
    max_disagreement: float | None = None
    """See `disagreement` in docs/reference/live-test.md."""
    max_unlike: float = MOST_UNLIKE
    """Share of the rows compared in which one answer has a number and the other none."""
    max_shift: float | None = None
    """Population stability index of its outputs against those of champion and canaries."""
    valid: timedelta = timedelta(days=30)
    """How long after its end it counts."""

    @property
    def least_requests(self) -> int:
        """How many the version has to have been asked, at least."""
        return LEAST_REQUESTS if self.requests is None else self.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a standard asks of the versions of one risk tier."""

    require: tuple[str, ...] = ()
    checks: Mapping[str, CheckRule] = field(default_factory=dict)
    valid: timedelta | None = None
    """How long a certificate lasts; None: for ever."""
    renew: timedelta | None = None
    """How long before its end the factory certifies by itself again; None: it does not."""
    gates: Mapping[Gate, Rule] = field(default_factory=lambda: {gate: Rule() for gate in Gate})
    freezes: tuple[Freeze, ...] = ()
    confirm_within: timedelta = timedelta(hours=4)
    tiers: tuple[str, ...] = ()
    """The risk tiers that the standard knows, by name; none: each may be named, and means nothing."""
    livetest: LiveTestRule | None = None
    """None: nothing is asked of live-tests."""

    def frozen(self, moment: datetime) -> Freeze | None:
        """The freeze window that a moment lies in."""
        return next((freeze for freeze in self.freezes if freeze.holds(moment)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """A standard, read."""

    name: str
    description: str
    text: str
    """The TOML as it was written."""
    base: Demands
    tiers: Mapping[str, Demands]

    @property
    def digest(self) -> Digest:
        """Of the text."""
        return digest_of(self.text.encode("utf-8"))

    def of_tier(self, tier: str | None) -> Demands:
        """What is asked of a version of a risk tier; one that the standard does not know is as none, and a lack where it knows some."""
        return self.base if tier is None else self.tiers.get(tier, self.base)

    @property
    def checks(self) -> frozenset[str]:
        """Every check that it names, whatever the tier."""
        return frozenset(name for demands in (self.base, *self.tiers.values()) for name in demands.checks)

    @property
    def roles(self) -> frozenset[tuple[str, str]]:
        """Every role that it asks for, with where."""
        every = {"": self.base, **{f"tiers.{tier}.": demands for tier, demands in self.tiers.items()}}
        return frozenset(
            (f"{where}gates.{gate}", need.role)
            for where, demands in every.items()
            for gate, rule in demands.gates.items()
            for need in rule.approvals
            if need.role is not None
        )


@lru_cache(maxsize=256)
def read_standard(text: str) -> Standard:
    """The standard that a text is.

    Raises:
        StandardMalformed: it is none.
    """
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise StandardMalformed("the standard holds what UTF-8 cannot write") from error
    if size > MOST_BYTES:
        raise StandardMalformed(f"the standard has more than {MOST_BYTES} bytes", limit=MOST_BYTES)
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StandardMalformed(f"this is no TOML: {error}") from error
    if raw.get("format", STANDARD_FORMAT) != STANDARD_FORMAT:
        raise StandardMalformed(f"this standard has the format {raw['format']!r}, this Muster knows {STANDARD_FORMAT}")
    tiers = raw.pop("tiers", {})
    if not isinstance(tiers, dict) or not all(isinstance(table, dict) for table in tiers.values()):
        raise StandardMalformed("[tiers] holds one table for each risk tier", where="tiers")
    base = _converted(raw, "the standard")
    try:
        checked_name(base.name, of="standard")
        for tier in tiers:
            checked_name(tier, of="risk tier")
    except Invalid as error:
        raise StandardMalformed(error.message) from error
    for tier, table in tiers.items():
        _check_tier(tier, table)
    known = tuple(sorted(tiers))
    return Standard(
        name=base.name,
        description=base.description,
        text=text,
        base=_demands(base, "", known),
        tiers={
            tier: _demands(_converted(_overlaid(raw, table), f"tiers.{tier}"), f"tiers.{tier}.", known)
            for tier, table in tiers.items()
        },
    )


#: What is wrong with the settings of a check, by its name.
KnownChecks = Mapping[str, Callable[[Mapping[str, Any]], list[str]]]


def check_names(standard: Standard, known: KnownChecks) -> None:
    """Nothing, if there are all the checks that a standard names, and they take the settings that it gives.

    Raises:
        StandardMalformed: there is none of a name, or it takes other settings.
    """
    for name in sorted(name for name in standard.checks if known_as(name) not in known):
        raise StandardMalformed(f"checks.{name}: there is no such check", check=name, known=sorted(known))
    for tier, demands in {"": standard.base, **standard.tiers}.items():
        where = f"tiers.{tier}.checks" if tier else "checks"
        for name, rule in demands.checks.items():
            for problem in known[known_as(name)](rule.options):
                raise StandardMalformed(f"{where}.{name}.options: {problem}", check=name)


def known_as(check: str) -> str:
    """The name by which a check is known: `own:*` for all that are no part of certification."""
    return f"{OWN}*" if check.startswith(OWN) else check


def ready_text(name: str) -> str:
    """The TOML of a standard that comes with Muster.

    Raises:
        StandardNotFound: there is none of this name.
    """
    if name not in READY:
        raise StandardNotFound(f"there is no ready standard {name!r}: {', '.join(READY)}", name=name[:80])
    return files("muster.standards").joinpath("ready", f"{name}.toml").read_text(encoding="utf-8")


@cache
def ready(name: str) -> Standard:
    """A standard that comes with Muster.

    Raises:
        StandardNotFound: there is none of this name.
    """
    return read_standard(ready_text(name))


def _check_tier(tier: str, table: Mapping[str, Any]) -> None:
    """Nothing, if the table of a tier says only what may differ from tier to tier."""
    told = sorted({"format", "name", "description", "tiers"} & table.keys())
    gates = table.get("gates")
    if isinstance(gates, dict) and Gate.STANDARD in gates:  # a standard has no risk tier
        told.append(f"gates.{Gate.STANDARD}")
    for key in told:
        raise StandardMalformed(f"tiers.{tier}: {key} is the same for all tiers", where=f"tiers.{tier}")


def _converted(raw: Mapping[str, Any], where: str) -> _Document:
    try:
        return msgspec.convert(dict(raw), _Document)
    except msgspec.ValidationError as error:
        raise StandardMalformed(f"{where}: {error}", where=where) from error


def _overlaid(below: Any, above: Any) -> Any:
    """Tables merged key by key; anything else is replaced."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{key: _overlaid(below.get(key), value) for key, value in above.items()}}
    return above


def _demands(document: _Document, where: str, tiers: tuple[str, ...]) -> Demands:
    gates = {Gate.ACCEPTANCE: document.gates.acceptance, Gate.GO_LIVE: document.gates.go_live}
    gates[Gate.STANDARD] = document.gates.standard
    for name, rule in document.checks.items():
        if rule.limit is not None and not 0 <= rule.limit < float("inf"):
            raise StandardMalformed(f"{where}checks.{name}: limit is {rule.limit}; it is 0 or more", where=name)
    valid, renew = _lifetime(document.certificate, where)
    return Demands(
        require=tuple(dict.fromkeys(document.bundle.require)),
        checks={
            name: CheckRule(
                gate=Gate(rule.gate),
                limit=rule.limit,
                is_needed=rule.needed,
                run=rule.run,
                options=rule.options,
                program=_program(name, rule, f"{where}checks.{name}"),
            )
            for name, rule in document.checks.items()
        },
        valid=valid,
        renew=renew,
        gates={gate: _rule(described, f"{where}gates.{gate}") for gate, described in gates.items()},
        freezes=tuple(
            freeze_of(one.from_, one.to, one.weekly, one.timezone, one.reason, where=f"{where}freeze")
            for one in document.freeze
        ),
        confirm_within=span_of(document.break_glass.confirm_within, f"{where}break_glass.confirm_within"),
        tiers=tiers,
        livetest=None if document.livetest is None else _livetest(document.livetest, f"{where}livetest"),
    )


def _program(name: str, rule: _Check, where: str) -> Digest | None:
    """The digest of a check's program.

    Raises:
        StandardMalformed: it is no digest, or the check is none of those that bring their own program.
    """
    if rule.program is None:
        return None
    if not name.startswith(OWN):
        raise StandardMalformed(f"{where}: only checks called {OWN}… have a program of their own", where=where)
    try:
        checked_name(name.removeprefix(OWN), of="check")
        return checked_digest(rule.program)
    except Invalid as error:
        raise StandardMalformed(f"{where}.program: {error.message}", where=where) from error


def _livetest(described: _LiveTest, where: str) -> LiveTestRule:
    for name, value, most in (
        ("requests", described.requests, 1e9),
        ("hours", described.hours, 24.0 * 30),
        ("max_errors", described.max_errors, 1.0),
        ("max_late", described.max_late, 1.0),
        ("max_left_out", described.max_left_out, 1.0),
        ("max_down", described.max_down, 1.0),
        ("max_disagreement", described.max_disagreement, float("inf")),
        ("max_unlike", described.max_unlike, 1.0),
        ("max_shift", described.max_shift, float("inf")),
    ):
        least = 1e-9 if name in {"requests", "hours"} else 0.0
        if value is not None and not least <= value <= most:
            raise StandardMalformed(f"{where}.{name} is {value}, which is out of range", where=where)
    if described.required and described.requests is None and described.hours is None:
        raise StandardMalformed(f"{where} asks for a live-test and says neither requests nor hours", where=where)
    return LiveTestRule(
        is_required=described.required,
        requests=described.requests,
        hours=described.hours,
        max_errors=described.max_errors,
        max_late=described.max_late,
        max_left_out=described.max_left_out,
        max_down=described.max_down,
        max_disagreement=described.max_disagreement,
        max_unlike=described.max_unlike,
        max_shift=described.max_shift,
        valid=span_of(described.valid, f"{where}.valid"),
    )


def _lifetime(said: _Certificate, where: str) -> tuple[timedelta | None, timedelta | None]:
    """How long a certificate lasts, and how long before its end it is renewed."""
    valid = None if said.valid is None else span_of(said.valid, f"{where}certificate.valid")
    renew = None if said.renew is None else span_of(said.renew, f"{where}certificate.renew")
    if renew is not None and (valid is None or renew >= valid):
        named = f"{where}certificate.renew"
        raise StandardMalformed(
            f"{named} is {said.renew}; it is less than certificate.valid, which must be said, too", where=named
        )
    return valid, renew


def _rule(described: _Gate, where: str) -> Rule:
    counts = [need.count for need in described.approvals]
    if not counts or min(counts) < 1 or sum(counts) > _MOST_APPROVALS:
        raise StandardMalformed(
            f"{where}.approvals asks for 1 to {_MOST_APPROVALS} approvals, each count at least 1", where=where
        )
    for need in described.approvals:
        if need.role is not None:
            try:
                checked_name(need.role, of="role")
            except Invalid as error:
                raise StandardMalformed(f"{where}.approvals: {error.message}", where=where) from error
    return Rule(
        approvals=tuple(Need(role=need.role, count=need.count) for need in described.approvals),
        disjoint=described.disjoint,
        expires=None if described.expires is None else span_of(described.expires, f"{where}.expires"),
        changes_block=described.changes_block,
    )
