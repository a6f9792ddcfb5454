"""An exhibit of a check as markup."""

from muster.reports import grids, plots
from muster.reports.markup import Html
from muster.wire.evidence import Bars, Curve, Exhibit, Grid, Histogram, Rows


def shown(exhibit: Exhibit) -> Html:
    """The exhibit, drawn or as a table."""
    match exhibit:
        case Curve():
            return plots.curve(exhibit)
        case Histogram():
            return plots.histogram(exhibit)
        case Bars():
            return plots.bars(exhibit)
        case Grid():
            return grids.grid(exhibit)
        case Rows():
            return grids.rows(exhibit)
