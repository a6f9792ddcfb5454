"""What a live-test shows besides its figures: how its outputs spread beside the others', and its latencies."""

from muster.livetests.figures import Figures
from muster.livetests.records import LiveTest
from muster.livetests.spreads import LEAST_VALUES
from muster.serving.counts import LATENCY_BOUNDS_NS
from muster.wire.evidence import Bars, Exhibit, Grid, Histogram

_MOST_OUTPUTS = 12


def exhibits_of(seen: LiveTest) -> tuple[Exhibit, ...]:
    """The exhibits of a live-test, as far as it is counted."""
    figures = seen.figures
    found: list[Exhibit] = [_latencies(figures, str(seen.champion))] if figures.answered else []
    for output, spread in sorted(figures.spreads.items())[:_MOST_OUTPUTS]:
        spread.settle()
        if spread.categories:
            names = sorted({text for counted in spread.categories.values() for text in counted})
            for version, counted in sorted(spread.categories.items()):
                shares = tuple(counted.get(name, 0) / max(1, sum(counted.values())) for name in names)
                found.append(Bars(f"{output}, answered by {version}", "share of the values", tuple(names), shares))
        elif spread.edges:
            edges = (spread.edges[0] - 1.0, *spread.edges, spread.edges[-1] + 1.0)
            counts = {version: tuple(own) for version, own in sorted(spread.counts.items())}
            title = f"{output} by tenths of {spread.reference}; the outer bins are open"
            found.append(Histogram(title, output, edges, counts))
    if figures.shifts:
        rows = tuple((one.output, one.against, one.values, one.index, one.gap) for one in figures.shifts)
        columns = ("output", "against", "values", "stability index", "largest gap")
        found.append(Grid(f"Shift of the outputs; below {LEAST_VALUES} values it does not count", columns, rows))
    missing = tuple(
        (output, version, values)
        for output, spread in sorted(figures.spreads.items())
        for version, values in sorted(spread.missing.items())
    )
    if missing:
        found.append(
            Grid("Values that are none: null, not a number, infinite", ("output", "answered by", "values"), missing)
        )
    if figures.errors:
        errors = tuple((count, text) for text, count in sorted(figures.errors.items(), key=lambda one: -one[1]))
        found.append(Grid("Errors", ("requests", "what was said"), errors))
    return tuple(found)


def _latencies(figures: Figures, champion: str) -> Exhibit:
    last = 2 * LATENCY_BOUNDS_NS[-1] / 1e6  # the last bin is open
    edges = (0.0, *(bound / 1e6 for bound in LATENCY_BOUNDS_NS), last)
    counts = {figures.version: tuple(figures.latency), champion: tuple(figures.champion_latency)}
    return Histogram("Latencies, arrival of a request to answer", "ms", edges, counts)
