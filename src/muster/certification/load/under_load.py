"""The load that is declared, on the real host behind a real front: by a schedule, at the declared rate and at one and a half times it."""

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import ClassVar, Literal, Protocol

import msgspec

from muster.certification import checks
from muster.certification.hardware import machine
from muster.certification.load.front import running_front
from muster.certification.load.memory import Watch
from muster.certification.load.open_loop import BATCH_ROWS, Found, Sent, driven
from muster.certification.load.requests import driven_over_http, posted
from muster.certification.load.rows import Rows, sent
from muster.certification.load.schedule import moments, seed_of
from muster.certification.records import Figure
from muster.packaging.claims import Load
from muster.packaging.contract import ContractChecker
from muster.sessions.records import Measure
from muster.wire.evidence import Cell, Curve, Exhibit, Grid, Series

#: How much more than declared is offered, to see how far the host is from its end.
BEYOND = 1.5
#: Below this share of what was offered beyond the declared rate, the host has collapsed.
_KEPT_UP = 0.95
_SHARES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
_POINTS = 150
_SETTLE, _SETTLE_S = 20, 0.2
#: Different requests.
_KINDS = 50

#: No machine that certifies sends more, and the moments of all requests are fixed before the first.
MOST_REQUESTS_PER_S = 100_000.0


class UnderLoad:
    """The host bears the load that is declared, and does not collapse at one and a half times it."""

    name: ClassVar[str] = "load"
    asks: ClassVar[str] = "does it bear the load that is declared?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    is_timed: ClassVar[bool] = True
    # Not kept over an interruption: `memory` goes by what the host held under this load, and shows it.
    remedy: ClassVar[str] = (
        "Make the model faster, above all for several rows at once, have a compiled twin made (`muster certify --twin`), or declare "
        "in [load] what it can bear."
    )

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """What is offered, where the bundle declares nothing or the project asks for its own."""

        requests_per_s: float | None = None
        """Instead of what the bundle declares; without either, 10."""
        rows: int | None = None
        """Of one request, instead of what the bundle declares."""
        seconds: float = 3.0
        """For how long each of the two rates is offered."""
        rounds: int = 2
        """How often at most: a round that fails is made again, and the better counts. A pause of the machine says nothing about the
        model, and a model that is slow is slow in every round."""
        p99_ms: float | None = None
        """The limit, instead of what the bundle declares; without either, that of the one-row latency."""
        through: Literal["front", "host"] = "front"
        """`front`: over HTTP through a front of its own, as callers ask; `host`: straight to the host, without what a front costs."""
        arrivals: Literal["poisson", "uniform"] = "poisson"
        """`poisson`: independent callers; `uniform`: equal distances, as most load tools send."""

        def problems(self) -> list[str]:
            """What is wrong beyond types."""
            given = (
                ("requests_per_s", self.requests_per_s, MOST_REQUESTS_PER_S),
                ("rows", self.rows, math.inf),
                ("p99_ms", self.p99_ms, math.inf),
            )
            wrong = [
                f"{name} is {value:g}; it is a number above 0" + (f" and at most {most:g}" if most < math.inf else "")
                for name, value, most in given
                if value is not None and not (0 < value <= most and value < math.inf)
            ]
            if not 0 < self.seconds <= 600:
                wrong.append(f"seconds is {self.seconds:g}; it is above 0 and at most 600")
            if not 1 <= self.rounds <= 10:
                wrong.append(f"rounds is {self.rounds}; it is 1 to 10")
            return wrong

    def is_asked(self, bench: checks.Bench) -> bool:
        """Whether the bundle declares a rate."""
        return (
            bench.bundle is not None and bench.bundle.load is not None and bench.bundle.load.requests_per_s is not None
        )

    def answer(self, bench: checks.Bench, stack: ExitStack) -> checks.Finding:  # noqa: ARG002 - nothing to end
        """Milliseconds at the 99th percentile of the declared rate, counted from when each request was due."""
        assert bench.channel is not None
        assert bench.golden is not None
        assert bench.bundle is not None
        options = bench.given(self, self.Options)
        declared = bench.bundle.load or Load()
        rate = options.requests_per_s or declared.requests_per_s or 10.0
        limit_ms = options.p99_ms or declared.p99_ms or bench.options.latency_limit_ms
        rows = options.rows or declared.rows
        with ExitStack() as only_here:
            load: _Offered = _AtHost(bench, rows) if options.through == "host" else _AtFront(bench, rows, only_here)
            load.settle()
            watch = only_here.enter_context(Watch(bench.channel.hello.pid))
            found = _judged(load.offer(rate, options), load.offer(rate * BEYOND, options), limit_ms)
            for _ in range(1, options.rounds):
                if found.passed:
                    break
                again = _judged(load.offer(rate, options), load.offer(rate * BEYOND, options), limit_ms)
                found = min(found, again, key=lambda one: (not one.passed, one.figures["p99_ms"]))
        bench.at_hand.resident = watch.noted
        return found


class _Offered(Protocol):
    """Offers requests of golden rows."""

    def settle(self) -> None:
        """A few requests that are not counted: what a first call sets up is not what callers wait for."""
        ...

    def offer(self, rate: float, options: UnderLoad.Options) -> Found:
        """So many requests a second, for as long as the options say."""
        ...


class _AtHost:
    """To the host itself, what comes while it computes as one batch."""

    def __init__(self, bench: checks.Bench, rows: int) -> None:
        assert bench.channel is not None
        assert bench.golden is not None
        self._channel = bench.channel
        self._seed = seed_of(bench.version.digest)
        self._give_up_s = bench.options.answer_limit_s
        self._per_request = rows
        self._rows = Rows(bench.golden.inputs)

    def settle(self) -> None:
        """Twenty, or as many as a moment takes."""
        until = time.monotonic() + _SETTLE_S
        for index in range(_SETTLE):
            self._send([index])
            if time.monotonic() > until:
                return

    def offer(self, rate: float, options: UnderLoad.Options) -> Found:
        """By the schedule, in batches."""
        return driven(
            moments(rate, options.seconds, options.arrivals, self._seed),
            self._send,
            give_up_s=_patience_s(self._give_up_s, options),
            batch_requests=max(1, BATCH_ROWS // self._per_request),
        )

    def _send(self, batch: Sequence[int]) -> Sent:
        answer = sent(self._channel, [self._rows.request(index, self._per_request) for index in batch])
        return Sent(failed=len(answer.errors))


class _AtFront:
    """Over HTTP to a front of its own, which has this host and no other."""

    def __init__(self, bench: checks.Bench, rows: int, stack: ExitStack) -> None:
        assert bench.channel is not None
        assert bench.golden is not None
        self._seed = seed_of(bench.version.digest)
        self._give_up_s = bench.options.answer_limit_s
        self._front = stack.enter_context(
            running_front(bench.version, bench.channel, rows=rows, deadline_s=bench.options.answer_limit_s)
        )
        checker, golden = ContractChecker(bench.version.contract, max_rows=max(1000, rows)), Rows(bench.golden.inputs)
        tables = [golden.request(index, rows) for index in range(min(_KINDS, bench.golden.inputs.rows))]
        bodies = [msgspec.json.encode({"rows": checker.records_of(table)}) for table in tables]
        self._messages = [posted(self._front.path, self._front.token, body) for body in bodies]

    def settle(self) -> None:
        """Twenty over as long a time as they take."""
        self._drive([index * _SETTLE_S / _SETTLE for index in range(_SETTLE)], self._give_up_s)

    def offer(self, rate: float, options: UnderLoad.Options) -> Found:
        """By the schedule, each on a connection of its own."""
        due = moments(rate, options.seconds, options.arrivals, self._seed)
        return self._drive(due, _patience_s(self._give_up_s, options))

    def _drive(self, due: Sequence[float], give_up_s: float) -> Found:
        messages = self._messages
        return driven_over_http(
            due, self._front.port, lambda index: messages[index % len(messages)], give_up_s=give_up_s
        )


def _patience_s(most_s: float, options: UnderLoad.Options) -> float:
    """How long after the last request is due answers are waited for."""
    return min(most_s, max(1.0, options.seconds))


def _judged(usual: Found, beyond: Found, limit_ms: float) -> checks.Finding:
    p99_ms = round(usual.at(0.99), 3)
    unanswered = usual.failed + usual.abandoned
    problems = []
    if p99_ms > limit_ms:
        problems.append(f"p99 of {p99_ms:g} ms is above {limit_ms:g} ms")
    if unanswered:
        problems.append(f"{unanswered} of {usual.requests} requests were not answered")
    if beyond.kept_up < _KEPT_UP or beyond.failed + beyond.abandoned:
        problems.append(
            f"it collapses at {BEYOND:g} times the rate: {beyond.achieved_per_s:.1f} of {beyond.offered_per_s:.1f} requests a "
            f"second were answered, {beyond.failed + beyond.abandoned} not at all"
        )
    told = "; ".join(_in_words(found) for found in (usual, beyond))
    figures = {f"{name}_ms": round(usual.at(share), 4) for name, share in _SHARES}
    figures |= {f"beyond.{name}_ms": round(beyond.at(share), 4) for name, share in _SHARES}
    for prefix, found in (("", usual), ("beyond.", beyond)):
        figures |= {
            f"{prefix}offered_per_s": round(found.offered_per_s, 3),
            f"{prefix}achieved_per_s": round(found.achieved_per_s, 3),
            f"{prefix}late": float(found.late),
        }
    return checks.Finding(
        passed=not problems,
        figure=p99_ms,
        limit=limit_ms,
        detail="; ".join([*problems, told]),
        figures=figures,
        exhibits=_exhibits(usual, beyond),
        measures=tuple(
            Measure(name=f"load_{name}_ms", version=1, value=value, over="load")
            for name, value in ((name, round(usual.at(share), 4)) for name, share in _SHARES)
        ),
    )


def _in_words(found: Found) -> str:
    late = f", {found.late} sent late by this machine" if found.late else ""
    return (
        f"{found.offered_per_s:.1f}/s offered, {found.achieved_per_s:.1f}/s achieved: p50 {found.at(0.5):.2f} ms, "
        f"p95 {found.at(0.95):.2f} ms, p99 {found.at(0.99):.2f} ms over {found.requests} requests{late}"
    )


def _exhibits(usual: Found, beyond: Found) -> tuple[Exhibit, ...]:
    named = (("declared rate", usual), (f"{BEYOND:g} times it", beyond))
    columns = (
        "rate",
        "offered/s",
        "achieved/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "longest ms",
        "requests",
        "failed",
        "not answered",
        "sent late",
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            name, round(found.offered_per_s, 2), round(found.achieved_per_s, 2),
            *(round(found.at(share), 3) for _, share in _SHARES), round(found.at(1.0), 3),
            found.requests, found.failed, found.abandoned, found.late,
        )
        for name, found in named
    )  # fmt: skip
    return (
        Grid(title="Under load", columns=columns, rows=rows),
        Curve(
            title="Share of requests answered within a time",
            x="latency from when the request was due, ms",
            y="share of requests",
            series=tuple(_distribution(name, found) for name, found in named),
        ),
        Curve(
            title="Latency in the course of the load",
            x="second",
            y="longest latency, ms",
            series=tuple(_course(name, found) for name, found in named),
        ),
        machine().exhibit(),
    )


def _distribution(name: str, found: Found) -> Series:
    shares = [(at + 1) / _POINTS for at in range(_POINTS)]
    return Series(
        name=name, x=tuple(round(found.at(share), 4) for share in shares), y=tuple(round(share, 5) for share in shares)
    )


def _course(name: str, found: Found) -> Series:
    """The longest latency of each piece of the time: a mean would hide what callers remember."""
    end = max(found.due_s[-1], 1e-9)
    longest: dict[int, float] = {}
    for due, latency in zip(found.due_s, found.latency_ms, strict=True):
        piece = min(_POINTS - 1, int(due / end * _POINTS))
        longest[piece] = max(longest.get(piece, 0.0), latency)
    places = sorted(longest)
    return Series(
        name=name,
        x=tuple(round((piece + 0.5) * end / _POINTS, 4) for piece in places),
        y=tuple(round(longest[piece], 4) for piece in places),
    )
