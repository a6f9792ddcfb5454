"""Settings: one frozen tree, read once from `HOME/settings.toml` and from `MUSTER_…`, then handed down in pieces.

A variable wins over the file: `MUSTER_DATABASE` is `database`, `MUSTER_SERVING_FRONTS` is `fronts` of the table `[serving]`.
"""

import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin
from urllib.parse import urlsplit

import msgspec

from muster.vocabulary.errors import Invalid

_PREFIX = "MUSTER_"
#: Variables that are no settings of a factory: they say where it is and who asks.
_NOT_SETTINGS = frozenset(
    {
        "MUSTER_HOME",
        "MUSTER_URL",
        "MUSTER_TOKEN",
        "MUSTER_SCORING_URL",
        "MUSTER_PROJECT",
        "MUSTER_PARTS",
        "MUSTER_EXAMPLES_CACHE",
        "MUSTER_TEST_CACHE",
    }
)


Positive = Annotated[int, msgspec.Meta(ge=1)]
AboveZero = Annotated[float, msgspec.Meta(gt=0)]


class SettingsMalformed(Invalid):
    """A setting is unknown, or its value is not of its kind."""

    code = "settings.malformed"
    advice = "docs/reference/settings.md lists every setting with its unit, range and default."


class ControlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The control plane."""

    upload_bytes: Positive = 4 * 1024**3
    """Largest bundle that can be registered, bytes."""


class ServingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fronts and hosts."""

    fronts: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Front processes on the scoring port, 1 to 64."""
    grpc: bool = True
    """Whether fronts serve gRPC too; without it each is some 7 MiB smaller."""
    grpc_message_mib: Annotated[int, msgspec.Meta(ge=1, le=2047)] = 128
    """Largest gRPC message that is read, MiB; below it, each release has its own limit."""
    tls_certificate: str = ""
    """PEM file with the scoring doors' certificate and those it was signed with; below the home if relative; empty: no TLS."""
    tls_key: str = ""
    """PEM file with the certificate's private key, without a passphrase."""
    tls_client_ca: str = ""
    """PEM file with who signs the certificates that callers have to show; empty: they need none."""
    host_memory_mib: Annotated[int, msgspec.Meta(ge=0)] = 8192
    """Resident memory above which a host is ended and started again, MiB; 0: no limit."""


class ArchiveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Decision records."""

    segment_mib: Positive = 64
    """Size at which a segment is closed, MiB."""
    segment_s: AboveZero = 60.0
    """Age at which a segment is closed, seconds."""
    compact_after_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    """How long after its last deadline a closed segment waits for late answers before it becomes Parquet, seconds."""
    spool_mib: Annotated[int, msgspec.Meta(ge=0)] = 4096
    """Most that one front's segments may take until they are Parquet, MiB; then its endpoints' `archive_full` counts. 0: no limit."""
    store: str = ""
    """Where the Parquet files go: a folder, or `s3://BUCKET/PREFIX`; empty: `archive/parquet` in the home."""
    retention_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0
    """How long records are kept at endpoints that have no rule of their own, days; 0: for ever."""


class CertificationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of the checks."""

    latency_limit_ms: AboveZero = 1000.0
    """One-row latency at the 99th percentile that a version may have on its host, milliseconds."""
    prove_rebuild: bool = True
    """Whether each environment is built again from the seal alone, without a network; a standard can ask for it all the same."""
    try_generated: bool = True
    """Whether rows generated from the contract are put to the model, which may end its host; a standard can ask for it all the same."""
    at_once: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """How many sessions of long work are worked on at the same time, up to 64; 0: two, or one on a machine with one core."""
    session_memory_mib: Annotated[int, msgspec.Meta(ge=0)] = 16384
    """Resident memory that a certification may take, with its hosts and builds, MiB; four fifths of the machine's at most. 0: no limit."""
    session_hours: AboveZero = 6.0
    """How long a certification may take, hours; beyond it, it is ended."""
    signing_key: str = ""
    """PEM file with the private key that signs certificates; below the home if relative; empty: Muster makes one in `keys`."""


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where processes show what they count."""

    host: str = "127.0.0.1"
    """Address that the ports below belong to."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65000)] = 0
    """Control's own port for metrics; executor, keeper and supervisor have the next ones, front K has it plus 10 plus K. 0: none."""
    token: str = ""
    """What whoever reads metrics over TCP has to send as a bearer token; empty: this machine's callers need none."""


class TracesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Traces of requests."""

    endpoint: str = ""
    """OpenTelemetry collector that takes OTLP over HTTP, `http://HOST:4318`; empty: no traces."""
    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """Share of the requests that come without a trace of their own and are traced, 0 to 1."""
    per_s: Positive = 100
    """Most requests that one front traces in a second."""


class OidcProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An OpenID provider at which people may sign in."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    """What people call it on the command line."""
    issuer: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    """Its address as its discovery document spells it; https, except on this machine."""
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    """What the provider calls this factory."""
    client_secret_file: str = ""
    """File with the client's secret; below the home if relative; read for every sign-in; empty: a client without a secret."""
    scopes: tuple[Annotated[str, msgspec.Meta(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,100}$")], ...] = (
        "openid",
        "profile",
    )
    """What is asked for; `openid` always is."""
    claim: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "preferred_username"
    """The claim that is held against the names of users, where `allow` is `known-names`."""
    allow: Literal["bound", "known-names"] = "bound"
    """Who may sign in: identities that an admin bound to a user, or also those whose claim is a user's name."""
    groups_claim: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """The claim that lists somebody's groups at the provider."""
    groups: tuple[str, ...] = ()
    """Only members of one of these groups may sign in; empty: of any."""
    joins: dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=255)],
        Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")],
    ] = {}
    """Group at the provider = group of this factory: at every sign-in its members join, and who is none any more leaves."""
    origins: tuple[str, ...] = ()
    """Further origins, `https://HOST`, at which the provider's addresses may lie; its issuer's always may."""

    def __post_init__(self) -> None:
        """Refuse what no provider can be."""
        if not _is_safe_url(self.issuer):
            raise ValueError(
                f"the issuer {self.issuer!r} is no https address without query (http on this machine alone)"
            )
        for origin in self.origins:
            if not _is_safe_url(origin) or urlsplit(origin).path:
                raise ValueError(f"{origin!r} is no origin like https://login.example.com")
        if self.allow == "known-names" and self.claim in {"email", "name", "nickname", "given_name"}:
            raise ValueError(f"the claim {self.claim!r} does not say who somebody is: people can have it changed")
        if bool(self.groups or self.joins) != bool(self.groups_claim):
            raise ValueError("groups, or joins, and groups_claim go together")


class AccessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Signing in."""

    sign_in_hours: Annotated[float, msgspec.Meta(gt=0, le=720)] = 12.0
    """How long a token lasts that somebody signed in for, hours, up to 720."""
    public_url: str = ""
    """Where browsers reach control, `https://HOST`; needed for OpenID providers, which send people back there."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` says who calls."""
    oidc: tuple[OidcProviderSettings, ...] = ()
    """OpenID providers at which people may sign in."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for text in self.trusted_proxies:
            try:
                ip_network(text)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: {error}") from error
        if self.public_url and not _is_safe_url(self.public_url):
            raise ValueError(
                f"public_url {self.public_url!r} is no https address without query (http on this machine alone)"
            )
        names = [provider.name for provider in self.oidc]
        if len(set(names)) != len(names):
            raise ValueError("two providers in access.oidc have one name")
        if names and not self.public_url:
            raise ValueError("access.oidc needs access.public_url: providers send people back there")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    database: str = ""
    """`sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`; empty: `muster.db` in the home."""
    store: str = ""
    """A folder, or `s3://BUCKET/PREFIX`; empty: `store` in the home."""
    confinement: Literal["require", "best-effort", "off"] = "best-effort"
    """Where this kernel cannot keep models from files, network and processes: start no host, or say what is lacking; or never confine."""
    control: ControlSettings = ControlSettings()
    serving: ServingSettings = ServingSettings()
    archive: ArchiveSettings = ArchiveSettings()
    certification: CertificationSettings = CertificationSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TracesSettings = TracesSettings()
    access: AccessSettings = AccessSettings()


def read_settings(file: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a home.

    Args:
        file: `settings.toml`; may be absent.
        environment: variables; the process's own when None.

    Raises:
        SettingsMalformed: a name is unknown or a value of the wrong kind; the message names it and where it stands.
    """
    tree: dict[str, Any] = {}
    if file.exists():
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsMalformed(f"{file} is not TOML: {error}", file=str(file)) from error
    variables = os.environ if environment is None else environment
    for name, value in variables.items():
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS:
            _lay(tree, name, value)
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsMalformed(
            f"a setting in {file} or in a {_PREFIX}… variable is wrong: {error}", file=str(file)
        ) from error


def _lay(tree: dict[str, Any], name: str, value: str) -> None:
    """Put a variable's value into its place in the tree."""
    setting = name.removeprefix(_PREFIX).lower()
    for field in msgspec.structs.fields(Settings):
        if setting == field.name:
            tree[setting] = value
            return
        inner = setting.removeprefix(field.name + "_")
        if inner != setting and isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            kinds = {part.name: part.type for part in msgspec.structs.fields(field.type)}
            if inner not in kinds:
                break
            laid = _listed(name, value) if get_origin(kinds[inner]) is tuple else value
            tree[field.name] = {**tree.get(field.name, {}), inner: laid}
            return
    raise SettingsMalformed(f"{name} names no setting", variable=name)


def _listed(name: str, value: str) -> list[Any]:
    """A list as a variable holds it: JSON, or texts with commas between them."""
    if not value.lstrip().startswith("["):
        return [text.strip() for text in value.split(",") if text.strip()]
    try:
        return msgspec.json.decode(value, type=list[Any])
    except msgspec.MsgspecError as error:
        raise SettingsMalformed(f"{name} is no list in JSON: {error}", variable=name) from error


def _is_safe_url(text: str) -> bool:
    """Whether an address is one that secrets may be sent to: https, or this machine; nothing behind its path."""
    try:
        parts = urlsplit(text)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if not parts.hostname or not port_is_one or parts.query or parts.fragment or parts.username is not None:
        return False
    if any(character in text for character in "?#\\") or not text.isascii() or not text.isprintable() or " " in text:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(parts.hostname))


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
