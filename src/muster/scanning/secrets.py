"""Secrets in a bundle's files: keys, tokens and passwords that would travel with every copy of the model.

Two kinds of rules: forms that nothing else has (the head of a private key, the prefix of a provider's tokens), and values that are given
to a name like `password` and are too disorderly for words. What is found is shown masked, with a fingerprint by which it can be allowed.

Source: C. Shannon, "A Mathematical Theory of Communication", 1948 (entropy); the providers' own pages on the forms of their tokens.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from muster.scanning.archives import Budget, kinds_of, members

#: Of a larger file this much is read from its beginning: tables of data hold no keys further down that they do not hold above.
_MOST_READ = 64 * 2**20
_DEEPEST = 4
_LEAST_ENTROPY = 3.5
"""Bits per character; English words have below 3, random hexadecimal up to 4, random base 64 up to 6."""
_SHOWN_BEFORE = 4


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    anchor: bytes
    """Something that is in every match: files without it are not searched."""
    pattern: re.Pattern[bytes]
    """The group `secret` is what is masked and fingerprinted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Something that looks like a secret."""

    place: str
    line: int
    kind: str
    masked: str
    """Its first characters."""
    fingerprint: str
    """First 16 digits of the SHA-256 of its text; a standard allows a value by it."""


def _rule(kind: str, anchor: str, pattern: str) -> _Rule:
    return _Rule(kind, anchor.encode(), re.compile(pattern.encode()))


_RULES = (
    _rule(
        "private-key",
        "PRIVATE KEY",
        r"(?P<secret>-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\n|\s|[A-Za-z0-9+/=:,. -]){60,})",
    ),
    *(
        _rule("aws-access-key", prefix, rf"(?<![A-Z0-9])(?P<secret>{prefix}[A-Z2-7]{{16}})(?![A-Z0-9])")
        for prefix in ("AKIA", "ASIA")
    ),
    _rule(
        "aws-secret-key",
        "aws",
        r"(?i)aws.{0,20}?(?:secret|key).{0,20}?[\"'= :]+(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    ),
    *(
        _rule("github-token", prefix, rf"(?<![A-Za-z0-9_])(?P<secret>{prefix}[A-Za-z0-9]{{36,}})")
        for prefix in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")
    ),
    _rule("github-token", "github_pat_", r"(?P<secret>github_pat_[A-Za-z0-9_]{60,})"),
    _rule("gitlab-token", "glpat-", r"(?P<secret>glpat-[A-Za-z0-9_-]{20,})"),
    _rule("slack-token", "xox", r"(?P<secret>xox[abeoprs]-[A-Za-z0-9-]{20,})"),
    _rule(
        "slack-webhook",
        "hooks.slack.com",
        r"(?P<secret>https://hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,})",
    ),
    _rule("google-api-key", "AIza", r"(?P<secret>AIza[A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])"),
    _rule("google-client-secret", "GOCSPX-", r"(?P<secret>GOCSPX-[A-Za-z0-9_-]{28})"),
    _rule("stripe-key", "_live_", r"(?P<secret>[rs]k_live_[A-Za-z0-9]{20,})"),
    _rule("hugging-face-token", "hf_", r"(?<![A-Za-z0-9_])(?P<secret>hf_[A-Za-z0-9]{34})(?![A-Za-z0-9])"),
    _rule(
        "openai-key",
        "sk-",
        r"(?<![A-Za-z0-9])(?P<secret>sk-(?:proj-|svcacct-)?[A-Za-z0-9_-]*T3BlbkFJ[A-Za-z0-9_-]{20,})",
    ),
    _rule("anthropic-key", "sk-ant-", r"(?P<secret>sk-ant-[a-z]+\d+-[A-Za-z0-9_-]{80,})"),
    _rule("npm-token", "npm_", r"(?<![A-Za-z0-9_])(?P<secret>npm_[A-Za-z0-9]{36})(?![A-Za-z0-9])"),
    _rule("pypi-token", "pypi-AgEI", r"(?P<secret>pypi-AgEI[A-Za-z0-9_-]{50,})"),
    _rule("sendgrid-key", "SG.", r"(?<![A-Za-z0-9])(?P<secret>SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    _rule("azure-storage-key", "AccountKey=", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)"),
    _rule("vault-token", "hvs.", r"(?<![A-Za-z0-9])(?P<secret>hvs\.[A-Za-z0-9_-]{60,})"),
    _rule("databricks-token", "dapi", r"(?<![A-Za-z0-9])(?P<secret>dapi[0-9a-f]{32}(?:-\d)?)(?![A-Za-z0-9])"),
    _rule("json-web-token", "eyJ", r"(?P<secret>eyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,})"),
)
_URL = re.compile(rb"://[^\s:/@\"'<>]{1,100}:(?P<secret>[^\s@/\"'<>{}$]{4,200})@[A-Za-z0-9.-]+")
#: What follows the last part of a name like `db_password`, where a value is given to it.
_ASSIGNED = re.compile(rb"\\?[\"']?\s{0,8}(?:=>|:=|=|:)\s{0,8}\\?[\"'](?P<secret>[^\s\"'\\]{12,200})\\?[\"']")
#: The same without quotes, as files of settings write it.
_SET = re.compile(
    rb"(?im)^\s*(?:export\s+)?(?:[a-z0-9_.-]{0,40}[_.-])?"
    rb"(?:password|passwd|passphrase|pwd|secret|secret[_-]?key|token|api[_-]?key|access[_-]?key|auth[_-]?key|client[_-]?secret|private[_-]?key)"
    rb"\s*[:=]\s*(?P<secret>[A-Za-z0-9+/=_.!@#%^&*~-]{12,200})\s*$"
)
_SETTINGS = (".env", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".txt", ".sh", ".md")
#: By so many bytes from its beginning, and as large a share of characters of ASCII among them, a text is known.
_HEAD, _MOSTLY = 8192, 0.8
_PRINTED = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}
_NAMES = (
    b"secret_key", b"secret-key", b"secretkey", b"passphrase",
    b"password", b"passwd", b"pwd", b"secret", b"token", b"api_key", b"api-key", b"apikey", b"access_key", b"access-key", b"accesskey",
    b"auth_key", b"auth-key", b"private_key", b"private-key", b"client_secret",
)  # fmt: skip
#: Passwords that examples have.
_USUAL = frozenset({b"password", b"pass", b"user", b"secret"})
_PLACEHOLDER = re.compile(
    rb"(?i).*(example|placeholder|changeme|change-me|dummy|your[_-]|xxxx|\*\*\*\*|<[^>]*>|\$\{|\{\{|%\(|insert|redacted|not-a-secret).*",
    re.DOTALL,
)


def scan_secrets(folder: Path, allowed: Collection[str] = ()) -> tuple[Secret, ...]:
    """What looks like a secret in the files of a folder, archives included.

    Args:
        folder: of a bundle.
        allowed: fingerprints of values that are no secrets.
    """
    found: list[Secret] = []
    budget = Budget()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                content = stream.read(_MOST_READ)
            found.extend(_in(content, path.relative_to(folder).as_posix(), budget, 0))
    unique = {(one.place, one.fingerprint): one for one in found if one.fingerprint not in allowed}
    return tuple(unique.values())


def secrets_in(content: bytes, place: str) -> Iterator[Secret]:
    """What looks like a secret in bytes.

    Args:
        content: of a file; text may be in UTF-8 or UTF-16.
        place: where it is.
    """
    told = set()
    for text, is_words in _readings(content):
        for secret in _searched(text, place, is_words=is_words):
            if secret.fingerprint not in told:
                told.add(secret.fingerprint)
                yield secret


def _readings(content: bytes) -> Iterator[tuple[bytes, bool]]:
    """As it stands; and, where it holds zeros, without them, as text in UTF-16 is read: each with whether it is a text as a whole."""
    has_zeros = b"\0" in content[:_HEAD]
    yield content, not has_zeros
    if b"\0" in content:
        plain = content.replace(b"\0", b"")
        head = plain[:_HEAD]
        shown = sum(byte in _PRINTED for byte in head)
        yield plain, shown >= _MOSTLY * len(head)


def _searched(content: bytes, place: str, *, is_words: bool) -> Iterator[Secret]:
    spans: list[tuple[int, int]] = []
    for rule in _RULES:
        if rule.anchor in content:
            for match in rule.pattern.finditer(content):
                spans.append(match.span("secret"))
                yield _secret(content, match, rule.kind, place)
    if b"://" in content:
        for match in _URL.finditer(content):
            if not _PLACEHOLDER.match(match["secret"]) and match["secret"] not in _USUAL:
                spans.append(match.span("secret"))
                yield _secret(content, match, "password-in-url", place)
    if not is_words:
        return
    for match in _given(content, place):
        is_told = any(begin < match.end("secret") and match.start("secret") < end for begin, end in spans)
        if not is_told and not _PLACEHOLDER.match(match["secret"]) and _is_disorderly(match["secret"]):
            spans.append(match.span("secret"))
            yield _secret(content, match, "assigned", place)


def _given(content: bytes, place: str) -> Iterator[re.Match[bytes]]:
    """Values that are given to something called a password, a token or a key."""
    lower = content.lower()
    named = [name for name in _NAMES if name in lower]
    for name in named:
        at = lower.find(name)
        while at >= 0:
            found = _ASSIGNED.match(content, at + len(name))
            if found is not None:
                yield found
            at = lower.find(name, at + len(name))
    if named and PurePosixPath(place).suffix.lower() in ("", *_SETTINGS):
        yield from _SET.finditer(content)


def entropy(text: bytes) -> float:
    """Bits per character of a text, by how often each occurs in it.

    >>> round(entropy(b"abcd"), 3)
    2.0
    """
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def _is_disorderly(value: bytes) -> bool:
    kinds = sum(bool(re.search(form, value)) for form in (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^A-Za-z0-9]"))
    is_name = re.fullmatch(rb"[A-Za-z_][A-Za-z_.\-/:]*", value) is not None  # words, paths, dotted names
    return kinds >= 2 and not is_name and entropy(value) >= _LEAST_ENTROPY


def _secret(content: bytes, match: re.Match[bytes], kind: str, place: str) -> Secret:
    value = match["secret"]
    shown = value[: min(_SHOWN_BEFORE, len(value) // 4)].decode("latin-1")
    return Secret(
        place=place,
        line=content.count(b"\n", 0, match.start("secret")) + 1,
        kind=kind,
        masked=f"{shown}… ({len(value)} characters)",
        fingerprint=hashlib.sha256(value).hexdigest()[:16],
    )


def _in(content: bytes, place: str, budget: Budget, depth: int) -> Iterator[Secret]:
    kinds = kinds_of(content)
    if not kinds or (
        kinds == ("zip",) and not content.startswith(b"PK")
    ):  # what stands before a zip is read as it stands
        yield from secrets_in(content, place)
    if depth >= _DEEPEST:
        return
    for kind in kinds:
        try:
            for name, inner in members(content, kind, budget):
                yield from _in(inner, f"{place}!{name}" if name else place, budget, depth + 1)
        except Exception:  # noqa: BLE001, S112 - of whatever kind: what cannot be looked into is refused by the scan for code
            continue
