"""Signed certificates: certificate show, list, report, export, verify, sign, keys, add-key, revoke-key, rotate-key; and notices."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from muster.cli import exits
from muster.cli.commands.dossiers import report
from muster.cli.errors import FileMissing
from muster.cli.files import writing
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.wire import certificates as wire

if TYPE_CHECKING:
    from rich.console import Console


@click.group()
def certificate() -> None:
    """Show, export, verify and sign certificates; see and change the keys that sign them."""


certificate.add_command(report)


@certificate.command("show")
@click.argument("version", metavar="VERSION")
@answering
def show_certificate(out: Output, version: str) -> None:
    """Show the newest certificate of a version: what was checked, until when it is good, who has signed it."""
    with factory() as muster:
        found = muster.signed_certificate(version)
    out.document(found, lambda console: _show(console, found))


@certificate.command("list")
@click.argument("version", metavar="VERSION")
@answering
def list_certificates(out: Output, version: str) -> None:
    """List every certificate of a version, the newest first."""
    with factory() as muster:
        found = muster.certificates(version)
    rows = [
        (
            one.session,
            one.at,
            one.expires or "",
            one.standard or "",
            "signed" if one.signed else "not signed",
            one.requested_by,
        )
        for one in found.certificates
    ]
    columns = ("session", "at", "until", "standard", "", "asked by")
    out.document(found, lambda console: show_table(console, columns, rows, none="It has none."))


@certificate.command("export")
@click.argument("version", metavar="VERSION")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="The file; else VERSION.dsse.json.")
@answering
def export_certificate(out: Output, version: str, target: Path | None) -> None:
    """Write the newest certificate of a version into a file that is verified without the factory: a DSSE envelope in JSON."""
    with factory() as muster:
        found = muster.signed_certificate(version)
    file = target or Path(f"{version.replace(':', '-')}.dsse.json")
    with writing(file):
        file.write_text(json.dumps(found.envelope) + "\n", encoding="utf-8")
    document = {"version": found.version, "file": str(file), "session": found.session}
    out.document(
        document, lambda console: console.print(f"{found.version}: its certificate is in {file}", markup=False)
    )


@certificate.command("verify")
@click.argument("what", metavar="VERSION|FILE")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A public key of the factory, in PEM: then FILE is verified without any factory. Again for several.",
)
@click.option("--digest", help="The version's digest that the certificate has to be about.")
@click.option(
    "--strict",
    is_flag=True,
    help="A key that is revoked by now vouches for nothing, whatever moment the certificate names. Of those that are "
    "given with --key none is known to be revoked: leave it out.",
)
@answering
def verify_certificate(out: Output, what: str, *, keys: tuple[Path, ...], digest: str | None, strict: bool) -> int:
    """Verify a certificate: in the factory by the VERSION it is about, or an exported FILE with nothing but public keys.

    Exit code 1 says that it should not be relied upon, and each reason is told.
    """
    if keys:
        document = _verified_offline(Path(what), keys)
    else:
        with factory() as muster:
            document = muster.verify_certificate(what, strict=strict)
    if digest is not None and digest != document.digest:
        document = _about_another(document, digest)
    out.document(document, lambda console: _show_verification(console, document))
    return exits.DONE if document.good else exits.VERDICT_NO


@certificate.command("sign")
@click.argument("version", metavar="VERSION")
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="Your private key, in PEM; it stays on this machine."
)
@reason_option
@answering
def sign_certificate(out: Output, version: str, key: Path, reason: str) -> None:
    """Put your own signature beside the factory's; your public key has to be known before (`add-key`)."""
    _require(key)
    with factory() as muster:
        found = muster.sign_certificate(version, key, reason)
    out.document(found, lambda console: _show(console, found))


@certificate.command("keys")
@answering
def list_keys(out: Output) -> None:
    """List the public keys that certificates are verified with, the factory's own first; `--json` holds them in PEM."""
    with factory() as muster:
        found = muster.certificate_keys()
    rows = [
        (
            one.id,
            one.owner or "the factory",
            one.added_at,
            one.revoked_at and f"{one.revoked_at} by {one.revoked_by}: {one.reason}",
        )
        for one in found.keys
    ]
    out.document(found, lambda console: show_table(console, ("key", "of", "since", "revoked"), rows))


@certificate.command("key")
@click.argument("key_id", metavar="[KEY]", required=False)
@answering
def show_key(out: Output, key_id: str | None) -> int:
    """Print a public key in PEM: the one that the factory signs with, or the one whose id begins so."""
    with factory() as muster:
        found = muster.certificate_keys().keys
    wanted = [
        one for one in found if (one.id.startswith(key_id) if key_id else not one.owner and one.revoked_at is None)
    ]
    if len(wanted) != 1:
        raise click.UsageError(f"{len(wanted)} keys begin with {key_id}; `muster certificate keys` lists them all.")
    out.document(wanted[0], lambda console: console.print(wanted[0].public_key, markup=False, end=""))
    return exits.DONE


@certificate.command("add-key")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@reason_option
@answering
def add_key(out: Output, file: Path, reason: str) -> None:
    """Make your public key known, in PEM, so that you can sign certificates with the private one."""
    _require(file)
    with factory() as muster:
        found = muster.add_certificate_key(file.read_text(encoding="utf-8", errors="replace"), reason)
    out.document(found, lambda console: console.print(f"{found.id} is known as a key of {found.owner}"))


@certificate.command("revoke-key")
@click.argument("key_id", metavar="KEY")
@reason_option
@answering
def revoke_key(out: Output, key_id: str, reason: str) -> None:
    """Say that a person's key signs nothing any more: your own, or another's with the right manage-keys."""
    with factory() as muster:
        found = muster.revoke_certificate_key(key_id, reason)
    out.document(found, lambda console: console.print(f"{found.id} of {found.owner} is revoked"))


@certificate.command("rotate-key")
@reason_option
@answering
def rotate_key(out: Output, reason: str) -> None:
    """Have a new key of the factory sign from now on; what the one before has signed until now stays good."""
    with factory() as muster:
        found = muster.rotate_certificate_key(reason)
    out.document(found, lambda console: console.print(f"{found.id} signs from now on"))


@click.command()
@click.option("--urgent", is_flag=True, help="Only what somebody has to do something about.")
@answering
def notices(out: Output, *, urgent: bool) -> None:
    """Show what is to be said of the project's certificates now: renewals, ends, changed environments."""
    with factory() as muster:
        found = muster.notices(urgent_only=urgent)
    rows = [(one.at, "!" if one.urgent else "", one.kind, one.version, one.told) for one in found.notices]
    columns = ("at", "", "notice", "version", "")
    out.document(found, lambda console: show_table(console, columns, rows, none="There is nothing to be said."))


def _require(file: Path) -> None:
    if not file.is_file():
        raise FileMissing(f"there is no file {file}", file=str(file))


def _about_another(found: wire.CertificateVerification, digest: str) -> wire.CertificateVerification:
    told = f"it is about {found.digest}, not about {digest}"
    problem = wire.CertificateProblem(code="subject", told=told)
    return msgspec.structs.replace(found, good=False, problems=(*found.problems, problem))


def _verified_offline(file: Path, keys: tuple[Path, ...]) -> wire.CertificateVerification:
    # Here and not above: it brings a library of cryptography, which most commands do without.
    from muster.attestation.envelopes import read_envelope  # noqa: PLC0415
    from muster.attestation.keys import read_public_key  # noqa: PLC0415
    from muster.attestation.verification import KnownKey, judged  # noqa: PLC0415

    for one in (file, *keys):
        _require(one)
    known = [KnownKey(public=read_public_key(one.read_bytes(), of=str(one))) for one in keys]
    found = judged(read_envelope(file.read_bytes()), known, datetime.now(UTC))
    said = found.statement.predicate
    return wire.CertificateVerification(
        version=said.version,
        digest=found.statement.digest,
        session=said.session,
        good=found.is_good,
        problems=tuple(wire.CertificateProblem(code=one.code, told=one.told) for one in found.problems),
        signed_by=tuple(
            wire.CertificateSigner(key=one.public.id, owner="", revoked_at=None) for one in found.signed_by
        ),
        standard=None if said.standard is None else f"{said.standard.name}:{said.standard.version}",
        at=said.at,
        expires=said.expires,
    )


def _show_verification(console: "Console", found: wire.CertificateVerification) -> None:
    style, verdict = ("green", "may be relied upon") if found.good else ("red", "should not be relied upon")
    console.print(f"the certificate of {found.version} {verdict}", style=style)
    show_facts(
        console,
        (
            *((one.code, one.told) for one in found.problems),
            ("about", found.digest),
            ("session", found.session),
            ("at", found.at),
            ("until", found.expires),
            ("standard", found.standard),
            *(("signed by", f"{one.owner or 'the factory'}, key {one.key}") for one in found.signed_by),
        ),
    )


def _show(console: "Console", found: wire.SignedCertificate) -> None:
    said = found.statement["predicate"]
    standard = said["standard"]
    console.print(f"{found.version}: certified at {said['at']}", style="bold")
    show_facts(
        console,
        (
            ("until", said["expires"] or "for ever"),
            ("standard", standard and f"{standard['name']}:{standard['version']}"),
            ("session", found.session),
            ("asked by", said["requested_by"]),
            ("environment", said["environment"]),
            ("hardware", said["hardware"]),
            *(("signed by key", one["keyid"]) for one in found.envelope["signatures"]),
        ),
    )
    rows = [
        ("ok" if one["passed"] else "waived", one["name"], one["figure"], one["limit"], one["detail"])
        for one in said["checks"]
    ]
    show_table(console, ("", "check", "figure", "limit", "detail"), rows)
