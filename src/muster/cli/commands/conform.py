"""`muster conform`: a bundle in its own environment, held against every case of the conformance kit."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from muster.cli import exits
from muster.cli.errors import FileMissing, UsageWrong
from muster.cli.output import Output, answering, show_table
from muster.environments.shelf import Built, lab_shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.documents import Bundle
from muster.packaging.golden import read_golden
from muster.packaging.runtimes import ProgramRuntime
from muster.runtimes.channel import Channel
from muster.runtimes.conformance.cases import CASES
from muster.runtimes.conformance.differential import compared_cases
from muster.runtimes.conformance.kit import Report, Subject, conform
from muster.runtimes.host import running_host
from muster.runtimes.parent import Limits

_PATH = click.Path(path_type=Path)
_NAMES = [case.name for case in CASES]
#: Kinds whose helper library speaks the binary wire alone, and their names.
_BINARY_ONLY = {"r": "R", "rust": "Rust", "cpp": "C++"}


@click.command("conform")
@click.argument("folder", metavar="DIR", type=_PATH)
@click.option("--differential", is_flag=True, help="Compare the program's answers on both wires, bit for bit.")
@click.option(
    "--against", metavar="DIR", type=_PATH, help="With --differential: another bundle that speaks the other wire."
)
@click.option(
    "--case",
    "chosen",
    metavar="NAME",
    type=click.Choice(_NAMES),
    multiple=True,
    help="Only this case; may be repeated.",
)
@answering
def conform_(out: Output, folder: Path, *, differential: bool, against: Path | None, chosen: tuple[str, ...]) -> int:
    """Hold a bundle against the conformance kit: every case is a claim about hosts, whatever the language.

    Exit code 1 says that a case failed. The cases that need an answer known beforehand are put to the echo model only; each helper
    library has one. docs/reference/conformance.md lists the cases.
    """
    if against is not None and not differential:
        raise UsageWrong("--against says what to compare with; it needs --differential")
    with out.progress(f"Conforming {folder}") as news, ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muster-conform-")))
        second = _second_wire(folder) if differential and against is None else None
        bench = _Bench(folder, scratch / "host.log", news)
        if differential:
            other = bench.on(second) if against is None else _Bench(against, scratch / "other.log", news)
            if other.bundle.contract != bench.bundle.contract:
                raise UsageWrong(f"{other.folder} has another contract than {folder}, so there is nothing to compare")
            cases = compared_cases(bench.subject, stack.enter_context(other.host(Limits())))
        else:
            cases = tuple(case for case in CASES if not chosen or case.name in chosen)
        report = conform(bench.subject, cases, lambda result: news(f"{result.case}: {result.outcome}"))
    _show(out, bench, report)
    return exits.DONE if report.passed else exits.VERDICT_NO


class _Bench:
    """A bundle with its environment.

    Args:
        folder: of the bundle.
        log: where its hosts write.
        news: told what is being done.
        wire: instead of the bundle's own.
    """

    def __init__(self, folder: Path, log: Path, news: Callable[[str], None], wire: str | None = None) -> None:
        self.folder = folder.resolve()
        self.bundle: Bundle = _bundle_in(folder)
        self._log = log
        self._wire = wire
        self._news = news
        news("building its environment")
        self.environment: Built = lab_shelf(os.environ).ensure(self.folder, self.bundle, news)

    @property
    def subject(self) -> Subject:
        """As the kit takes it."""
        return Subject(bundle=self.bundle, golden=read_golden(self.folder, self.bundle), start=self.host)

    @contextmanager
    def host(self, limits: Limits) -> Iterator[Channel]:
        """A fresh host."""
        order = self.environment.order(self.folder, self.bundle)
        if self._wire is not None:
            order["program"]["wire"] = self._wire
        with running_host(self.environment, self.folder, order, self._log, limits=limits) as channel:
            yield channel

    def on(self, wire: str | None) -> "_Bench":
        """The same on another wire."""
        return _Bench(self.folder, self._log, self._news, wire)


def _bundle_in(folder: Path) -> Bundle:
    if not folder.is_dir():
        raise FileMissing(f"there is no folder {folder}", path=str(folder))
    return read_bundle(folder.resolve())


def _second_wire(folder: Path) -> str:
    """The wire that a bundle's program speaks beside its own; said before anything is built for it."""
    runtime = _bundle_in(folder).runtime
    if not isinstance(runtime, ProgramRuntime):
        raise UsageWrong(f"a model of kind {runtime.kind} is no program of its own, so it has no two wires")
    if runtime.kind in _BINARY_ONLY and runtime.wire == "binary":
        raise UsageWrong(
            f"the helper library of {_BINARY_ONLY[runtime.kind]} speaks the binary wire only, so {folder} has no second one; name a "
            "bundle with the same contract that speaks lines: --against DIR"
        )
    return "lines" if runtime.wire == "binary" else "binary"


def _show(out: Output, bench: _Bench, report: Report) -> None:
    document = {
        "path": str(bench.folder),
        "model": bench.bundle.name,
        "kind": bench.bundle.runtime.kind,
        "toolchain": bench.bundle.runtime.interpreter,
        "environment": bench.environment.id,
        **report.document(),
    }
    rows = [(result.case, str(result.outcome), f"{result.took_s:.2f} s", result.detail) for result in report.results]
    out.document(document, lambda console: show_table(console, ("case", "outcome", "took", "detail"), rows))
    if report.passed:
        out.note(f"{len(report.results)} cases, none failed")
    else:
        out.note(f"{len(report.failed)} of {len(report.results)} cases failed")
