"""The one table at the top: what was aimed at, and what came out."""

from collections.abc import Callable
from typing import Any

from harness.parts.closed import per_s
from harness.stage import best
from harness.tables import Table, ms, number, percent, ratio

_OTHERS = ("fastapi", "mlserver")
Figures = dict[str, Any]


def table(figures: Figures) -> Table:
    """One row for every target that the run has figures for."""
    rows: list[list[str]] = []
    for part, rows_of in _ROWS.items():
        if figures.get(part):
            rows.extend(rows_of(figures[part]))
    columns = ("", "best of the others, same run", "Muster", "ratio", "target")
    return Table(title="Against the targets", columns=columns, rows=rows)


_LINEAR_TARGETS = {
    ("muster-one", "1"): "≥ 1x",
    ("muster-one", "16"): "≥ 3.3x, own front ≥ 5x",
    ("muster-one", "64"): "≥ 6x, own front ≥ 10x",
    ("muster-three", "16"): "≥ 2.2x, own front ≥ 2.4x",
    ("muster-three", "64"): "≥ 4.5x, own front ≥ 8x",
}


def _linear(found: Figures) -> list[list[str]]:
    rows = []
    for (key, count), target in _LINEAR_TARGETS.items():
        if key in found and count in found[key]["at"]:
            mine, theirs = found[key]["at"][count], best(per_s(found, count), _OTHERS)
            who = next(
                (one for one in found.values() if count in one["at"] and one["at"][count]["per_s"] == theirs), None
            )
            told = f"{number(theirs)}/s, p99 {ms(who['at'][count]['p99_ms'])} ms ({who['name']})" if who else "-"
            name = f"{found[key]['name'].removeprefix('Muster, ')}, c={count}"
            rows.append(
                [
                    name,
                    told,
                    f"{number(mine['per_s'])}/s, p99 {ms(mine['p99_ms'])} ms",
                    ratio(mine["per_s"], theirs),
                    target,
                ]
            )
    duties = [one["at"]["1"]["per_s"] for key, one in found.items() if "duties" in key and "1" in one["at"]]
    if duties and "1" in found.get("muster-one", {"at": {}})["at"]:
        mine = found["muster-one"]["at"]["1"]["per_s"]
        rows.append(
            [
                "one variant, c=1, equal duties",
                f"{number(max(duties))}/s",
                f"{number(mine)}/s",
                ratio(mine, max(duties)),
                "≥ 1.4x",
            ]
        )
    echo = (
        best(per_s(found, "64"), ("echo",)) if "muster-null" in found and "64" in found["muster-null"]["at"] else None
    )
    if echo:
        uvicorn = found.get("echo-uvicorn", {"at": {"64": {"per_s": None}}})["at"]["64"]["per_s"]
        mine = found["muster-null"]["at"]["64"]["per_s"]
        told = f"echo: {number(echo)}/s (on uvicorn {number(uvicorn)}/s)"
        rows.append(
            ["null model, c=64", told, f"{number(mine)}/s", ratio(mine, uvicorn or echo), "≥ 0.5x echo on uvicorn"]
        )
    return rows


def _boosted(found: Figures) -> list[list[str]]:
    if "muster-boosted" not in found:
        return []
    mine, theirs = found["muster-boosted"]["at"]["16"]["per_s"], best(per_s(found, "16"), _OTHERS)
    return [["gradient boosting, c=16", f"{number(theirs)}/s", f"{number(mine)}/s", ratio(mine, theirs), "≥ 3x"]]


def _archive(found: Figures) -> list[list[str]]:
    rows = []
    for count in found["muster-one"]["at"]:
        on, off = (found[key]["at"][count]["per_s"] for key in ("muster-one", "muster-one-async"))
        rows.append(
            [
                f"archive `group` against `async`, c={count}",
                "",
                f"{number(on)}/s, {number(off)}/s",
                ratio(on, off),
                "≥ 0.9x",
            ]
        )
    return rows


def _on_time(found: Figures) -> list[list[str]]:
    hung = found["hung"]
    told = f"{percent(hung['on_time'])} ({percent(hung['on_time_server'])} without the generator's lateness)"
    return [["on time, one of three hung, 80 % load", "", told, "", "≥ 99.99 %"]]


def _overload(found: Figures) -> list[list[str]]:
    rows = []
    for key, limit in (("muster-slow", "the model"), ("muster-one", "the front")):
        if (mine := found.get(key)) is None:
            continue
        refused = "none refused" if mine["refused_p99_ms"] is None else f"refusal p99 {ms(mine['refused_p99_ms'])} ms"
        told = f"{number(mine['goodput'])}/s in time, {refused}"
        share = ratio(mine["goodput"], mine["capacity"])
        rows.append([f"storm at 150 %, {limit} is the limit", "", told, share, "≈ 1x capacity; < 10 ms"])
    return rows


def _kills(found: Figures) -> list[list[str]]:
    others = "; ".join(
        f"{one['name']}: {number(one['failed'])} failed, {ms(one['longest_pause_ms'])} ms"
        for key, one in found.items()
        if key != "muster-one"
    )
    mine = found.get("muster-one")
    if mine is None:
        return []
    told = f"{number(mine['failed'])} failed in {mine['kills']} kills, {ms(mine['longest_pause_ms'])} ms"
    return [["SIGKILL under load", others or "-", told, "", "0 failed, < 50 ms"]]


def _challenger(found: Figures) -> list[list[str]]:
    quiet = found["medians"]["quiet"]["p99_ms"]
    worst = max(one["p99_ms"] for trick, one in found["medians"].items() if trick != "quiet")
    told = f"p99 {ms(worst)} ms, {ms(quiet)} ms beside a quiet one"
    return [["champion beside the worst challenger", "", told, ratio(worst, quiet), "≤ 1.5x"]]


def _memory(found: Figures) -> list[list[str]]:
    told = {key: f"{number(one['mb'])} MB, {number(one['start_s'], 1)} s" for key, one in found.items()}
    others = "; ".join(f"{found[key]['name']}: {text}" for key, text in told.items() if not key.startswith("muster"))
    if "muster-serving" not in told:
        return []
    mine = f"{told['muster-serving']} (`muster up`: {told['muster-up']})"
    return [["memory, start to first answer", others or "-", mine, "", "≤ 250 MB, ≤ 4 s"]]


_ROWS: dict[str, Callable[[Figures], list[list[str]]]] = {
    "linear": _linear,
    "boosted": _boosted,
    "ontime": _on_time,
    "overload": _overload,
    "kills": _kills,
    "challenger": _challenger,
    "archive": _archive,
    "memory": _memory,
}
