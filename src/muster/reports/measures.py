"""What was measured by standard definitions, as tables: the whole first, then slice by slice."""

from collections.abc import Sequence

from muster.reports.grids import cell, table
from muster.reports.markup import Child, Html, joined, tag
from muster.reports.page import section
from muster.reports.wording import counted, number
from muster.wire.reports import ReportedMeasure

_MOST_SLICES, _MOST_METRICS = 60, 24
#: Told by input, not by slice; the check that measured it draws it.
_IMPORTANCE = "importance:"


def measures_told(measures: Sequence[ReportedMeasure]) -> Html:
    """All measures: one table of the whole, one of the slices, for everything that was measured on."""
    told: list[Child] = []
    for over in dict.fromkeys(one.over for one in measures):
        of_it = [one for one in measures if one.over == over]
        told.append(tag("h3", f"On {over}"))
        whole = [one for one in of_it if not one.slice]
        if whole:
            told.append(_whole(whole))
        if slices := [one for one in of_it if one.slice and not one.name.startswith(_IMPORTANCE)]:
            told.append(_slices(whole, slices))
    note = tag(
        "p", "Computed by the factory from the version's own answers; none of it is the author's word.", class_="note"
    )
    return section("Measured by standard definitions", note, told, id_="measures")


def _whole(measures: Sequence[ReportedMeasure]) -> Html:
    rows = [
        [f"{one.name}", cell(one.value), tag("td", interval(one), class_="number"), cell(one.definition)]
        for one in measures
    ]
    return table(["metric", "value", "interval", "definition"], rows, caption="metrics of the whole")


def interval(measure: ReportedMeasure) -> str:
    """From where to where the value may lie."""
    if measure.low is None or measure.high is None:
        return ""
    return f"{number(measure.low)} to {number(measure.high)}"


def _slices(whole: Sequence[ReportedMeasure], measures: Sequence[ReportedMeasure]) -> Html:
    names = [*dict.fromkeys(one.name for one in measures)][:_MOST_METRICS]
    slices = [*dict.fromkeys(one.slice for one in measures)]
    values = {(one.slice, one.name): one.value for one in measures}
    rows: list[Sequence[Child]] = []
    if whole:
        of_whole = {one.name: one.value for one in whole}
        rows.append([tag("th", "all", scope="row"), *(cell(of_whole.get(name)) for name in names)])
    rows.extend(
        [tag("th", one, scope="row"), *(cell(values.get((one, name))) for name in names)]
        for one in slices[:_MOST_SLICES]
    )
    left_out = len(slices) - _MOST_SLICES
    more = tag("p", f"{counted(left_out, 'more slice')} in the JSON.", class_="note") if left_out > 0 else None
    return joined(table(["slice", *names], rows, caption="metrics by slice"), more)
