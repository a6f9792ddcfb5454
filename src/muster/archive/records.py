"""The record of one request, put together from its events wherever they lie; and how long records are kept."""

from dataclasses import dataclass
from typing import NamedTuple

from muster.vocabulary.request_ids import request_id_text
from muster.wire.records import AnsweredLate, Decided, VariantAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What happened to one request: the decision, and what came after it."""

    decided: Decided
    late: tuple[AnsweredLate, ...] = ()
    """Answers that came after the decision, in the order in which they came."""

    @property
    def request_id(self) -> str:
        """The id as people write it."""
        return request_id_text(self.decided.request_id)

    def answer_of(self, version: str) -> VariantAnswer | None:
        """What that version had to say in the end: its late answer if there is one; None if it was not asked."""
        for event in reversed(self.late):
            if event.answer.version == version:
                return event.answer
        return next((answer for answer in self.decided.answers if answer.version == version), None)

    def answers(self) -> tuple[VariantAnswer, ...]:
        """What every variant had to say in the end, in the order of the decision."""
        asked = [answer.version for answer in self.decided.answers]
        versions = dict.fromkeys([*asked, *(event.answer.version for event in self.late)])
        return tuple(answer for version in versions if (answer := self.answer_of(version)) is not None)

    def in_batch(self, host: str, batch: int) -> VariantAnswer | None:
        """The answer that was computed in that batch of that host; None if none was."""
        return next((answer for answer in self.answers() if answer.host == host and answer.batch == batch), None)

    def chosen_versions(self) -> tuple[str | None, ...]:
        """Per row, the version whose answer was given; None for the default answer, or when nothing was given."""
        chosen = self.decided.chosen
        if len(chosen) == 1:
            chosen = chosen * max(1, self.decided.rows)
        return tuple(self.decided.answers[index].version if index >= 0 else None for index in chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """How long an endpoint's records are kept."""

    endpoint: str
    project: str
    days: int | None
    """None: for ever."""
    set_by: str
    set_at: str
    reason: str


class UseKey(NamedTuple):
    """What is counted apart."""

    project: str
    endpoint: str
    consumer: str
    version: str
    day: str
    """UTC, `2026-11-21`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What was counted of a version, a consumer and an endpoint, over some days."""

    consumer: str
    endpoint: str
    version: str
    requests: int
    rows: int
    last_at: str
