"""From a bundle to an accepted version, and its end: register, models, show, diff, certify, accept, retire, ban."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from muster.cli import exits
from muster.cli.commands.catalogue import show_carried
from muster.cli.errors import FileMissing
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.vocabulary.errors import Conflict, Invalid, NotAllowed, NotFound, Refused
from muster.wire import control
from muster.wire.contracts import Field

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.argument("bundle", metavar="DIR|ZIP", type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME", help="Refuse the bundle unless its muster.toml names this model.")
@answering
def register(out: Output, bundle: Path, model: str | None) -> None:
    """Register a bundle as a version of a model.

    The same bytes again are the same version: nothing is registered twice.
    """
    if not bundle.exists():
        raise FileMissing(f"there is no bundle at {bundle}", path=str(bundle))
    with out.progress(f"Registering {bundle}"), factory() as muster:
        version = muster.register(bundle, model=model)
    out.document(version, lambda console: console.print(f"{version.version} is {version.state} ({version.digest})"))
    for lack in version.lacks:
        out.note(f"The project's standard asks for more: {lack}")


@click.command()
@answering
def models(out: Output) -> None:
    """List the models."""
    with factory() as muster:
        found = muster.models()
    rows = [
        (
            model.name,
            model.versions,
            latest and latest.version,
            latest and latest.state,
            latest and latest.registered_at,
        )
        for model in found.models
        for latest in [model.latest]
    ]
    columns = ("model", "versions", "latest", "state", "registered")
    out.document(found, lambda console: show_table(console, columns, rows, none="There is no model yet."))


@click.command()
@click.argument("name", metavar="MODEL[:NUMBER]")
@answering
def show(out: Output, name: str) -> None:
    """Show a version, or a model with its versions."""
    with factory() as muster:
        if ":" not in name:
            model = muster.model(name)
            out.document(model, lambda console: show_carried(console, model))
            return
        version = muster.version(name)
    out.document(version, lambda console: _show_version(console, version))


@click.command()
@click.argument("before", metavar="VERSION")
@click.argument("after", metavar="VERSION")
@answering
def diff(out: Output, before: str, after: str) -> None:
    """Show how the second version differs from the first: files, contract, packages, declarations."""
    with factory() as muster:
        found = muster.diff(before, after)
    out.document(found, lambda console: _show_diff(console, found))


@click.command()
@click.argument("version", metavar="VERSION")
@click.option("--wait/--no-wait", default=True, help="Wait for the verdict (the default), or only ask for it.")
@click.option("--twin", is_flag=True, help="Make a compiled twin as well, and hold it against the version.")
@click.option(
    "--twin-tolerance",
    metavar="abs=N[,rel=N]",
    callback=lambda _context, _parameter, text: _tolerance(text),
    help="How far the twin's values may lie from the version's; else as far as golden answers may.",
)
@answering
def certify(out: Output, version: str, *, wait: bool, twin: bool, twin_tolerance: Mapping[str, float] | None) -> int:
    """Have a version examined: its environment is built, its golden answers are computed, its limits are checked.

    Exit code 1 says that a check failed; the version stays registered.
    """
    if twin_tolerance is not None and not twin:
        raise click.UsageError("--twin-tolerance is for --twin: without a twin there is nothing to compare.")
    with out.progress(f"Certifying {version}") as news, factory() as muster:
        found = muster.certify(
            version,
            twin=twin,
            twin_tolerance=twin_tolerance,
            wait=wait,
            progress=lambda session: news(_latest(session)),
        )
    out.document(found, lambda console: _show_certification(console, found))
    return exits.DONE if found.passed or not wait else exits.VERDICT_NO


@click.command()
@click.argument("versions", metavar="VERSION…", nargs=-1, required=True)
@click.option(
    "--for", "for_person", metavar="NAME", help="Vote in the place of somebody who is absent and has named you."
)
@reason_option
@answering
def accept(out: Output, versions: tuple[str, ...], for_person: str | None, reason: str) -> int:
    """Say yes to certified versions; with the last approval that is needed a version is accepted. Never one's own work.

    Several are judged one by one, each on record by itself. Exit code 1 says that some were refused, and which is told.
    """
    with factory() as muster:
        if len(versions) == 1:
            _moved(out, muster.accept(versions[0], reason, for_person=for_person))
            return exits.DONE
        done, refused = [], []
        for version in versions:
            try:
                done.append(muster.accept(version, reason, for_person=for_person))
            except (Invalid, NotAllowed, NotFound, Conflict, Refused) as error:
                refused.append({"version": version, "code": error.code, "message": error.message})
    document = {
        "versions": [{"version": one.version, "state": str(one.state), "missing": list(one.missing)} for one in done],
        "refused": refused,
    }
    rows = [(one.version, str(one.state), "; ".join(one.missing)) for one in done]
    rows.extend((one["version"], "refused", one["message"]) for one in refused)
    out.document(document, lambda console: show_table(console, ("version", "", ""), rows))
    return exits.VERDICT_NO if refused else exits.DONE


@click.command()
@click.argument("version", metavar="VERSION")
@reason_option
@answering
def retire(out: Output, version: str, reason: str) -> None:
    """End a version's life: new releases refuse it, current ones go on."""
    with factory() as muster:
        _moved(out, muster.retire(version, reason))


@click.command()
@click.argument("version", metavar="VERSION")
@reason_option
@answering
def ban(out: Output, version: str, reason: str) -> None:
    """Say that a version should not be used: fronts stop asking it within a second, new releases refuse it."""
    with factory() as muster:
        _moved(out, muster.ban(version, reason))


def _tolerance(text: str | None) -> dict[str, float] | None:
    """`abs=1e-6,rel=1e-9` as numbers."""
    if text is None:
        return None
    try:
        found = {name.strip(): float(value) for name, _, value in (part.partition("=") for part in text.split(","))}
    except ValueError:
        found = {}
    if not found or found.keys() - {"abs", "rel"} or not all(0 <= value < math.inf for value in found.values()):
        raise click.BadParameter(f"{text!r} is not like abs=1e-6 or abs=1e-6,rel=1e-9")
    return found


def _moved(out: Output, version: control.Version) -> None:
    def show(console: "Console") -> None:
        console.print(f"{version.version} is {version.state}")
        show_facts(console, [("missing", one) for one in version.missing])

    out.document(version, show)


def _latest(session: control.Session) -> str:
    return session.progress[-1] if session.progress else str(session.state)


def _show_version(console: "Console", version: control.Version) -> None:
    console.print(f"{version.version}: {version.state}", style="bold")
    show_facts(
        console,
        (
            ("digest", version.digest),
            ("description", version.description),
            ("owners", version.owners),
            ("authors", version.authors),
            ("tags", version.tags),
            ("registered", f"{version.registered_at} by {version.registered_by}"),
            ("certified", version.certificate and f"{version.certificate.at} ({version.certificate.session})"),
            ("environment", version.certificate and version.certificate.environment),
            ("seal", version.certificate and version.certificate.seal),
            ("twin", version.certificate and version.certificate.twin),
            ("releases", version.releases),
            *(("lacks", one) for one in version.lacks),
            *(("missing", one) for one in version.missing),
        ),
    )
    console.print("\ninputs", style="bold")
    _show_fields(console, version.contract.inputs)
    console.print("\noutputs", style="bold")
    _show_fields(console, version.contract.outputs)
    if version.certificate is not None:
        console.print("\nchecks", style="bold")
        _show_checks(console, version.certificate.checks)
    console.print("\nfiles", style="bold")
    show_table(console, ("file", "bytes", "digest"), [(file.path, file.size, file.digest) for file in version.files])


def _show_fields(console: "Console", fields: Iterable[Field]) -> None:
    rows = [
        (field.name, field.datatype, list(field.shape) or "", "may be null" if field.nullable else "", field.unit or "",
         "personal" if field.personal else "")
        for field in fields
    ]  # fmt: skip
    show_table(console, ("field", "type", "shape", "null", "unit", ""), rows)


def _show_diff(console: "Console", found: control.VersionDiff) -> None:
    if found.same:
        console.print(f"{found.before} and {found.after} are the same bytes.")
        return
    for title, differences in (
        ("files", found.files),
        ("contract", found.contract),
        ("packages", found.packages),
        ("declared", found.declared),
        ("environment", found.environment),
    ):
        if differences:
            console.print(title, style="bold")
            rows = [(difference.what, difference.before, difference.after) for difference in differences]
            show_table(console, ("", found.before, found.after), rows)


def _show_certification(console: "Console", found: control.Certification) -> None:
    _show_checks(console, found.checks)
    if found.state in {"queued", "running"}:
        console.print(f"{found.version}: certification is {found.state} (session {found.session})")
        return
    style, verdict = ("green", "is certified") if found.passed else ("red", "is not certified: a check failed")
    console.print(f"{found.version} {verdict} (session {found.session})", style=style)


def _show_checks(console: "Console", checks: Iterable[control.Check]) -> None:
    rows = [("ok" if c.passed else "FAILED", c.name, c.figure, c.limit, c.detail) for c in checks]
    show_table(console, ("", "check", "figure", "limit", "detail"), rows, none="No check has run.")
