"""`conform`: a bundle's host held against every case of the kit.

A case makes one claim about hosts, and looks at nothing else: a host that loses the last bit of a number fails one case, and that
case says what was lost. Most cases share one host; a case after which it is no longer there is followed by one on a new host.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from muster.packaging.documents import Bundle
from muster.packaging.golden import Golden
from muster.runtimes.channel import Channel
from muster.runtimes.conformance import echo
from muster.runtimes.errors import HostGone, HostLoadFailed, HostNotStarted, HostTimedOut, OrderBroken, ProtocolBroken
from muster.runtimes.parent import Limits
from muster.vocabulary.errors import MusterError
from muster.wire.contracts import Contract

Start = Callable[[Limits], AbstractContextManager[Channel]]
_UNUSABLE = (HostGone, HostTimedOut, ProtocolBroken)
_NO_HOST = (HostLoadFailed, HostNotStarted, OrderBroken)


class Outcome(StrEnum):
    """What came of a case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is examined."""

    bundle: Bundle
    golden: Golden
    start: Start
    """Starts a host of the bundle with those limits; it ends with the block."""
    running: Channel | None = None
    """A host that is there already and is used first; the case about stopping stops it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a case found."""

    outcome: Outcome
    detail: str
    figure: float | int | None = None
    """Its unit is in the detail."""

    @property
    def is_failed(self) -> bool:
        """Whether the claim does not hold."""
        return self.outcome is Outcome.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A case and what it found."""

    case: str
    claim: str
    outcome: Outcome
    detail: str
    figure: float | int | None
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of all cases, in their order; it ends early where no host could be started."""

    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether no case failed and at least one was put."""
        return bool(self.results) and not self.failed

    @property
    def failed(self) -> tuple[Result, ...]:
        """The cases that failed."""
        return tuple(result for result in self.results if result.outcome is Outcome.FAILED)

    def document(self) -> dict[str, Any]:
        """Plain JSON-able values."""
        return {
            "passed": self.passed,
            "cases": [
                {
                    "case": result.case,
                    "claim": result.claim,
                    "outcome": str(result.outcome),
                    "figure": result.figure,
                    "detail": result.detail,
                    "took_s": result.took_s,
                }
                for result in self.results
            ],
        }


@dataclass(slots=True, kw_only=True)
class Stand:
    """Where a case works: the subject, and a host that lives as long as the cases leave it alone."""

    subject: Subject
    hosts: ExitStack = field(default_factory=ExitStack)
    channel: Channel | None = None

    @property
    def contract(self) -> Contract:
        """Of the bundle."""
        return self.subject.bundle.contract

    @property
    def is_echo(self) -> bool:
        """Whether it is the echo model, of which the right answer to anything is known."""
        return echo.is_echo(self.contract)

    @property
    def speaks_lines(self) -> bool:
        """Whether rows reach the model's program as JSON, which has one NaN only."""
        return getattr(self.subject.bundle.runtime, "wire", "binary") == "lines"

    def host(self) -> Channel:
        """The shared host; a new one where the last is gone.

        Raises:
            HostLoadFailed, HostNotStarted, OrderBroken: none can be started.
        """
        if self.channel is None:
            self.channel = self.hosts.enter_context(self.subject.start(Limits()))
        return self.channel

    def leave(self) -> None:
        """End the shared host; the next case that needs one gets another."""
        self.channel = None
        self.hosts.close()
        self.hosts = ExitStack()

    @contextmanager
    def second_peer(self) -> Iterator[Channel]:
        """Another connection to the shared host."""
        with Channel(self.host().path, 30.0) as peer:
            yield peer


class Case(Protocol):
    """One claim about hosts."""

    name: str
    claim: str
    """In words: what every host does."""

    def run(self, stand: Stand) -> Found:
        """Find out."""
        ...


def passed(detail: str, figure: float | None = None) -> Found:
    """The claim holds."""
    return Found(outcome=Outcome.PASSED, detail=detail, figure=figure)


def failed(detail: str, figure: float | None = None) -> Found:
    """The claim does not hold; the detail says what came instead."""
    return Found(outcome=Outcome.FAILED, detail=detail, figure=figure)


def not_applicable(detail: str) -> Found:
    """Nothing to find out; the detail says why."""
    return Found(outcome=Outcome.NOT_APPLICABLE, detail=detail)


def conform(subject: Subject, cases: Sequence[Case], say: Callable[[Result], None] | None = None) -> Report:
    """Hold a bundle's host against the cases.

    Args:
        subject: what is examined.
        cases: in the order in which they are put; the one that stops the host comes last.
        say: told of each result as it comes.
    """
    stand = Stand(subject=subject, channel=subject.running)
    results: list[Result] = []
    try:
        for case in cases:
            begun = time.monotonic()
            found, goes_on = _put(case, stand)
            result = Result(
                case=case.name,
                claim=case.claim,
                outcome=found.outcome,
                detail=found.detail,
                figure=found.figure,
                took_s=round(time.monotonic() - begun, 3),
            )
            results.append(result)
            if say is not None:
                say(result)
            if not goes_on:
                break
    finally:
        stand.leave()
    return Report(results=tuple(results))


def _put(case: Case, stand: Stand) -> tuple[Found, bool]:
    """What a case found, and whether further ones can be put."""
    try:
        return case.run(stand), True
    except _NO_HOST as error:
        return failed(f"no host: {_told(error)}"), False
    except _UNUSABLE as error:
        stand.leave()
        return failed(_told(error)), True
    except MusterError as error:
        return failed(_told(error)), True


def _told(error: MusterError) -> str:
    return f"{error.code}: {error.message[-600:]}"
