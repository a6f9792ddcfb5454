"""The closed loop: wrk with a fixed number of connections, each asking again as soon as it was answered.

A short round gives every contender its turn before the next round begins, so that whatever else happens on the machine hits
all of them. What is reported is the median over the rounds.
"""

import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.contenders import Contender

WRK_MISSING = "wrk is not installed; on Debian and Ubuntu: apt install wrk"
_TIMEOUT_S = 10

#: wrk calls `done` in the end; its figures come back as one line of JSON.
_SCRIPT = """
local bodies = {%(bodies)s}
local ready = {}
local at = %(start)d
init = function(args)
  wrk.method = "POST"
%(headers)s
  for i = 1, #bodies do ready[i] = wrk.format("POST", nil, nil, bodies[i]) end
end
request = function()
  at = at %% #ready + 1
  return ready[at]
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests":%%d,"us":%%d,"p50":%%d,"p99":%%d,"status":%%d,"broken":%%d,"timeout":%%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write, e.timeout))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One short load."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    """Answers other than 2xx, broken connections, timeouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """The medians of several."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    lowest_per_s: float
    highest_per_s: float

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> "Rounds":
        """Put together; what failed is added up."""
        return cls(
            per_s=statistics.median(one.per_s for one in rounds),
            p50_ms=statistics.median(one.p50_ms for one in rounds),
            p99_ms=statistics.median(one.p99_ms for one in rounds),
            failed=sum(one.failed for one in rounds),
            lowest_per_s=min(one.per_s for one in rounds),
            highest_per_s=max(one.per_s for one in rounds),
        )


def have_wrk() -> bool:
    """Whether there is a load generator."""
    return shutil.which("wrk") is not None


def run_round(contender: Contender, connections: int, seconds: float) -> Round:
    """Ask one contender for a while."""
    with tempfile.TemporaryDirectory(prefix="muster-bench-wrk-") as folder:
        script = Path(folder) / "load.lua"
        script.write_text(
            _SCRIPT
            % {
                "bodies": ",".join(f"[==[{body.decode()}]==]" for body in contender.bodies),
                "headers": "".join(
                    f'  wrk.headers["{name}"] = "{value}"\n' for name, value in contender.headers().items()
                ),
                "start": 0,
            }
        )
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", f"--timeout={_TIMEOUT_S}s"]
        done = subprocess.run(
            [*command, "-s", str(script), f"http://{contender.host}:{contender.port}{contender.path}"],
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"wrk failed: {done.stdout}{done.stderr}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    answered = found["requests"] - found["status"]
    return Round(
        per_s=answered / (found["us"] / 1e6),
        p50_ms=found["p50"] / 1000,
        p99_ms=found["p99"] / 1000,
        failed=found["status"] + found["broken"] + found["timeout"],
    )


def run_rounds(
    contenders: Sequence[Contender],
    connections: Sequence[int],
    *,
    rounds: int,
    seconds: float,
    told: Callable[[str], None],
) -> dict[tuple[str, int], Rounds]:
    """Every contender at every number of connections, round after round; by key and connections."""
    found: dict[tuple[str, int], list[Round]] = {}
    for count in connections:
        for contender in contenders:
            run_round(contender, count, 1)  # warm-up
        for number in range(rounds):
            told(f"closed loop, {count} connections, round {number + 1} of {rounds}")
            # Who comes first changes, so that nobody always follows the same neighbour.
            turn = number % len(contenders)
            for contender in [*contenders[turn:], *contenders[:turn]]:
                found.setdefault((contender.key, count), []).append(run_round(contender, count, seconds))
    return {key: Rounds.of(rounds_of) for key, rounds_of in found.items()}
