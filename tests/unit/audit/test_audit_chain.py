"""The chain and its proof, without a database."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.audit.entries import BEGINNING, Deed, Entry, following, hash_of
from muster.audit.verify import verdict_on

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_FACTS = st.dictionaries(
    _TEXT,
    st.recursive(st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXT, st.lists, max_leaves=4),
    max_size=3,
)
_DEEDS = st.builds(
    Deed,
    actor=_TEXT,
    action=_TEXT,
    subject=_TEXT,
    project=_TEXT,
    details=_FACTS,
    reason=_TEXT,
    idempotency_key=st.none() | _TEXT,
    request_digest=st.none() | _TEXT,
)
_COLUMNS = [field.name for field in fields(Entry)]


def _chain(deeds: list[Deed]) -> list[Entry]:
    chain: list[Entry] = []
    for second, deed in enumerate(deeds):
        chain.append(following(chain[-1] if chain else None, deed, f"2026-11-21T09:30:{second:02d}.000000Z"))
    return chain


_CHAINS = st.lists(_DEEDS, min_size=1, max_size=8).map(_chain)


def _heads(chain: list[Entry]) -> dict[int, str]:
    return {entry.sequence: entry.hash for entry in chain}


def _rehashed(chain: list[Entry], start: int) -> list[Entry]:
    """What somebody does who edits an event and has read how hashes are made."""
    rewritten = chain[:start]
    for entry in chain[start:]:
        linked = replace(entry, previous=rewritten[-1].hash if rewritten else BEGINNING, sequence=len(rewritten) + 1)
        rewritten.append(replace(linked, hash=hash_of(linked)))
    return rewritten


@given(_CHAINS)
def test_a_chain_as_it_was_written_is_valid(chain: list[Entry]) -> None:
    """Whatever was put on record is proved, and the head is that of the last event."""
    verdict = verdict_on(chain, _heads(chain))
    assert (verdict.valid, verdict.events, verdict.head, verdict.problem) == (True, len(chain), chain[-1].hash, None)


@given(_CHAINS, st.data())
def test_an_edit_of_any_column_is_found_where_it_is(chain: list[Entry], data: st.DataObject) -> None:
    """One changed value, of any column and any type that a database may give, breaks the chain, even without a head file."""
    at = data.draw(st.integers(0, len(chain) - 1))
    column = data.draw(st.sampled_from(_COLUMNS))
    before = getattr(chain[at], column)
    values: st.SearchStrategy[Any] = (
        st.integers() if column == "sequence" else _TEXT | st.none() | st.binary(max_size=3) | st.integers()
    )
    value = data.draw(values.filter(lambda value: value != before))
    edited = [*chain]
    edited[at] = replace(chain[at], **{column: value})
    verdict = verdict_on(sorted(edited, key=lambda entry: entry.sequence), {})
    assert not verdict.valid
    assert verdict.problem
    if column != "sequence":
        assert verdict.at_sequence == at + 1
        assert verdict.events == at


@given(_CHAINS, st.data())
def test_a_rewritten_chain_is_found_by_its_heads(chain: list[Entry], data: st.DataObject) -> None:
    """Whoever edits an event and makes all hashes anew is found out by the head file."""
    at = data.draw(st.integers(0, len(chain) - 1))
    edited = [*chain]
    edited[at] = replace(chain[at], reason=chain[at].reason + "!")
    rewritten = _rehashed(edited, at)
    assert verdict_on(rewritten, {}).valid
    verdict = verdict_on(rewritten, _heads(chain))
    assert not verdict.valid
    assert verdict.at_sequence == at + 1
    assert "rewritten" in (verdict.problem or "")


@given(_CHAINS, st.data())
def test_a_removed_event_is_found(chain: list[Entry], data: st.DataObject) -> None:
    """A gap is found, the last event's, too; closing the gap and making all hashes anew does not help."""
    at = data.draw(st.integers(0, len(chain) - 1))
    removed = chain[:at] + chain[at + 1 :]
    for left in (removed, _rehashed(removed, at)):
        verdict = verdict_on(left, _heads(chain))
        assert not verdict.valid
        assert verdict.at_sequence == at + 1


@given(_CHAINS, st.data())
def test_a_cut_off_end_is_found_by_its_heads(chain: list[Entry], data: st.DataObject) -> None:
    """However many events are missing at the end, the head file knows them."""
    kept = data.draw(st.integers(0, len(chain) - 1))
    verdict = verdict_on(chain[:kept], _heads(chain))
    assert not verdict.valid
    assert "cut off" in (verdict.problem or "")
    assert verdict.at_sequence == kept + 1


@given(_CHAINS, _DEEDS, st.data())
def test_an_inserted_event_is_found(chain: list[Entry], deed: Deed, data: st.DataObject) -> None:
    """An event that did not happen is found, whether it takes a number that is taken, one before the first, or moves all others."""
    at = data.draw(st.integers(0, len(chain) - 1))
    forged = following(chain[at - 1] if at else None, replace(deed, reason=deed.reason + "forged"), chain[at].at)
    doubled = [*chain[:at], forged, *chain[at:]]
    for forgery in (doubled, _rehashed(doubled, at), [replace(forged, sequence=-at), *chain]):
        assert not verdict_on(forgery, _heads(chain)).valid


@given(_CHAINS.filter(lambda chain: len(chain) > 1), st.data())
def test_an_exchange_of_two_events_is_found(chain: list[Entry], data: st.DataObject) -> None:
    """Two events that change places are found, whether they keep their numbers or not."""
    first, second = sorted(data.draw(st.lists(st.integers(0, len(chain) - 1), min_size=2, max_size=2, unique=True)))
    swapped = [*chain]
    swapped[first], swapped[second] = chain[second], chain[first]
    renumbered = [replace(entry, sequence=place) for place, entry in enumerate(swapped, 1)]
    for forgery in (swapped, renumbered):
        verdict = verdict_on(forgery, {})
        assert not verdict.valid
        assert verdict.events == first


@given(_CHAINS, st.data())
def test_heads_may_lag_behind(chain: list[Entry], data: st.DataObject) -> None:
    """A head file that knows only some of the events, and not the last, proves as far as it goes."""
    known = data.draw(st.sets(st.integers(0, len(chain) - 1)))
    assert verdict_on(chain, _heads([chain[at] for at in known])).valid


def test_an_empty_chain_is_valid() -> None:
    """A factory in which nothing happened has nothing to hide."""
    verdict = verdict_on([], {})
    assert (verdict.valid, verdict.events, verdict.head) == (True, 0, BEGINNING)


def test_the_hash_is_the_documented_one() -> None:
    """The format is fixed: this event has this hash, for ever."""
    deed = Deed(
        actor="ana",
        action="version.registered",
        subject="churn:1",
        project="default",
        details={"digest": "sha256:0", "a": 1.5},
    )
    entry = following(None, deed, "2026-11-21T09:30:00.000000Z")
    assert entry.details == '{"a":1.5,"digest":"sha256:0"}'
    assert entry.hash == "sha256:31c6872cee9b644542a43836f217eb01f4894bc6ce270bed4e934522949fca6d"


@pytest.mark.parametrize("value", [2**53, float("nan"), object(), "\ud800"])
def test_details_that_have_no_canonical_form_are_refused(value: object) -> None:
    """What could not be hashed alike everywhere never gets into the chain."""
    deed = Deed(actor="ana", action="a", subject="s", project="default", details={"value": value})
    with pytest.raises((ValueError, TypeError)):
        following(None, deed, "2026-11-21T09:30:00.000000Z")
