"""What models carry, who may say so, and that nobody releases a model whose owner is gone; on both databases."""

import threading
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from muster.access.errors import RightMissing
from muster.audit.errors import IdempotencyKeyReused
from muster.registry.errors import (
    ModelFactsMalformed,
    ModelNotFound,
    NotYourModel,
    OwnerGone,
    OwnerUnfit,
    ReasonMissing,
)
from muster.registry.records import ModelChanges, ModelFacts
from muster.release.errors import OwnWork, TooManyReferences
from muster.release.resolving import References
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.errors import MusterError
from muster.vocabulary.names import NameMalformed
from peopled_factory import PeopledFactory


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> PeopledFactory:
    return PeopledFactory(database, tmp_path, clock)


def carried(factory: GovernedFactory) -> ModelFacts:
    return factory.registry.model(factory.call("vic"), "churn").facts


def test_a_model_is_its_registrants_until_another_is_named(factory: PeopledFactory) -> None:
    """The owner hands it over, and every change is on record with what was before."""
    factory.register()
    assert carried(factory) == ModelFacts(owner="ana")
    changes = ModelChanges(
        owner="sam",
        deputy="paul",
        description="  Who leaves?  ",
        business_metric="kept customers",
        tags={"team": "risk"},
    )
    factory.registry.set_model(factory.call("ana"), "churn", changes, "sam takes over")
    assert carried(factory) == ModelFacts(
        owner="sam", deputy="paul", description="Who leaves?", business_metric="kept customers", tags={"team": "risk"}
    )
    with factory.database.read() as tx:
        (entry,) = factory.journal.entries(tx, subject="model churn")
    assert (entry.actor, entry.action, entry.reason) == ("ana", "model.changed", "sam takes over")
    assert '"owner":{"after":"sam","before":"ana"}' in entry.details
    with pytest.raises(NotYourModel, match="ana does not own the model churn"):
        factory.registry.set_model(factory.call("ana"), "churn", ModelChanges(owner="ana"), "back")
    factory.registry.set_model(factory.call("adele"), "churn", ModelChanges(deputy="", tags={"team": None}), "alone")
    assert carried(factory).deputy is None
    assert carried(factory).tags == {}


@pytest.mark.parametrize("name", ["paul", "olga", "vic", "sam"])
def test_who_neither_owns_nor_manages_changes_nothing(factory: PeopledFactory, name: str) -> None:
    """Whatever their role."""
    factory.register()
    with pytest.raises(NotYourModel):
        factory.registry.set_model(factory.call(name), "churn", ModelChanges(description="mine"), "mine")
    assert carried(factory).description == ""
    assert ("paul", "model.changed") not in factory.events("model churn")


def test_those_without_a_role_that_reads_change_nothing(factory: PeopledFactory) -> None:
    """A service account does not own models."""
    factory.register()
    with pytest.raises(RightMissing):
        factory.registry.set_model(factory.call("front"), "churn", ModelChanges(description="x"), "x")


def test_another_projects_model_is_none(factory: PeopledFactory) -> None:
    """By its name alone nobody reaches it, whatever they may in their own project."""
    factory.register()
    with pytest.raises(ModelNotFound):
        factory.registry.set_model(factory.call("adele", "other"), "churn", ModelChanges(description="x"), "x")


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        (ModelChanges(owner="nobody"), OwnerUnfit, "nobody has no role in project default"),
        (ModelChanges(deputy="nobody"), OwnerUnfit, "nobody has no role in project default"),
        (ModelChanges(deputy="ana"), OwnerUnfit, "ana cannot stand in for ana"),
        (ModelChanges(owner="No Name"), NameMalformed, "is not a name for a user"),
        (ModelChanges(), ModelFactsMalformed, "nothing is to change"),
        (
            ModelChanges(description="x" * 4001),
            ModelFactsMalformed,
            "description has 4001 characters; 4000 can be kept",
        ),
        (ModelChanges(business_metric="a\0b"), ModelFactsMalformed, "characters that cannot be kept"),
        (ModelChanges(description="\ud800"), ModelFactsMalformed, "characters that cannot be kept"),
        (ModelChanges(tags={"a b": "c"}), ModelFactsMalformed, "is no key of a tag"),
        (ModelChanges(tags={"a=b": "c"}), ModelFactsMalformed, "is no key of a tag"),
        (ModelChanges(tags={f"t{number}": "" for number in range(51)}), ModelFactsMalformed, "at most 50 tags"),
    ],
)
def test_what_cannot_be_said_of_a_model_leaves_it_as_it_was(
    factory: PeopledFactory, changes: ModelChanges, kind: type[MusterError], told: str
) -> None:
    """Nothing of a change is kept that is wrong anywhere."""
    factory.register()
    with pytest.raises(kind, match=told):
        factory.registry.set_model(factory.call("ana"), "churn", changes, "because")
    assert carried(factory) == ModelFacts(owner="ana")
    assert factory.events("model churn") == []


def test_a_change_takes_a_reason_and_is_made_once(factory: PeopledFactory) -> None:
    """A repetition with its key gives what is there now; the key for another change is refused."""
    factory.register()
    with pytest.raises(ReasonMissing):
        factory.registry.set_model(factory.call("ana"), "churn", ModelChanges(description="a"), " ")
    keyed = factory.call("ana", idempotency_key="k", request_digest="d")
    for _ in range(2):
        factory.registry.set_model(keyed, "churn", ModelChanges(description="a"), "because")
    assert factory.events("model churn") == [("ana", "model.changed")]
    other = factory.call("ana", idempotency_key="k", request_digest="e")
    with pytest.raises(IdempotencyKeyReused):
        factory.registry.set_model(other, "churn", ModelChanges(description="b"), "because")


def test_two_who_change_a_model_at_once_both_have_their_say(factory: PeopledFactory) -> None:
    """Neither overwrites what the other said."""
    factory.register()
    begin, failures = threading.Barrier(8), []

    def change(number: int) -> None:
        begin.wait(20)
        try:
            factory.registry.set_model(factory.call("ana"), "churn", ModelChanges(tags={f"t{number}": "x"}), "tag")
        except MusterError as error:
            failures.append(error)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(carried(factory).tags) == [f"t{number}" for number in range(8)]


def test_nobody_releases_a_model_whose_owner_is_gone(factory: PeopledFactory) -> None:
    """Until another owner is named; the proposal says so before anybody tries."""
    version = factory.accepted()
    proposed = factory.propose(version, by="sam")
    assert proposed.warnings == ()
    factory.access.remove_user(factory.call("adele"), "ana")
    shown = factory.releases.release(factory.call("vic"), "churn", proposed.number)
    assert any(
        "ana, who owns the model churn, has no role in project default any more" in told for told in shown.warnings
    )
    with pytest.raises(OwnerGone) as caught:
        factory.approve(proposed)
    assert caught.value.facts == {"model": "churn", "owner": "ana", "project": "default"}
    assert ("paul", "release.approved") not in factory.events()
    factory.registry.set_model(factory.call("adele"), "churn", ModelChanges(owner="sam"), "ana has left")
    assert factory.approve(proposed).state == "approved"


def test_an_owner_does_not_pass_the_models_versions(factory: PeopledFactory) -> None:
    """Nor does a deputy: who answers for a model has a part in every version of it, whoever registered that."""
    factory.register()
    changes = ModelChanges(owner="petra", deputy="paul")
    factory.registry.set_model(factory.call("ana"), "churn", changes, "approvers take over")
    version = factory.register(by="sam", owners=("sam",))
    for name in ("petra", "paul"):
        with pytest.raises(OwnWork):
            factory.approvals.accept(factory.call(name), version.name, "mine")


def test_lists_are_read_page_by_page(factory: PeopledFactory) -> None:
    """Each item once, in the list's order, behind the one named."""
    for name in ("ant", "bee", "cat"):
        factory.register(name=name)
    for _ in range(4):
        factory.register(name="bee")
    call, registry = factory.call("vic"), factory.registry
    assert [one.name for one in registry.models(call)] == ["ant", "bee", "cat"]
    assert [(one.name, one.versions) for one in registry.models(call, limit=2)] == [("ant", 1), ("bee", 5)]
    (last,) = registry.models(call, limit=2, after="bee")
    assert last.latest is not None
    assert str(last.latest.name) == "cat:1"
    assert registry.models(call, after="cat") == ()
    assert [one.number for one in registry.versions(call, "bee", limit=2)] == [5, 4]
    assert [one.number for one in registry.versions(call, "bee", limit=2, after=4)] == [3, 2]
    assert [one.number for one in registry.model(call, "bee", after=2).versions] == [1]


def test_references_stand_for_versions_or_say_why_not(factory: PeopledFactory) -> None:
    """Names, the newest, an endpoint's champion, digests; in the order in which they were asked, twice if asked twice."""
    first, second = factory.accepted(), factory.accepted()
    factory.propose(first, by="sam")
    references = References(factory.database, factory.registry)
    asked = [
        "churn:1",
        "churn:latest",
        str(second.digest),
        "churn:9",
        "churn@champion",
        "none@champion",
        "none:latest",
        "churn",
        "churn:1",
    ]
    found = references.resolve(factory.call("vic"), asked)
    assert [one.reference for one in found] == asked
    named = [one.version and str(one.version.name) for one in found]
    assert named == ["churn:1", "churn:2", "churn:2", None, None, None, None, None, "churn:1"]
    assert [one.problem for one in found if one.problem] == [
        "there is no version churn:9",
        "nothing is served at an endpoint churn",
        "nothing is served at an endpoint none",
        "there is no version of a model none",
        "it is no reference: write churn:3, churn:latest, churn@champion of an endpoint, or sha256:… in full",
    ]
    others = references.resolve(factory.call("vic", "other"), asked)
    assert all(one.version is None for one in others)
    with pytest.raises(TooManyReferences, match="101 references in one call; 100 are answered"):
        references.resolve(factory.call("vic"), ["churn:1"] * 101)
    assert len(references.resolve(factory.call("vic"), ["churn:1"] * 100)) == 100
