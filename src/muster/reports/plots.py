"""Drawings of evidence as inline SVG: lines, distributions, bars. Colours and letters come from the page's style."""

from collections.abc import Iterable, Sequence

from muster.reports.markup import Html, tag
from muster.reports.scales import Scale, span, ticks
from muster.reports.wording import number, shortened
from muster.wire.evidence import Bars, Curve, Histogram

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 46
#: As many colours and dashes as the style has; further lines begin again.
_KINDS = 6
#: A drawing with more lines or bars than these is read by nobody.
_MOST_LINES, _MOST_BARS = 12, 40
_BAR, _NAME_LETTERS, _NAMES_WIDE = 22, 26, 206


def curve(exhibit: Curve) -> Html:
    """Lines over one pair of axes."""
    series = exhibit.series[:_MOST_LINES]
    xs = _Axis.of([x for one in series for x in one.x])
    ys = _Axis.of([y for one in series for y in one.y])
    across, up = _scales(xs, ys)
    drawn = [_axes(across, up, exhibit.x, exhibit.y)]
    if exhibit.diagonal:
        drawn.append(
            tag("line", x1=across.first, y1=up.first, x2=across.last, y2=up.last, class_="diagonal"),
        )
    for place, one in enumerate(series):
        points = " ".join(f"{across.at(x):g},{up.at(y):g}" for x, y in zip(one.x, one.y, strict=False))
        if len(one.x) == 1:
            drawn.append(tag("circle", cx=across.at(one.x[0]), cy=up.at(one.y[0]), r=3, class_=f"dot {_kind(place)}"))
        else:
            drawn.append(tag("polyline", points=points, class_=f"line {_kind(place)}"))
    left_out = len(exhibit.series) - len(series)
    return _figure(exhibit.title, drawn, [one.name for one in series], left_out=left_out)


def histogram(exhibit: Histogram) -> Html:
    """How often values fall between edges; several groups as shares of each, so that a rare one is seen as well."""
    groups = [*exhibit.counts.items()][:_KINDS]
    is_share = len(groups) > 1
    heights = {
        name: [count / (sum(counts) or 1) for count in counts] if is_share else [float(count) for count in counts]
        for name, counts in groups
    }
    highest = max((height for bins in heights.values() for height in bins), default=0.0)
    across, up = _scales(_Axis.of(exhibit.edges), (0.0, highest or 1.0))
    drawn = [_axes(across, up, exhibit.x, "share of each group" if is_share else "rows")]
    for place, bins in enumerate(heights.values()):
        points = [f"M{across.at(exhibit.edges[0]):g} {up.first:g}"]
        for left, right, height in zip(exhibit.edges, exhibit.edges[1:], bins, strict=False):
            points.append(f"L{across.at(left):g} {up.at(height):g}L{across.at(right):g} {up.at(height):g}")
        points.append(f"L{across.at(exhibit.edges[-1]):g} {up.first:g}Z")
        drawn.append(tag("path", d="".join(points), class_=f"area {_kind(place)}"))
    names = [f"{name} ({sum(counts):,})" for name, counts in groups]
    return _figure(exhibit.title, drawn, names, left_out=len(exhibit.counts) - len(groups))


def bars(exhibit: Bars) -> Html:
    """One value per name, lying down, so that names can be read; with the interval where there is one."""
    most = min(len(exhibit.names), _MOST_BARS)
    names, values = exhibit.names[:most], exhibit.values[:most]
    lows = None if exhibit.low is None else exhibit.low[:most]
    highs = None if exhibit.high is None else exhibit.high[:most]
    height = _TOP + _BAR * max(most, 1) + _BOTTOM
    least, top = _Axis.of([*values, *(lows or ()), *(highs or ())], from_zero=True)
    left = _NAMES_WIDE
    across = Scale(least, top, left, _WIDTH - _RIGHT - 42)
    bottom = height - _BOTTOM
    drawn = [_ticks_below(across, bottom, exhibit.x, _TOP)]
    zero = across.at(min(max(0.0, least), top))
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        y = _TOP + place * _BAR
        end = across.at(value)
        drawn.append(_text(shortened(name, _NAME_LETTERS), left - 8, y + 15, anchor="end", title=name))
        drawn.append(
            tag("rect", x=min(zero, end), y=y + 4, width=max(abs(end - zero), 0.5), height=_BAR - 8, class_="bar k0")
        )
        beyond = end
        if lows is not None and highs is not None:
            low, high = across.at(lows[place]), across.at(highs[place])
            middle = y + _BAR / 2
            drawn.append(
                tag(
                    "path",
                    d=f"M{low:g} {middle:g}H{high:g}M{low:g} {middle - 4:g}v8M{high:g} {middle - 4:g}v8",
                    class_="whisker",
                )
            )
            beyond = max(end, high)
        drawn.append(_text(number(value), max(beyond, zero) + 5, y + 15, class_="value"))
    return _figure(exhibit.title, drawn, [], height=height, left_out=len(exhibit.names) - most)


class _Axis:
    """From where to where an axis goes, with room for a value that does not vary."""

    @staticmethod
    def of(values: Iterable[float], *, from_zero: bool = False) -> tuple[float, float]:
        """From where to where an axis goes that shows these values."""
        return span(values, from_zero=from_zero)


def _scales(xs: tuple[float, float], ys: tuple[float, float]) -> tuple[Scale, Scale]:
    return Scale(*xs, _LEFT, _WIDTH - _RIGHT), Scale(*ys, _HEIGHT - _BOTTOM, _TOP)


def _kind(place: int) -> str:
    return f"k{place % _KINDS}"


def _axes(across: Scale, up: Scale, x: str, y: str) -> Html:
    drawn = [_ticks_below(across, up.first, x, up.last)]
    for value in ticks(up.least, up.most):
        place = up.at(value)
        drawn.append(tag("line", x1=across.first, y1=place, x2=across.last, y2=place, class_="grid"))
        drawn.append(_text(number(value), across.first - 6, place + 4, anchor="end"))
    middle = (up.first + up.last) / 2
    drawn.append(_text(shortened(y, 44), 12, middle, anchor="middle", transform=f"rotate(-90 12 {middle:g})", title=y))
    return tag("g", drawn, class_="axes")


def _ticks_below(across: Scale, bottom: float, label: str, top: float) -> Html:
    drawn = [tag("line", x1=across.first, y1=bottom, x2=across.last, y2=bottom, class_="axis")]
    for value in ticks(across.least, across.most):
        place = across.at(value)
        drawn.append(tag("line", x1=place, y1=top, x2=place, y2=bottom, class_="grid"))
        drawn.append(_text(number(value), place, bottom + 17, anchor="middle"))
    middle = (across.first + across.last) / 2
    drawn.append(_text(shortened(label, 60), middle, bottom + 37, anchor="middle", title=label))
    return tag("g", drawn, class_="axes")


def _text(
    text: str,
    x: float,
    y: float,
    *,
    anchor: str | None = None,
    transform: str | None = None,
    class_: str | None = None,
    title: str | None = None,
) -> Html:
    whole = [] if title is None or title == text else [tag("title", title)]
    return tag("text", whole, text, x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, transform=transform, class_=class_)


def _figure(
    title: str, drawn: Sequence[Html], names: Sequence[str], *, height: int = _HEIGHT, left_out: int = 0
) -> Html:
    drawing = tag(
        "svg",
        tag("title", title),
        drawn,
        viewBox=f"0 0 {_WIDTH} {height}",
        role="img",
        aria_label=title,
        width=_WIDTH,
        height=height,
    )
    keys = [
        tag("li", tag("svg", _key(place), viewBox="0 0 22 10", aria_hidden="true", width=22, height=10), " ", name)
        for place, name in enumerate(names)
        if len(names) > 1
    ]
    legend = tag("ul", keys, class_="legend") if keys else None
    more = tag("p", f"{left_out} more are in the JSON of this report.", class_="note") if left_out else None
    return tag("figure", tag("figcaption", title), drawing, legend, more)


def _key(place: int) -> Html:
    return tag("path", d="M0 5H22", class_=f"line {_kind(place)}")
