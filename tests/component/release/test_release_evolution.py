"""A release that breaks the current contract is told of field by field, and approved when its consumers have agreed; on both databases."""

import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from governed_factory import ObedientFront
from made_bundles import CONTRACT
from muster.access.errors import RightMissing
from muster.audit.errors import IdempotencyKeyReused
from muster.packaging.documents import Card
from muster.registry.errors import ReasonMissing
from muster.registry.records import ModelChanges, Version
from muster.release.errors import (
    BreaksUnacknowledged,
    EndpointNotFound,
    NothingToAcknowledge,
    NotYoursToAcknowledge,
    OwnWork,
    ReleaseNotFound,
    ReleaseStateUnfit,
)
from muster.release.records import Release
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.errors import MusterError
from muster.vocabulary.states import ReleaseState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from peopled_factory import PeopledFactory

(TENURE, PLAN), (SCORE,) = CONTRACT.inputs, CONTRACT.outputs
#: Without the field `plan`, and with a score that may be null.
NARROWER = Contract((TENURE,), (Field("score", Datatype.FP64, nullable=True),))
#: With a field that may be left out.
WIDER = Contract((TENURE, PLAN, Field("age", Datatype.FP64, required=False, default=40.0)), (SCORE,))
GONE = "input plan: it is gone: requests that name it are refused"
NULL = "output score: it may be null, and was not"


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> PeopledFactory:
    return PeopledFactory(database, tmp_path, clock)


@pytest.fixture
def front(factory: PeopledFactory) -> ObedientFront:
    """A front, and a release of the first contract that it serves."""
    front = ObedientFront(factory)
    front.poll()
    factory.live(factory.accepted(), fronts=(front,))
    return front


def of_contract(factory: PeopledFactory, contract: Contract) -> Version:
    """An accepted version of this contract."""
    return factory.accepted(contract=contract)


def proposed(factory: PeopledFactory, contract: Contract = NARROWER) -> Release:
    return factory.propose(of_contract(factory, contract))


def agree(factory: PeopledFactory, release: Release, name: str, consumer: str | None = None) -> tuple[str, ...]:
    """Who is awaited then."""
    evolution = factory.releases.evolution
    return evolution.acknowledge(factory.call(name), "churn", release.number, "we are ready", consumer=consumer).awaited


@pytest.mark.usefixtures("front")
def test_what_breaks_is_told_field_by_field_and_waits_for_the_consumers(factory: PeopledFactory) -> None:
    """The proposal says it, the gate refuses, each consumer agrees for itself, and the gate's event names them."""
    release = proposed(factory)
    assert [f"{one.side} {one.field}: {one.what}" for one in release.breaks] == [GONE, NULL]
    assert release.awaited == ("shop", "web")
    with pytest.raises(BreaksUnacknowledged) as caught:
        factory.approve(release)
    assert caught.value.facts["breaks"] == [GONE, NULL]
    assert (caught.value.facts["awaited"], caught.value.facts["against"]) == (["shop", "web"], 1)
    assert agree(factory, release, "shop") == ("web",)
    with pytest.raises(BreaksUnacknowledged, match="web did not agree yet"):
        factory.approve(release)
    assert agree(factory, release, "web") == ()
    assert factory.approve(release).state is ReleaseState.APPROVED
    subject = f"churn release {release.number}"
    assert factory.events(subject) == [
        ("ana", "release.proposed"), ("shop", "release.acknowledged"), ("web", "release.acknowledged"), ("paul", "release.approved"),
    ]  # fmt: skip
    with factory.database.read() as tx:
        approved = factory.journal.entries(tx, subject=subject)[-1]
    assert '"acknowledged":["shop","web"]' in approved.details


@pytest.mark.usefixtures("front")
def test_what_consumers_need_not_notice_waits_for_nobody(factory: PeopledFactory) -> None:
    """A field with a default is compatible; the review tells of it all the same."""
    release = proposed(factory, WIDER)
    review = factory.releases.evolution.review(factory.call("vic"), "churn", release.number)
    assert [(one.field, one.is_compatible) for one in review.changes] == [("age", True)]
    assert (release.breaks, release.awaited, review.awaited) == ((), (), ())
    with pytest.raises(NothingToAcknowledge):
        agree(factory, release, "shop")
    assert factory.approve(release).state is ReleaseState.APPROVED


@pytest.mark.usefixtures("front")
def test_a_new_endpoint_breaks_nothing(factory: PeopledFactory) -> None:
    """Which is the way out for a proposer whose consumers do not agree."""
    version = of_contract(factory, NARROWER)
    release = factory.propose(version, endpoint="churn-2")
    assert release.breaks == ()
    assert factory.approve(release).state is ReleaseState.APPROVED


def test_the_first_release_breaks_nothing(factory: PeopledFactory) -> None:
    """Whoever may call the endpoint has not called it yet."""
    release = factory.propose(factory.accepted())
    review = factory.releases.evolution.review(factory.call("shop"), "churn", release.number)
    assert (review.against, review.changes, review.awaited) == (None, (), ())


@pytest.mark.usefixtures("front")
def test_only_a_consumer_who_is_asked_agrees_or_an_admin_for_one(factory: PeopledFactory) -> None:
    """Not a stranger, not an approver, not the proposer in another's name, not for somebody who is not asked."""
    release = proposed(factory)
    for name in ("ana", "paul", "olga", "vic", "adele", "sandbox"):
        with pytest.raises(NotYoursToAcknowledge, match=f"{name} is not asked"):
            agree(factory, release, name)
    for name in ("ana", "paul", "olga", "vic", "web"):
        with pytest.raises(NotYoursToAcknowledge, match="may not agree on behalf of shop"):
            agree(factory, release, name, "shop")
    with pytest.raises(RightMissing):
        agree(factory, release, "front")
    with pytest.raises(NotYoursToAcknowledge, match="paul is not asked"):
        agree(factory, release, "adele", "paul")
    assert agree(factory, release, "adele", "shop") == ("web",)
    review = factory.releases.evolution.review(factory.call("web"), "churn", release.number)
    assert [(one.consumer, one.by, one.reason) for one in review.acknowledged] == [("shop", "adele", "we are ready")]


@pytest.mark.usefixtures("front")
@pytest.mark.parametrize(
    ("proposer", "registrant", "said"),
    [
        ("adele", "ana", {}),
        ("sam", "adele", {"owners": ("ana",)}),
        ("sam", "ana", {"owners": ("ana", "adele")}),
        ("sam", "ana", {"authors": ("ana", "adele")}),
        ("sam", "ana", {"card": Card(deputy="adele")}),
    ],
)
def test_nobody_agrees_to_their_own_release_in_anothers_name(
    factory: PeopledFactory, proposer: str, registrant: str, said: dict[str, Any]
) -> None:
    """An admin who proposed it, or has part in a version in it, is no exception; another admin may."""
    release = factory.propose(factory.accepted(by=registrant, contract=NARROWER, **said), by=proposer)
    with pytest.raises(OwnWork, match="adele has part in churn release 2"):
        agree(factory, release, "adele", "shop")
    factory.access.add_user(factory.call("adele"), "ada", "admin")
    other = replace(factory.call("adele").actor, name="ada")
    call = replace(factory.call("adele"), actor=other)
    review = factory.releases.evolution.acknowledge(call, "churn", release.number, "told them", consumer="shop")
    assert review.awaited == ("web",)


@pytest.mark.usefixtures("front")
def test_whoever_handed_a_model_on_does_not_agree_for_others(factory: PeopledFactory) -> None:
    """Who owned it since the version was registered has part in it, and so has who owns it now."""
    version = of_contract(factory, NARROWER)
    for owner in ("adele", "ana"):
        factory.registry.set_model(factory.call("adele"), "churn", ModelChanges(owner=owner), "in turn")
    with pytest.raises(OwnWork):
        agree(factory, factory.propose(version, by="sam"), "adele", "shop")


@pytest.mark.usefixtures("front")
def test_an_agreement_that_waited_for_the_approval_comes_too_late(
    factory: PeopledFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is about is read when nobody decides any more."""
    release = proposed(factory)
    for name in ("shop", "web"):
        agree(factory, release, name)
    held, outcomes, hold_roles = threading.Event(), list[str](), factory.access.hold_roles

    def slow(tx: Transaction) -> None:
        hold_roles(tx)
        if threading.current_thread() is approving and not held.is_set():
            held.set()
            time.sleep(1.0)

    monkeypatch.setattr(factory.access, "hold_roles", slow)
    approving = threading.Thread(target=lambda: outcomes.append(str(factory.approve(release).state)))
    approving.start()
    assert held.wait(20)
    with pytest.raises(ReleaseStateUnfit, match="is approved"):
        agree(factory, release, "shop")
    approving.join()
    assert outcomes == ["approved"]


@pytest.mark.usefixtures("front")
def test_other_projects_neither_see_nor_agree(factory: PeopledFactory) -> None:
    """The same name in another project is somebody else."""
    release = proposed(factory)
    evolution = factory.releases.evolution
    for name in ("ana", "adele"):
        with pytest.raises(EndpointNotFound):
            evolution.review(factory.call(name, "other"), "churn", release.number)
        with pytest.raises(EndpointNotFound):
            evolution.acknowledge(factory.call(name, "other"), "churn", release.number, "yes")
    with pytest.raises(RightMissing):
        evolution.acknowledge(factory.call("shop", "other"), "churn", release.number, "yes")
    with pytest.raises(ReleaseNotFound):
        evolution.review(factory.call("shop"), "churn", 99)


@pytest.mark.usefixtures("front")
def test_agreeing_takes_a_reason_and_is_on_record_once(factory: PeopledFactory) -> None:
    """With a key or without; the key for another request is refused."""
    release = proposed(factory)
    evolution = factory.releases.evolution
    with pytest.raises(ReasonMissing):
        evolution.acknowledge(factory.call("shop"), "churn", release.number, "  ")
    keyed = factory.call("shop", idempotency_key="k", request_digest="d")
    for call in (keyed, keyed, factory.call("shop")):
        assert evolution.acknowledge(call, "churn", release.number, "yes").awaited == ("web",)
    assert factory.events(f"churn release {release.number}").count(("shop", "release.acknowledged")) == 1
    with pytest.raises(IdempotencyKeyReused):
        evolution.acknowledge(
            factory.call("shop", idempotency_key="k", request_digest="e"), "churn", release.number, "yes"
        )


def test_an_agreement_is_to_one_contract(factory: PeopledFactory, front: ObedientFront) -> None:
    """When another contract has become current meanwhile, what breaks is something else, and everybody is asked again."""
    release = proposed(factory)
    agree(factory, release, "shop")
    agree(factory, release, "web")
    factory.live(of_contract(factory, WIDER), fronts=(front,))
    shown = factory.releases.release(factory.call("vic"), "churn", release.number)
    assert [one.field for one in shown.breaks] == ["plan", "age", "score"]
    assert shown.awaited == ("shop", "web")
    with pytest.raises(BreaksUnacknowledged):
        factory.approve(release)


@pytest.mark.usefixtures("front")
@pytest.mark.parametrize(
    ("used", "asked"),
    [
        ({}, ("shop", "web")),
        ({"sandbox": 29}, ("sandbox", "shop", "web")),
        ({"sandbox": 31}, ("shop", "web")),
        ({"olga": 0}, ("shop", "web")),
        ({"gone": 0}, ("shop", "web")),
        ({"shop": 31, "web": 0}, ("shop", "web")),
    ],
)
def test_those_are_asked_who_are_named_and_those_who_used_it_within_a_month(
    factory: PeopledFactory, used: dict[str, int], asked: tuple[str, ...]
) -> None:
    """Who uses it by a right to all endpoints comes on top; a use by whoever may not score there adds and takes nothing.

    Not every use is counted, nor at once: that none is does not say that nobody relies on it.
    """
    now = factory.clock.now()
    factory.uses.used = {name: now - timedelta(days=days) for name, days in used.items()}
    release = proposed(factory)
    assert release.awaited == asked
    for name in asked:
        with pytest.raises(BreaksUnacknowledged):
            factory.approve(release)
        agree(factory, release, name)
    assert factory.approve(release).state is ReleaseState.APPROVED


@pytest.mark.usefixtures("front")
def test_a_consumer_who_leaves_is_awaited_no_longer_and_one_who_comes_is(factory: PeopledFactory) -> None:
    """Who is asked is who is there at the gate."""
    release = proposed(factory)
    agree(factory, release, "shop")
    factory.access.remove_user(factory.call("adele"), "web")
    factory.access.add_user(factory.call("adele"), "app", "consumer", endpoints=("churn",))
    with pytest.raises(BreaksUnacknowledged, match="app did not agree yet"):
        factory.approve(release)
    assert agree(factory, release, "adele", "app") == ()
    assert factory.approve(release).state is ReleaseState.APPROVED


@pytest.mark.usefixtures("front")
def test_what_is_decided_takes_no_agreement(factory: PeopledFactory) -> None:
    """A rejected release breaks nothing for anybody."""
    release = proposed(factory)
    factory.releases.reject(factory.call("paul"), "churn", release.number, "no")
    with pytest.raises(ReleaseStateUnfit, match="is rejected"):
        agree(factory, release, "shop")


@pytest.mark.usefixtures("front")
def test_agreements_and_approval_at_the_same_moment_leave_no_gap(factory: PeopledFactory) -> None:
    """Approved only if both had agreed; each agreement counts once, whoever races whom."""
    release = proposed(factory)
    begin = threading.Barrier(7)
    outcomes: list[str] = []

    def run(name: str) -> None:
        begin.wait(20)
        for _ in range(20):
            try:
                if name == "paul":
                    outcomes.append(str(factory.approve(release).state))
                else:
                    agree(factory, release, name)
            except BreaksUnacknowledged:
                continue
            except MusterError as error:
                outcomes.append(error.code)
            return

    threads = [
        threading.Thread(target=run, args=(name,)) for name in ("shop", "web", "shop", "web", "shop", "web", "paul")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = factory.events(f"churn release {release.number}")
    assert events.count(("shop", "release.acknowledged")) == 1
    assert events.count(("web", "release.acknowledged")) == 1
    if ("paul", "release.approved") in events:
        assert events.index(("paul", "release.approved")) == len(events) - 1
    assert set(outcomes) <= {str(ReleaseState.APPROVED), "release.state-unfit"}
