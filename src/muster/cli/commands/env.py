"""Environments: env build, list, show, verify, export, gc, rebuild, sbom, trust."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from muster.blobs.local import LocalBlobs
from muster.bootstrap.home import open_home
from muster.bootstrap.sealed_versions import SealedVersions
from muster.bootstrap.stores import environments_of
from muster.cli import exits
from muster.cli.commands.processes import home_option
from muster.cli.errors import FileMissing, UsageWrong
from muster.cli.main import Meant
from muster.cli.options import factory
from muster.cli.output import Output, answering, show_facts, show_table
from muster.cli.proof import Proof, prove
from muster.environments.sealing import Seal, unpack_export
from muster.environments.sealing import export as write_export
from muster.environments.shelf import Built, Shelf, Standing, lab_shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleDamaged, EnvironmentDamaged, EnvironmentMissing
from muster.packaging.trees import remove_tree
from muster.vocabulary.digests import Digest, checked_digest
from muster.vocabulary.names import VersionName

if TYPE_CHECKING:
    from rich.console import Console

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_DAYS = {"d": 1.0, "h": 1 / 24, "m": 1 / 1440, "s": 1 / 86_400}
_MIB = 2**20
_SHORT = 19

lab_option = click.option("--lab", is_flag=True, help="The lab's environments, not those of the home.")


@click.group("env")
def env() -> None:
    """Build, list, verify, export and rebuild environments.

    These are deeds on the machine where the home lies, whether its factory runs or not; where there is no home, on the lab's own
    environments. `sbom` and `trust` ask the factory.
    """


@env.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--offline", is_flag=True, help="Fetch nothing.")
@answering
def build(out: Output, *, folder: Path, offline: bool) -> None:
    """Build the environment of a bundle in the lab's cache; one that is there and whole is taken."""
    if not folder.is_dir():
        raise FileMissing(f"there is no folder {folder}", path=str(folder))
    bundle = read_bundle(folder)
    begun = time.monotonic()
    with out.progress(f"Building the environment of {bundle.name}") as news:
        built = lab_shelf(os.environ).ensure(folder, bundle, news, offline=offline)
    document = {**_described(built), "seconds": round(time.monotonic() - begun, 3)}
    out.document(document, lambda console: show_facts(console, document.items()))


@env.command("list")
@home_option
@lab_option
@answering
def list_(out: Output, *, home: Path, lab: bool) -> None:
    """List the environments on this machine, the one used last first.

    "own" is what would be free without it: files that it shares with no other environment and no cache.
    """
    found = _shelf(home, lab=lab).all()
    rows = [
        (
            one.id[:_SHORT], one.kind, one.toolchain, one.packages, _mib(one.bytes), _mib(one.own_bytes),
            one.used_at.strftime("%Y-%m-%d %H:%M"), one.sealed,
        )
        for one in found
    ]  # fmt: skip
    columns = ("id", "kind", "toolchain", "packages", "size", "own", "used", "sealed")
    out.document(
        [_standing(one) for one in found],
        lambda console: show_table(console, columns, rows, none="There are no environments here."),
    )


@env.command()
@click.argument("identity", metavar="ID")
@home_option
@lab_option
@answering
def show(out: Output, *, identity: str, home: Path, lab: bool) -> None:
    """Show one environment: what it was built from, where it lies, and the parts of its seal. The beginning of its id is enough."""
    shelf = _shelf(home, lab=lab)
    standing = _one(shelf, identity)
    seal = shelf.sealed_here(standing.id)
    document = {
        **_standing(standing),
        "folder": str(shelf.find(standing.id).folder),
        "parts": [] if seal is None else [msgspec.to_builtins(part) for part in seal.packages],
        "system": {} if seal is None else seal.system,
    }

    def human(console: "Console") -> None:
        show_facts(console, [(name, value) for name, value in document.items() if name not in {"parts", "system"}])
        if seal is not None:
            console.print()
            rows = [(part.purl, part.licence, _mib(part.size), part.digest[:_SHORT]) for part in seal.packages]
            show_table(console, ("part", "licence", "size", "sha256"), rows, none="It has no parts.")

    out.document(document, human)


@env.command()
@click.argument("identity", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every environment; the same as naming none.")
@home_option
@lab_option
@answering
def verify(out: Output, *, identity: str | None, everything: bool, home: Path, lab: bool) -> int:
    """Read every byte of environments and hold it against what was installed.

    Exit code 1 says that one is damaged; the packages that differ are named. A damaged one is built again when it is next needed.
    """
    if identity is not None and everything:
        raise UsageWrong("say either an ID or --all")
    shelf = _shelf(home, lab=lab)
    wanted = shelf.all() if identity is None else (_one(shelf, identity),)
    found: list[dict[str, Any]] = []
    with out.progress("Verifying") as news:
        for standing in wanted:
            news(standing.id)
            try:
                shelf.verify(standing.id)
            except EnvironmentDamaged as damage:
                told = {"packages": damage.facts.get("packages", []), "paths": damage.facts.get("paths", [])}
                found.append({"id": standing.id, "whole": False, **told, "message": damage.message})
            else:
                found.append({"id": standing.id, "whole": True, "packages": [], "paths": [], "message": ""})
    rows = [(one["id"][:_SHORT], one["whole"], ", ".join(one["packages"] or one["paths"][:3])) for one in found]
    out.document(
        found,
        lambda console: show_table(console, ("id", "whole", "differs"), rows, none="There are no environments here."),
    )
    return exits.DONE if all(one["whole"] for one in found) else exits.VERDICT_NO


@env.command()
@click.argument("version")
@click.option("-o", "--output", "file", metavar="FILE.tar", required=True, type=_FILE, help="Where to.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@home_option
@click.pass_context
@answering
def export(out: Output, ctx: click.Context, *, version: str, file: Path, force: bool, home: Path) -> None:
    """Write a version's seal, its parts and its bundle into one tar, for a machine that reaches no store."""
    if file.exists() and not force:
        raise UsageWrong(f"{file} exists; --force replaces it")
    with out.progress(f"Exporting {version}"), SealedVersions(open_home(home)) as versions:
        found = versions.sealed(_project(ctx), VersionName.parse(version))
        weight = write_export(found.seal, found.folder, versions.factory.blobs, file)
    document = {
        "version": version,
        "digest": found.version,
        "environment": found.seal.environment,
        "seal": found.digest,
        "parts": len(found.seal.packages),
        "file": str(file),
        "bytes": weight,
    }
    out.document(document, lambda console: show_facts(console, document.items()))


@env.command()
@click.option("--older-than", metavar="TIME", default="30d", show_default=True, help="Not used for so long: 30d, 12h.")
@click.option("--parts", is_flag=True, help="Fetched parts as well; seals keep theirs in the store.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@home_option
@lab_option
@answering
def gc(out: Output, *, older_than: str, parts: bool, dry_run: bool, home: Path, lab: bool) -> None:
    """Take away environments that no version needs, that no host runs in, and that were not used for so long.

    Versions that are neither retired nor banned keep theirs. What goes is rebuilt from its seal when it is needed again.
    """
    age = _age(older_than)
    shelf = _shelf(home, lab=lab)
    wanted: frozenset[Digest] = frozenset()
    if not lab and _has_home(home):
        with SealedVersions(open_home(home)) as versions:
            wanted = versions.wanted()
    swept = shelf.sweep(wanted, age, dry_run=dry_run)
    freed = shelf.sweep_parts(age, dry_run=dry_run) if parts else 0
    document = {
        "removed": [{"id": one.id, "kind": one.kind, "bytes": one.bytes} for one in swept],
        "parts_bytes": freed,
        "bytes": freed + sum(one.bytes for one in swept),
        "dry_run": dry_run,
    }

    def human(console: "Console") -> None:
        rows = [(one.id[:_SHORT], one.kind, _mib(one.bytes), one.used_at.strftime("%Y-%m-%d")) for one in swept]
        show_table(console, ("id", "kind", "frees", "used"), rows, none="Nothing to take away.")
        if parts:
            console.print(f"parts: {_mib(freed)}")

    out.document(document, human)


@env.command()
@click.argument("what", metavar="VERSION|FILE.tar")
@click.option("--offline", is_flag=True, help="From the store alone, with the network cut. A FILE.tar always is.")
@click.option("-o", "--output", "folder", metavar="DIR", type=_FOLDER, help="Into this folder, not into the home.")
@click.option(
    "--digest",
    metavar="sha256:HEX",
    help="The digest that the version has to have; another is refused before anything of it runs.",
)
@click.option("--no-proof", is_flag=True, help="Do not let the model answer its golden rows in it.")
@home_option
@click.pass_context
@answering
def rebuild(
    out: Output,
    ctx: click.Context,
    *,
    what: str,
    offline: bool,
    folder: Path | None,
    digest: str | None,
    no_proof: bool,
    home: Path,
) -> int:
    """Build a version's environment again, and let the model answer its golden rows in it.

    Exit code 1 says that the environment is another than the sealed one, or that golden answers differ.
    """
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise UsageWrong(f"{folder} exists and is not empty")
    expected = None if digest is None else checked_digest(digest)
    begun = time.monotonic()
    with out.progress(f"Rebuilding {what}") as news:
        if what.endswith(".tar"):
            if folder is None:
                raise UsageWrong("a FILE.tar is rebuilt into a folder: say -o DIR")
            seal, built, place, bundle, version = _from_export(Path(what), folder, expected, news)
        else:
            with SealedVersions(open_home(home)) as versions:
                found = versions.sealed(_project(ctx), VersionName.parse(what))
                seal, place, bundle, version = found.seal, found.folder, found.bundle, found.version
                if expected not in {None, version}:
                    raise BundleDamaged(f"{what} is the version {version}, not {expected}", found=version)
                shelf = versions.factory.environments
                if folder is not None:
                    folder.mkdir(parents=True, exist_ok=True)
                    built = shelf.rebuild(seal, place, bundle, folder, news)
                else:
                    built = shelf.restore(seal, place, bundle, news, offline=offline)
        took_s = round(time.monotonic() - begun, 3)
        proof = None if no_proof else prove(built, place, bundle, news)
    identical = built.id == seal.environment
    document = {
        "digest": version,
        **_described(built),
        "sealed_as": seal.environment,
        "identical": identical,
        "parts": len(seal.packages),
        "seconds": took_s,
        "golden": None if proof is None else proof.document(),
    }
    out.document(document, lambda console: show_facts(console, _told(document, proof)))
    if not identical:
        out.note(_why_other(built, seal))
    return exits.DONE if identical and (proof is None or proof.passed) else exits.VERDICT_NO


@env.command()
@click.argument("version")
@click.option("-o", "--output", "file", metavar="FILE", type=_FILE, help="Where to; else stdout.")
@answering
def sbom(out: Output, version: str, file: Path | None) -> None:
    """Write what a version is made of as CycloneDX: packages, versions, hashes, licences."""
    with factory() as muster:
        bill = muster.sbom(version)
    content = msgspec.json.format(msgspec.json.encode(bill), indent=2)
    if file is None:
        click.echo(content)
        return
    file.write_bytes(content + b"\n")
    document = {"version": version, "file": str(file), "components": len(bill.get("components", []))}
    out.document(document, lambda console: show_facts(console, document.items()))


@env.group()
def trust() -> None:
    """The packages that a project trusts: rules that certification holds every lock against."""


@trust.command("show")
@answering
def show_trust(out: Output) -> None:
    """Show the rules in force."""
    with factory() as muster:
        rules = muster.package_rules()
    out.document(rules, lambda console: console.print(rules.rules or "There are no rules: every package is allowed."))


@trust.command("set")
@click.argument("file", metavar="FILE.toml", type=_FILE)
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit journal.")
@answering
def set_trust(out: Output, file: Path, reason: str) -> None:
    """Set the rules, all of them; docs/reference/environments.md describes the file."""
    if not file.is_file():
        raise FileMissing(f"there is no file {file}", path=str(file))
    with factory() as muster:
        rules = muster.set_package_rules(file.read_text(encoding="utf-8"), reason)
    out.document(rules, lambda console: console.print("Set; they hold from the next certification on."))


def _from_export(
    file: Path, folder: Path, version: Digest | None, news: Any
) -> tuple[Seal, Built, Path, Bundle, Digest]:
    """The environment of an export, in a folder that needs no home: `environment/`, and the bundle in `bundle/`."""
    if not file.is_file():
        raise FileMissing(f"there is no file {file}", path=str(file))
    folder.mkdir(parents=True, exist_ok=True)
    with _all_or_nothing(folder), tempfile.TemporaryDirectory(prefix=".muster-import-", dir=folder) as scratch:
        found = unpack_export(file, Path(scratch, "export"), version)
        store = LocalBlobs(Path(scratch, "store"))
        for digest, path in found.parts.items():
            store.put(path, Digest(digest))
        bundle_folder = folder / "bundle"
        Path(scratch, "export", "bundle").rename(bundle_folder)
        bundle = read_bundle(bundle_folder)
        place = folder / "environment"
        place.mkdir()
        built = Shelf(place, place / "uv-cache", store).rebuild(found.seal, bundle_folder, bundle, place, news)
    return found.seal, built, bundle_folder, bundle, found.version


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[None]:
    """Take away what the block has put into a folder if it fails, and the folder, if nothing else is in it."""
    before = set(folder.iterdir())
    try:
        yield
    except BaseException:
        for path in set(folder.iterdir()) - before:
            remove_tree(path)
        with suppress(OSError):
            folder.rmdir()
        raise


def _has_home(home: Path) -> bool:
    return (home / "factory.json").is_file()


def _shelf(home: Path, *, lab: bool) -> Shelf:
    return environments_of(open_home(home)) if not lab and _has_home(home) else lab_shelf(os.environ)


def _one(shelf: Shelf, identity: str) -> Standing:
    """The one environment whose id begins so.

    Raises:
        EnvironmentMissing: there is none.
        UsageWrong: there are several.
    """
    begins = identity if identity.startswith("sha256:") else f"sha256:{identity}"
    found = [standing for standing in shelf.all() if standing.id.startswith(begins)]
    if not found:
        raise EnvironmentMissing(f"there is no environment {identity} here", environment=identity)
    if len(found) > 1:
        raise UsageWrong(f"{len(found)} environments begin with {identity}; write more of it")
    return found[0]


def _project(ctx: click.Context) -> str:
    meant = ctx.find_object(Meant)
    return meant.project if meant else "default"


def _age(text: str) -> timedelta:
    try:
        return timedelta(days=float(text[:-1]) * _DAYS[text[-1:]])
    except (KeyError, ValueError, OverflowError) as error:
        raise UsageWrong(f"{text!r} is no length of time like 30d, 12h or 0s") from error


def _described(built: Built) -> dict[str, Any]:
    return {
        "id": built.id,
        "kind": built.kind,
        "toolchain": built.toolchain,
        "platform": built.platform,
        "folder": str(built.folder),
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "id": standing.id,
        "kind": standing.kind,
        "toolchain": standing.toolchain,
        "platform": standing.platform,
        "packages": standing.packages,
        "bytes": standing.bytes,
        "own_bytes": standing.own_bytes,
        "built_at": standing.built_at.isoformat(),
        "used_at": standing.used_at.isoformat(),
        "sealed": standing.sealed,
    }


def _told(document: dict[str, Any], proof: Proof | None) -> list[tuple[str, Any]]:
    golden = "not asked for" if proof is None else str(proof)
    return [*((name, value) for name, value in document.items() if name != "golden"), ("golden", golden)]


def _why_other(built: Built, seal: Seal) -> str:
    """Why an environment from the same parts has another id."""
    differing = [
        f"{name} {here} here, {there} when it was sealed"
        for name, here, there in (
            ("toolchain", built.toolchain, seal.toolchain),
            ("platform", built.platform, seal.platform),
        )
        if here != there
    ]
    return "It is of the same parts, and another environment: " + ("; ".join(differing) or "the builder has changed")


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f} MiB"
