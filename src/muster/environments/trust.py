"""Which packages a project trusts: rules about packages, and which of them a package breaks.

    default = "deny"

    [[rule]]
    package = "pypi:numpy"
    effect = "allow"
    minimum = "1.26"
    reason = "the version that our security people have read"

The first rule that names a package decides about it; where none does, `default` does. `*` at the end stands for any rest:
`maven:org.tribuo:*`, `npm:*`, `*`.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from packaging.version import Version as PythonVersion

from muster.environments.errors import PackageRulesMalformed
from muster.environments.protocol import Package

Effect = Literal["allow", "deny"]

#: `pypi:numpy`, `maven:org.tribuo:*`, `npm:@types/*`, `*`.
_PATTERN = re.compile(r"\*|[a-z]+:(\*|[^\s*:][^\s*]*\*?)")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds for the packages of a name."""

    package: str
    """Ecosystem and name; `*` at the end stands for any rest."""
    effect: Effect
    minimum: str | None = None
    """The lowest version that is allowed; only for `allow`."""
    reason: str = ""
    """Told when a package breaks the rule."""

    def names(self, package: Package) -> bool:
        """Whether it is about this package."""
        wanted = _key(*self.package.split(":", 1)) if ":" in self.package else self.package
        key = _key(package.ecosystem, package.name)
        if wanted.endswith("*"):
            return key.startswith(wanted[:-1])
        # A jar's classifier says for which machine it is: a rule for the artefact is one for all of them.
        return key == wanted or (
            package.ecosystem == "maven" and key.rpartition(":")[0] == wanted and key.count(":") > 2
        )


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a project says about packages."""

    default: Effect = "allow"
    rule: tuple[Rule, ...] = ()

    def why_not(self, package: Package) -> str | None:
        """Why a package is not trusted, in words; None: it is."""
        rule = next((rule for rule in self.rule if rule.names(package)), None)
        told = f"{package.ecosystem}:{package.name} {package.version}"
        if rule is None:
            return None if self.default == "allow" else f"{told} is named by no rule, and the default is to deny"
        because = f" ({rule.reason})" if rule.reason else ""
        if rule.effect == "deny":
            return f"{told} is denied by the rule for {rule.package}{because}"
        if rule.minimum is not None and is_older(package.ecosystem, package.version, rule.minimum):
            return f"{told} is older than {rule.minimum}, which the rule for {rule.package} asks for{because}"
        return None


#: What holds where a project has said nothing.
ALLOW_ALL = Rules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distrusted:
    """A package that the rules do not let pass."""

    package: Package
    why: str


def distrusted(packages: Iterable[Package], rules: Rules) -> tuple[Distrusted, ...]:
    """The packages that a project's rules do not let pass, in their order."""
    judged = ((package, rules.why_not(package)) for package in packages)
    return tuple(Distrusted(package=package, why=why) for package, why in judged if why is not None)


def rules_of(text: str) -> Rules:
    """The rules of a TOML document.

    Raises:
        PackageRulesMalformed: it is no TOML, has keys that mean nothing, or a rule contradicts itself.
    """
    try:
        rules = msgspec.convert(tomllib.loads(text), Rules)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PackageRulesMalformed(f"the rules about packages cannot be read: {error}") from error
    for number, rule in enumerate(rules.rule, 1):
        problem = _problem(rule)
        if problem:
            raise PackageRulesMalformed(f"rule {number}, {rule.package!r}: {problem}", rule=number)
    return rules


def is_older(ecosystem: str, version: str, than: str) -> bool:
    """Whether a version comes before another, by the rules of its ecosystem."""
    if ecosystem == "pypi":
        try:
            return PythonVersion(version) < PythonVersion(than)
        except InvalidVersion:
            pass
    if ecosystem == "maven":
        return _is_older_in_maven(version, than)
    if ecosystem == "cran":
        return _cran_order(version) < _cran_order(than)
    return _order(version) < _order(than)


def _problem(rule: Rule) -> str | None:
    if not _PATTERN.fullmatch(rule.package):
        return 'a package is written like "pypi:numpy", "maven:org.tribuo:*" or "*"'
    if rule.minimum is not None and rule.effect == "deny":
        return 'minimum is for effect = "allow": versions below it are then refused'
    if rule.minimum is not None and not re.match(r"v?\d", rule.minimum):
        return f"minimum = {rule.minimum!r} is no version"
    return None


def _key(ecosystem: str, name: str) -> str:
    """Ecosystem and name as they are compared."""
    if ecosystem != "pypi":
        return f"{ecosystem}:{name}"
    star = "*" if name.endswith("*") else ""
    plain = name.removesuffix("*")
    # A prefix keeps its last dash, which as part of a name would mean nothing.
    tail = "-" if star and plain.endswith(("-", "_", ".")) else ""
    return f"pypi:{canonicalize_name(plain.rstrip('-_.')) if plain else ''}{tail}{star}"


def _order(version: str) -> tuple[tuple[tuple[int, int, str], ...], int, tuple[tuple[int, int, str], ...]]:
    """What a version is sorted by: its numbers, a release after its pre-releases, and those one after another.

    As semantic versioning has it; build metadata after `+` decides nothing.
    """
    release, dash, pre = version.removeprefix("v").partition("+")[0].partition("-")
    numbers = _trimmed([_piece(piece) for piece in release.split(".")])
    return numbers, 0 if dash else 1, tuple(_piece(piece) for piece in pre.split("."))


def _cran_order(version: str) -> tuple[int, ...]:
    """Numbers, with `.` and `-` between them alike.

    Source: `?package_version` of R.
    """
    return tuple(int(piece) for piece in re.findall(r"[0-9]+", version))


#: Words of Maven's versions, by where they stand to a release, which is 0; all others come after `sp`, and numbers after those.
_QUALIFIERS = {
    "alpha": -5,
    "beta": -4,
    "milestone": -3,
    "rc": -2,
    "cr": -2,
    "snapshot": -1,
    "": 0,
    "final": 0,
    "ga": 0,
    "release": 0,
    "sp": 1,
}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
_OTHER_WORD, _DASHED_NUMBER, _NUMBER = 2, 3, 4
_RELEASE = (0, 0, "")
#: A piece begins at a dot, at a dash, and where digits and letters meet.
_MAVEN_PIECE = re.compile(r"(^|[.\-_]|(?<=[0-9])(?=[^0-9.\-_])|(?<=[^0-9.\-_])(?=[0-9]))([0-9]+|[^0-9.\-_]*)")


def _is_older_in_maven(version: str, than: str) -> bool:
    """Whether Maven puts a version before another.

    Source: https://maven.apache.org/pom.html#version-order-specification, org.apache.maven.artifact.versioning.ComparableVersion.
    """
    for one, other in zip_longest(_maven_pieces(version), _maven_pieces(than)):
        here, there = (one or _nothing(other)), (other or _nothing(one))
        if here != there:
            return here < there
    return False


def _maven_pieces(version: str) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    lower = version.lower()
    for match in _MAVEN_PIECE.finditer(lower):
        separator, piece = match.groups()
        if separator != ".":
            _drop_nothing(found)  # 1.0-x is 1-x
        if piece.isascii() and piece.isdigit():
            found.append((_NUMBER if separator == "." or not match.start() else _DASHED_NUMBER, int(piece), ""))
        else:
            is_short = lower[match.end() : match.end() + 1].isdigit()
            word = _SHORT.get(piece, piece) if is_short else piece
            found.append((_QUALIFIERS[word], 0, "") if word in _QUALIFIERS else (_OTHER_WORD, 0, word))
    _drop_nothing(found)
    return found


def _nothing(other: tuple[int, int, str]) -> tuple[int, int, str]:
    """What stands where one version has ended and the other goes on: 1 is 1.0, and the release of 1-rc."""
    return (_NUMBER, 0, "") if other[0] == _NUMBER else _RELEASE


def _drop_nothing(pieces: list[tuple[int, int, str]]) -> None:
    """Take zeros and words that mean the release from the end."""
    while pieces and (pieces[-1] == _RELEASE or pieces[-1][:2] in {(_NUMBER, 0), (_DASHED_NUMBER, 0)}):
        pieces.pop()


def _piece(piece: str) -> tuple[int, int, str]:
    """Numbers before words, numbers by their value."""
    return (0, int(piece), "") if piece.isascii() and piece.isdigit() else (1, 0, piece)


def _trimmed(pieces: list[tuple[int, int, str]]) -> tuple[tuple[int, int, str], ...]:
    """Without zeros at the end: 1.0 is 1."""
    while pieces and pieces[-1] == (0, 0, ""):
        pieces.pop()
    return tuple(pieces)
