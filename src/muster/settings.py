"""Settings: one frozen tree, read once from `HOME/settings.toml` and from `MUSTER_…`, then handed down in pieces.

A variable wins over the file: `MUSTER_DATABASE` is `database`, `MUSTER_SERVING_FRONTS` is `fronts` of the table `[serving]`.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
    """Whether each environment is built a second time, from the seal alone and without a network, and its answers compared."""


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


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    database: str = ""
    """`sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`; empty: `muster.db` in the home."""
    store: str = ""
    """A folder, or `s3://BUCKET/PREFIX`; empty: `store` in the home."""
    control: ControlSettings = ControlSettings()
    serving: ServingSettings = ServingSettings()
    archive: ArchiveSettings = ArchiveSettings()
    certification: CertificationSettings = CertificationSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TracesSettings = TracesSettings()


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
            if inner not in {part.name for part in msgspec.structs.fields(field.type)}:
                break
            tree[field.name] = {**tree.get(field.name, {}), inner: value}
            return
    raise SettingsMalformed(f"{name} names no setting", variable=name)
