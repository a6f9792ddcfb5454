"""Muster beside FastAPI, MLServer and an echo server: same machine, same run, same model, same load.

    make bench
    .venv/bin/python benchmarks/serving.py --quick
    .venv/bin/python benchmarks/serving.py --only muster,fastapi --parts linear --seconds 5

Everything is started for the run and ended after it, also on Ctrl-C. The tables are Markdown; they and the figures behind them
are kept in .bench/results/. docs/performance.md tells how each figure is measured.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import machine, models, summary
from harness.closed_loop import WRK_MISSING, have_wrk
from harness.environments import NoEnvironment, place
from harness.parts import challenger, closed, generator, kills, memory, on_time, overload
from harness.processes import Crew
from harness.stage import CONNECTIONS, FAMILIES, Options, Stage
from harness.tables import Table


@dataclass(frozen=True, slots=True)
class Part:
    """One subject."""

    what: str
    run: Callable[[Stage], dict[str, Any]]
    tables: Callable[[dict[str, Any]], list[Table]]


#: In the order in which they run: memory before anything else is released, two fronts when nothing else follows.
PARTS = {
    "memory": Part("memory, and start to first answer", memory.run, memory.tables),
    "linear": Part("closed loop, logistic regression", closed.run_linear, closed.tables_linear),
    "boosted": Part("closed loop, gradient boosting", closed.run_boosted, closed.tables_boosted),
    "archive": Part("what recording before the reply costs", closed.run_archive, closed.tables_archive),
    "ontime": Part("on time with one of three variants hung", on_time.run, on_time.tables),
    "overload": Part("a storm of requests", overload.run, overload.tables),
    "kills": Part("SIGKILL under load", kills.run, kills.tables),
    "challenger": Part("a challenger that misbehaves", challenger.run, challenger.tables),
    "generator": Part("the open-loop generator on itself", generator.run, generator.tables),
    "fronts": Part("two fronts", closed.run_fronts, closed.tables_fronts),
}
_FULL = Options(seconds=3, rounds=3, on_time_s=60, overload_s=15, kill_s=12.5, challenger_s=4)
_QUICK = Options(seconds=1, rounds=2, on_time_s=12, overload_s=6, kill_s=6.5, challenger_s=1.5)
#: Between them lie the tables in docs/performance.md.
_MARKS = ("<!-- results -->", "<!-- end of results -->")


def options_of(given: argparse.Namespace) -> Options:
    """What the command line asks for."""
    base = _QUICK if given.quick else _FULL
    return Options(
        only=given.only,
        seconds=given.seconds or base.seconds,
        rounds=given.rounds or base.rounds,
        connections=given.connections,
        on_time_s=given.on_time_s or base.on_time_s,
        overload_s=base.overload_s,
        kill_s=base.kill_s,
        challenger_s=base.challenger_s,
        tensors=given.tensors,
    )


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    words = "; ".join(f"{name}: {part.what}" for name, part in PARTS.items())
    parser.add_argument("--quick", action="store_true", help="short rounds and few: about 5 minutes instead of 14")
    parser.add_argument("--only", type=_among(FAMILIES), default=FAMILIES, help=f"of {','.join(FAMILIES)}")
    parser.add_argument("--parts", type=_among(tuple(PARTS)), default=tuple(PARTS), help=words)
    parser.add_argument("--seconds", type=float, help="of one closed-loop round, whole seconds")
    parser.add_argument("--rounds", type=int, help="of the closed loop; the median counts")
    parser.add_argument("--connections", type=_numbers, default=CONNECTIONS, help="of the closed loop: 1,16,64")
    parser.add_argument("--on-time-s", type=float, help="length of the on-time run")
    parser.add_argument("--tensors", action="store_true", help="also a row as 30 tensors of one value")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the tables between the page's two marks")
    parser.add_argument("--from", dest="earlier", type=Path, metavar="FILE", help="print the tables of an earlier run")
    return parser.parse_args(arguments)


def _among(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        asked = tuple(text.split(","))
        if unknown := set(asked) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: there are {', '.join(known)}")
        return asked

    return read


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def measured(options: Options, parts: tuple[str, ...]) -> dict[str, Any]:
    """Run the parts; the figures of each."""
    found: dict[str, Any] = {"command": " ".join(["python", *sys.argv]), "machine": machine.described()}
    with tempfile.TemporaryDirectory(prefix="muster-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        trained = models.train()
        (folder / "models").mkdir()
        models.write_joblib(trained, folder / "models")
        with Crew(folder) as crew:
            stage = Stage(crew, folder, trained, options)
            parts_found: dict[str, Any] = {}
            found["parts"] = parts_found
            for part in [part for part in PARTS if part in parts]:
                try:
                    parts_found[part] = PARTS[part].run(stage)
                except KeyboardInterrupt:
                    found["interrupted"] = part
                    break
                except Exception:  # noqa: BLE001
                    # One that fails must not cost the figures of the others; it is reported instead of its table.
                    found.setdefault("failed", {})[part] = traceback.format_exc()
                    stage.told(f"{part} failed:\n{traceback.format_exc()}")
            found["left_out"] = stage.left_out
            for environment, packages in (
                ("bench", ("fastapi", "uvicorn", "granian")),
                ("bench-mlserver", ("mlserver",)),
            ):
                if stage.has("fastapi") or stage.has("mlserver"):
                    try:
                        found["machine"].update(machine.versions_in(stage.binaries(environment), *packages))
                    except NoEnvironment:
                        continue
    found["machine"]["load_average_after"] = machine.load_average()
    return found


def report(found: dict[str, Any]) -> str:
    """The whole text."""
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found["machine"].items())
    lines = [f"`{found['command']}`", "", facts, ""]
    tables = [summary.table(found["parts"])]
    for name, figures in found["parts"].items():
        tables.extend(PARTS[name].tables(figures) if figures else [])
    lines += [text for table in tables if table.rows for text in (table.text(), "")]
    lines += [f"Left out: {who}: {why}\n" for who, why in found["left_out"].items()]
    lines += [f"Failed: {part}\n\n{why}" for part, why in found.get("failed", {}).items()]
    if "interrupted" in found:
        lines.append(f"Interrupted in {found['interrupted']}.")
    return "\n".join(lines)


def put_into(page: Path | None, text: str) -> None:
    """Replace what stands between the marks of a page."""
    if page is not None:
        before, begin, rest = page.read_text().partition(_MARKS[0])
        _, end, after = rest.partition(_MARKS[1])
        page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")


def main(arguments: list[str] | None = None) -> int:
    """Run, print, keep."""
    given = parsed(arguments)
    if given.earlier:
        text = report(json.loads(given.earlier.read_text()))
        print(text)
        put_into(given.page, text)
        return 0
    if not have_wrk():
        print(WRK_MISSING, file=sys.stderr)
        return 2
    found = measured(options_of(given), given.parts)
    results = place() / "results"
    results.mkdir(exist_ok=True)
    kept = results / time.strftime("%Y-%m-%d-%H%M%S.json")
    text = report(found)
    for file in (kept, given.json):
        if file:
            file.write_text(json.dumps(found, indent=1))
    for file in (kept.with_suffix(".md"), given.markdown):
        if file:
            file.write_text(text)
    put_into(given.page, text)
    print(text)
    print(f"Kept in {kept} and .md beside it.", file=sys.stderr)
    return 130 if "interrupted" in found else 1 if "failed" in found else 0


if __name__ == "__main__":
    sys.exit(main())
