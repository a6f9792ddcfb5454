"""The report of a certification as one page: the verdict first, then what failed and what to do, then everything else."""

from collections.abc import Iterable, Sequence

from muster.reports.budget import Budget
from muster.reports.exhibits import shown
from muster.reports.grids import cell, table
from muster.reports.markup import Child, Html, joined, prose, tag
from muster.reports.measures import measures_told
from muster.reports.page import facts, page, section
from muster.reports.wording import counted, digest, moment, shortened, told
from muster.vocabulary.states import SessionState
from muster.wire.evidence import Bars
from muster.wire.reports import CertificationReport, ReportedCheck

#: A page is at most so large; what does not fit is in the JSON.
MOST_BYTES = 950_000
_DETAIL_LETTERS, _ROW_LETTERS = 2000, 240
_MOST_FIGURES = 30
_MILLISECONDS = "_ms"


def certification_report(report: CertificationReport) -> str:
    """The page.

    Args:
        report: what the certification found.
    """
    subject, footer = _subject(report), _footer(report)
    budget = Budget(MOST_BYTES - len(subject.encode()))
    head = [
        tag("h1", f"Certification of {report.version}"),
        tag("p", shortened(report.description, _DETAIL_LETTERS)) if report.description else Html(),
        _verdict(report),
        *budget.all(_failures(report)),
        *budget.all([_checks(report)]),
    ]
    measured = budget.all([measures_told(report.measures)] if report.measures else [])
    # What a failed check shows comes first, should there be more than the page may hold.
    by_need = sorted(range(len(report.checks)), key=lambda place: report.checks[place].passed)
    evidence = {place: _evidence(report.checks[place], budget) for place in by_need}
    found = [evidence[place] for place in range(len(report.checks)) if evidence[place]]
    tail = [section("What the checks showed", *found, id_="evidence")] if found else []
    return page(f"Certification of {report.version}", *head, *measured, *tail, subject, footer, *_cut(budget))


def _verdict(report: CertificationReport) -> Html:
    mark, kind = {
        "certified": ("✓ Certified", "good"),
        "not-certified": ("✗ Not certified", "bad"),
        "unfinished": ("… No verdict", ""),
    }[report.verdict]
    lasts = f"Valid until {moment(report.valid_until)}." if report.valid_until else "The certificate has no end."
    standard = report.standard
    numbered = f", standard {standard.number} of the project" if standard.number else ""
    return tag(
        "div",
        tag("p", mark, class_="mark"),
        tag("p", report.why, class_="why"),
        tag(
            "p", f"Judged by the standard {standard.name}{numbered}. ", lasts if report.verdict == "certified" else None
        ),
        tag("p", f"{report.version} is {report.state} now.") if report.state in {"retired", "banned"} else None,
        tag("p", tag("strong", "This factory is for one person: nobody else had to agree.")) if report.solo else None,
        class_=f"verdict {kind}".strip(),
    )


def _failures(report: CertificationReport) -> list[Html]:
    failed = [check for check in report.checks if not check.passed]
    if not failed:
        return []
    told_of = [_failure(check) for check in sorted(failed, key=lambda check: check.may_fail)]
    title = "What failed, and what to do" if any(not check.may_fail for check in failed) else "What failed, and may"
    return [section(title, told_of)]


def _failure(check: ReportedCheck) -> Html:
    return tag(
        "div",
        tag("h3", check.name, " ", tag("span", "may fail", class_="warn-word") if check.may_fail else None),
        tag("p", tag("em", check.asks)) if check.asks else None,
        tag("p", "Found ", tag("strong", told(check.figure)), ", limit ", tag("strong", told(check.limit)), "."),
        tag("p", shortened(check.detail, _DETAIL_LETTERS)) if check.detail else None,
        tag("p", tag("strong", "What to do: "), prose(check.remedy)) if check.remedy else None,
        tag("p", tag("a", "What it showed", href=f"#{_anchor(check)}")) if check.exhibits else None,
        class_="failure allowed" if check.may_fail else "failure",
    )


def _subject(report: CertificationReport) -> Html:
    pairs: list[tuple[str, Child]] = [
        ("version", f"{report.version} in project {report.project}"),
        ("bundle", tag("code", report.digest)),
        ("owners", ", ".join(report.owners)),
        ("authors", ", ".join(report.authors)),
        ("registered", f"{moment(report.registered_at)} by {report.registered_by}"),
        ("examined", _when(report)),
        ("asked for by", report.requested_by),
        ("on", report.hardware),
        ("environment", _code(report.environment)),
        ("sealed as", _code(report.seal)),
        ("compiled twin", _code(report.twin)),
        ("session", _code(report.session)),
        ("evidence", _code(report.evidence)),
        ("standard", [report.standard.name, " ", tag("code", digest(report.standard.digest))]),
        ("signed", _signed(report)),
    ]
    return section("What was examined, by whom, on what", facts(pairs))


def _when(report: CertificationReport) -> str:
    if report.finished_at is None:
        return f"since {moment(report.started_at)}" if report.started_at else "not begun"
    return moment(report.finished_at)


def _code(text: str | None) -> Html | None:
    return tag("code", text) if text else None


def _signed(report: CertificationReport) -> Child:
    if report.signatures:
        return [
            tag("p", f"by {one.by}, {moment(one.at)}, key ", tag("code", digest(one.key))) for one in report.signatures
        ]
    return "not signed" if report.verdict == "certified" else None


def _checks(report: CertificationReport) -> Html:
    if not report.checks:
        return section("Checks", tag("p", "No check has been made yet."))
    rows = [_check_row(check) for check in report.checks]
    passed = sum(check.passed for check in report.checks)
    summary = f"{passed} of {counted(len(report.checks), 'check')} passed."
    ended = (
        None
        if report.is_complete or report.session_state is SessionState.RUNNING
        else tag("p", "The examination ended there: without the last of them the others could not be made.")
    )
    listed = table(
        ["", "check", "figure", "limit", "in words"], rows, caption="All checks, in their order", kind="checks"
    )
    return section("Checks", tag("p", summary), ended, listed)


def _check_row(check: ReportedCheck) -> Sequence[Child]:
    word, kind = ("✓ passed", "good-word") if check.passed else ("✗ failed", "bad-word")
    if not check.passed and check.may_fail:
        word, kind = "! may fail", "warn-word"
    name = tag("a", check.name, href=f"#{_anchor(check)}") if _shows(check) else tag("strong", check.name)
    return [
        tag("td", tag("span", word, class_=kind)),
        tag("td", name, tag("div", check.asks, class_="small") if check.asks else None),
        _named(cell(check.figure), "figure"),
        _named(cell(check.limit), "limit"),
        tag("td", shortened(check.detail, _ROW_LETTERS)),
    ]


def _named(made: Html, name: str) -> Html:
    """A cell that says what it is where the table has no head, on a narrow screen."""
    return Html(made.replace("<td", f'<td data-name="{name}"', 1))


def _shows(check: ReportedCheck) -> bool:
    return bool(check.exhibits or check.figures)


def _anchor(check: ReportedCheck) -> str:
    return f"check-{check.name}"


def _evidence(check: ReportedCheck, budget: Budget) -> Html | None:
    if not _shows(check):
        return None
    told_of = budget.all(_parts(check))
    if not told_of:
        told_of = [tag("p", "This page has no room for it; the JSON of the report holds it.", class_="note")]
    drawn = tag("div", told_of, class_="exhibits")
    return tag("article", tag("h3", check.name), drawn, id=_anchor(check))


def _parts(check: ReportedCheck) -> Iterable[Html]:
    if check.figures:
        rows = [[name, cell(value)] for name, value in [*check.figures.items()][:_MOST_FIGURES]]
        yield tag(
            "figure", tag("figcaption", "Measured"), table(["figure", "value"], rows, caption=f"{check.name}: figures")
        )
    times = {
        name.removesuffix(_MILLISECONDS): value for name, value in check.figures.items() if name.endswith(_MILLISECONDS)
    }
    if len(times) > 1 and not check.exhibits:  # a check that shows its times itself draws more than percentiles
        yield shown(Bars(title="Latency", x="milliseconds", names=tuple(times), values=tuple(times.values())))
    yield from (shown(exhibit) for exhibit in check.exhibits)


def _cut(budget: Budget) -> list[Html]:
    told_so = (
        "Some of what the checks showed is not on this page, which would become too large; the JSON holds all of it."
    )
    return [tag("p", told_so, class_="small")] if budget.is_short else []


def _footer(report: CertificationReport) -> Html:
    lines = [
        f"Made by Muster from session {report.session}. The page fetches nothing and runs nothing.",
        f"The same as JSON: muster certificate report {report.session} --json.",
        *(
            [f"Whether the certificate is genuine: muster certificate verify {report.version}."]
            if report.verdict == "certified"
            else []
        ),
    ]
    return joined(tag("footer", [tag("p", line, class_="small") for line in lines]))
