"""The lives of versions and releases as a state machine: people, fronts and crashes in any order."""

import itertools
import shutil
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from governed_factory import GovernedFactory, ObedientFront
from muster.audit.verify import verify
from muster.registry.errors import VersionInUse, VersionStateUnfit
from muster.registry.records import Version
from muster.release.errors import (
    NothingToRollBackTo,
    ReleaseStateUnfit,
    RollBackRefused,
    SwitchUnderWay,
    VersionNotReleasable,
)
from muster.release.records import Release
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.states import RELEASE_MOVES, VERSION_MOVES, ReleaseState, VersionState

_COPIES = itertools.count()


def reachable(moves: dict[ReleaseState, frozenset[ReleaseState]]) -> dict[ReleaseState, set[ReleaseState]]:
    """What may have been become of a state in any number of moves."""
    found = {state: {state} for state in moves}
    for _ in moves:
        for state in moves:
            found[state] |= {far for near in found[state] for far in moves[near]}
    return found


RELEASES = reachable(RELEASE_MOVES)
NUMBERS = st.integers(1, 4)


class Lives(RuleBasedStateMachine):
    """One endpoint, four versions, two fronts."""

    template: ClassVar[GovernedFactory]
    versions: ClassVar[list[Version]]

    def __init__(self) -> None:
        super().__init__()
        template = self.template
        path = template.folder / f"lives-{next(_COPIES)}.db"
        shutil.copyfile(template.folder / "muster.db", path)
        head = path.with_suffix(".jsonl")
        self.database = Database(f"sqlite:///{path}")
        self.factory = GovernedFactory(self.database, template.folder, FixedClock(template.clock.at))
        self.factory.head = head
        self.factory.start()
        self.known: dict[int, ReleaseState] = {}
        self.states = {version.name: VersionState.ACCEPTED for version in self.versions}
        self.fronts = [ObedientFront(self.factory, f"front-{number}") for number in range(2)]

    def teardown(self) -> None:
        verdict = verify(self.database, self.factory.head)
        assert verdict.valid, verdict.problem
        self.database.close()

    def releases(self) -> tuple[Release, ...]:
        if not self.factory.releases.endpoints(self.factory.call("vic")):
            return ()
        return self.factory.releases.releases(self.factory.call("vic"), "churn")

    def current(self) -> Release | None:
        return next((release for release in self.releases() if release.current), None)

    def in_state(self, state: ReleaseState) -> list[Release]:
        return [release for release in self.releases() if release.state is state]

    # People.

    @initialize()
    def begin(self) -> None:
        self.factory.propose(self.versions[0])

    @rule(picked=st.permutations([0, 1, 2, 3]), count=st.integers(1, 3))
    def propose(self, picked: list[int], count: int) -> None:
        versions = [self.versions[index] for index in picked[:count]]
        if all(self.states[version.name] is VersionState.ACCEPTED for version in versions):
            self.factory.propose(*versions)
        else:
            with pytest.raises(VersionNotReleasable):
                self.factory.propose(*versions)

    @rule(number=NUMBERS)
    def approve(self, number: int) -> None:
        release = self.numbered(number)
        if release is None:
            return
        ended = [name for name in release.versions if self.states[name] is not VersionState.ACCEPTED]
        if release.state is not ReleaseState.PROPOSED:
            self.refused(ReleaseStateUnfit, self.factory.approve, release)
        elif any(not other.current for other in self.in_state(ReleaseState.APPROVED)):
            self.refused(SwitchUnderWay, self.factory.approve, release)
        elif ended:
            self.refused(VersionNotReleasable, self.factory.approve, release)
        else:
            assert self.factory.approve(release).state is ReleaseState.APPROVED

    @rule(number=NUMBERS)
    def reject(self, number: int) -> None:
        release = self.numbered(number)
        if release is not None and release.state is ReleaseState.PROPOSED:
            self.factory.releases.reject(self.factory.call("paul"), "churn", release.number, "no")

    @rule(number=NUMBERS)
    def withdraw(self, number: int) -> None:
        release = self.numbered(number)
        if release is None:
            return
        call = self.factory.call("ana")
        loading = release.state is ReleaseState.APPROVED and not release.current
        if release.state is ReleaseState.PROPOSED or loading:
            self.factory.releases.withdraw(call, "churn", release.number, "mistake")
        else:
            self.refused(ReleaseStateUnfit, self.factory.releases.withdraw, call, "churn", release.number, "mistake")

    @rule(number=st.none() | NUMBERS)
    def roll_back(self, number: int | None) -> None:
        self.factory.seconds.now += 11  # no front is connected, so that nobody is waited for
        release = None if number is None else self.numbered(number)
        if number is not None and release is None:
            return
        to = None if release is None else release.number
        try:
            done = self.factory.releases.rollback(self.factory.call("olga"), "churn", "worse", to=to)
        except (RollBackRefused, NothingToRollBackTo):
            return
        current = self.current()
        assert current is not None
        assert (current.number, current.state) == (done.to, ReleaseState.LIVE)
        assert done.to != done.from_
        if to is None:
            history = self.factory.releases.history(self.factory.call("vic"), "churn")
            came = list(dict.fromkeys(pointer.release for pointer in reversed(history)))
            assert came.index(done.to) < came.index(done.from_), "only backwards"
        assert not any(self.states[name] is VersionState.BANNED for name in current.versions)

    @rule(index=st.integers(0, 3))
    def ban(self, index: int) -> None:
        version = self.versions[index]
        if self.states[version.name] is VersionState.BANNED:
            self.refused(VersionStateUnfit, self.factory.registry.ban, self.factory.call("paul"), version.name, "bad")
        else:
            self.factory.registry.ban(self.factory.call("paul"), version.name, "bad")

    @rule(index=st.integers(0, 3))
    def retire(self, index: int) -> None:
        version = self.versions[index]
        in_use = any(
            version.name in release.versions
            for release in self.releases()
            if release.current or release.state is ReleaseState.APPROVED
        )
        call = self.factory.call("paul")
        if in_use:
            self.refused(VersionInUse, self.factory.registry.retire, call, version.name, "old")
        elif self.states[version.name] is VersionState.ACCEPTED:
            self.factory.registry.retire(call, version.name, "old")

    # Fronts, and what happens to processes.

    @rule(front=st.integers(0, 1))
    def front_follows(self, front: int) -> None:
        self.fronts[front].follow()

    @rule()
    def all_follow(self) -> None:
        for front in (*self.fronts, *self.fronts):
            front.follow()

    @rule(front=st.integers(0, 1))
    def front_cannot_load(self, front: int) -> None:
        for release in self.in_state(ReleaseState.APPROVED):
            self.fronts[front].fails[release.number] = "golden rows differ"
        self.fronts[front].follow()
        self.fronts[front].fails.clear()

    @rule(seconds=st.sampled_from([0.5, 11]))
    def time_passes(self, seconds: float) -> None:
        self.factory.seconds.now += seconds
        self.factory.releases.advance()

    @rule()
    def control_starts_anew(self) -> None:
        self.factory.start()
        self.factory.releases.advance()

    # What always holds.

    @invariant()
    def moves_are_legal(self) -> None:
        for release in self.releases():
            assert release.state in RELEASES[self.known.get(release.number, ReleaseState.PROPOSED)]
            self.known[release.number] = release.state
        for version in self.versions:
            state = self.factory.state(version)
            before = self.states[version.name]
            assert state is before or state in VERSION_MOVES[before]
            self.states[version.name] = state

    @invariant()
    def one_is_current_and_one_at_most_is_coming(self) -> None:
        found = self.releases()
        assert [release.number for release in found] == list(range(len(found), 0, -1))
        current = [release for release in found if release.current]
        assert len(current) <= 1
        assert len([release for release in self.in_state(ReleaseState.APPROVED) if not release.current]) <= 1
        assert len(self.in_state(ReleaseState.LIVE)) <= 1
        for release in current:
            assert release.state in {ReleaseState.LIVE, ReleaseState.APPROVED}
        for release in self.in_state(ReleaseState.LIVE):
            coming = [other for other in current if other.state is ReleaseState.APPROVED]
            assert release.current or coming
        assert all((release.state is ReleaseState.FAILED) == (release.failure is not None) for release in found)

    @invariant()
    def the_fronts_are_told_what_is_on_record(self) -> None:
        if not self.factory.board.since(0).publications:
            assert self.current() is None
            return
        plans = self.factory.plans()
        current = self.current()
        assert (plans.serving and plans.serving.release) == (current and current.number)
        loading = [release.number for release in self.in_state(ReleaseState.APPROVED) if not release.current]
        assert ([plans.loading.release] if plans.loading else []) == loading
        if plans.warm is not None:
            warm = self.numbered_exactly(plans.warm.release)
            assert warm.live_at is not None
            assert not any(self.states[name] is VersionState.BANNED for name in warm.versions)
        named = {
            variant.version
            for plan in (plans.serving, plans.loading, plans.warm)
            if plan is not None
            for variant in plan.variants
        }
        banned = {str(name) for name, state in self.states.items() if state is VersionState.BANNED}
        assert set(plans.banned) == named & banned

    def numbered(self, nth_newest: int) -> Release | None:
        """The n-th newest release: the newest ones are where things happen."""
        found = self.releases()
        return found[nth_newest - 1] if nth_newest <= len(found) else None

    def numbered_exactly(self, number: int) -> Release:
        return next(release for release in self.releases() if release.number == number)

    @staticmethod
    def refused(error: type[Exception], deed: object, *arguments: object) -> None:
        with pytest.raises(error):
            deed(*arguments)  # type: ignore[operator]


@pytest.fixture
def template(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(sqlite_database, tmp_path, clock)


def test_versions_and_releases_keep_to_their_lives(template: GovernedFactory) -> None:
    """Whatever people, fronts and crashes do, and in whatever order, what is on record and what is published hold together."""
    accepted = [template.accepted() for _ in range(4)]
    template.head.unlink()  # every story writes its own
    template.database.close()

    class Here(Lives):
        versions = accepted

    Here.template = template
    run_state_machine_as_test(Here, settings=settings(max_examples=25, stateful_step_count=30, deadline=None))
