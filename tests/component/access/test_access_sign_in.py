"""Signing in with a password, on both databases: who gets in, who is kept out, and for how long."""

import itertools
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
import structlog

from muster.access.actor import Actor, Call
from muster.access.custom_roles import CustomRoles
from muster.access.errors import RightMissing, TokenBeyond, TokenExpired, TokenRevoked, UserElsewhere, UserNotFound
from muster.access.roles import RIGHTS, AccessRole
from muster.access.service import Access
from muster.access.signing import attempts
from muster.access.signing.errors import (
    IdentityUnknown,
    NoPerson,
    NotSignedIn,
    PasswordMustChange,
    PasswordUnfit,
    PasswordWrong,
    SignInLocked,
    SignInRefused,
)
from muster.access.signing.federation import OidcSignIn
from muster.access.signing.options import ProviderOptions, SignInOptions
from muster.access.signing.passwords import Passwords
from muster.access.signing.provider import Person
from muster.access.signing.service import SignIn
from muster.access.tokens import Scope
from muster.audit.errors import IdempotencyKeyReused
from muster.audit.journal import Journal
from muster.audit.verify import verify
from muster.migrations.whole_schema import whole_schema
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import Clock, FixedClock
from muster.vocabulary.errors import MusterError
from muster.wire.plans import AccessList

FIRST = "correct horse battery"
SECOND = "staple of other words"
HOME = "192.0.2.1"
_NUMBERS = itertools.count()


class Factory:
    """Everything that takes part, and shorthands."""

    def __init__(self, database: Database, head: Path, clock: FixedClock, passwords: Passwords | None = None) -> None:
        self.database = database
        self.head = head
        self.clock = clock
        self.journal = Journal(head, clock)
        self.board = Board(database, clock)
        self.access = Access(database, self.journal, self.board, clock)
        self.signing = self.another(passwords)
        self.admin_token = self.access.bootstrap().admin.token
        for name, role in (("ana", "scientist"), ("olga", "operator"), ("shop", "consumer")):
            self.access.add_user(self.call(), name, role)

    def another(self, passwords: Passwords | None = None) -> SignIn:
        """A second control's service over the same database."""
        return SignIn(
            database=self.database,
            journal=self.journal,
            board=self.board,
            clock=self.clock,
            options=SignInOptions(),
            passwords=passwords or Passwords(memory_kib=64, passes=1),
        )

    def call(self, token: str | None = None, key: str | None = None, project: str = "default") -> Call:
        return Call(
            actor=self.access.identify(token or self.admin_token),
            project=project,
            idempotency_key=key,
            request_digest=None if key is None else f"sha256:{'0' * 64}",
        )

    def settle(self, name: str, password: str) -> str:
        """Give somebody a password of their own; the token of their first sign-in."""
        start = f"first of {name} by the admin"
        self.signing.set_password(self.call(), name, start)
        return self.signing.sign_in(name, start, address=HOME, new_password=password).token

    def refused(self, name: str, password: str, address: str = HOME) -> type[MusterError] | None:
        try:
            self.signing.sign_in(name, password, address=address)
        except MusterError as error:
            return type(error)
        return None

    def events(self, action: str = "") -> list[tuple[str, str, str]]:
        with self.database.read() as tx:
            entries = self.journal.entries(tx, limit=1000)
        return [(entry.actor, entry.action, entry.subject) for entry in entries if entry.action.startswith(action)]

    def scoring(self) -> set[str]:
        newest = self.board.newest(ACCESS_SUBJECT)
        assert newest is not None
        assert isinstance(newest.document, AccessList)
        return {entry.token_id for entry in newest.document.entries}

    def everything_kept(self) -> str:
        with self.database.read() as tx:
            return repr([tx.execute(sa.select(table)).all() for table in whole_schema().sorted_tables])


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> Factory:
    return Factory(database, tmp_path / "head.jsonl", clock)


@pytest.fixture
def small(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> Factory:
    """On SQLite alone, where the kind of database does not matter."""
    return Factory(sqlite_database, tmp_path / "head.jsonl", clock)


def test_a_password_gives_a_token_like_any(factory: Factory) -> None:
    """It identifies, is listed, published to the fronts, ends after twelve hours, and the record says how it came."""
    factory.settle("olga", FIRST)
    made = factory.signing.sign_in("olga", FIRST, address=HOME)
    assert factory.access.identify(made.token).name == "olga"
    assert made.expires_at == factory.clock.now() + timedelta(hours=12)
    olga = next(user for user in factory.access.users(factory.call()) if user.name == "olga")
    assert made.token_id in {token.token_id for token in olga.tokens}
    assert made.token_id in factory.scoring()
    assert factory.events()[-1] == ("olga", "user.signed-in", "user olga")
    factory.clock.at += timedelta(hours=12)
    with pytest.raises(TokenExpired):
        factory.access.identify(made.token)


def test_neither_database_nor_record_holds_a_password(factory: Factory) -> None:
    """Not the password, not the token, and no plain digest of either; nor what was tried in vain."""
    made = factory.settle("ana", FIRST)
    factory.refused("ana", "wrong password, really")
    factory.refused("correct-horse-in-the-wrong-field", FIRST)
    kept = factory.everything_kept()
    for secret in (
        FIRST,
        made,
        "first of ana by the admin",
        "wrong password, really",
        "correct-horse-in-the-wrong-field",
    ):
        assert secret not in kept
    assert verify(factory.database, factory.head).valid


def test_who_has_a_password_of_the_admins_can_only_change_it(factory: Factory) -> None:
    """It yields no token until another is set, and the old one is worth nothing from then on."""
    start = "set by the admin first"
    factory.signing.set_password(factory.call(), "ana", start)
    for _ in range(7):  # right attempts count for nothing
        assert factory.refused("ana", start) is PasswordMustChange
    with pytest.raises(PasswordUnfit, match="old one"):
        factory.signing.sign_in("ana", start, address=HOME, new_password=start)
    with pytest.raises(PasswordUnfit, match="12 characters"):
        factory.signing.sign_in("ana", start, address=HOME, new_password="short")
    assert factory.signing.sign_in("ana", start, address=HOME, new_password=FIRST).user == "ana"
    assert factory.refused("ana", start) is SignInRefused
    assert factory.refused("ana", FIRST) is None


def test_wrong_users_and_wrong_passwords_are_told_alike(factory: Factory) -> None:
    """Whoever is not there, has no password, is an application or was removed, and a wrong password: one and the same answer."""
    factory.settle("ana", FIRST)
    factory.settle("olga", SECOND)
    factory.access.remove_user(factory.call(), "olga")
    told = set()
    for name, password in (
        ("ana", SECOND),
        ("nobody", FIRST),
        ("admin", FIRST),
        ("shop", FIRST),
        ("olga", SECOND),
        ("muster", ""),
    ):
        with pytest.raises(SignInRefused) as refused:
            factory.signing.sign_in(name, password, address=HOME)
        told.add((refused.value.diagnostics(), repr(refused.value.facts)))
    assert len(told) == 1


def test_five_failures_lock_a_name_out_and_time_lets_it_in(factory: Factory) -> None:
    """The sixth attempt is not looked at, right or wrong; a quarter of an hour after the first failure it is; once on record."""
    factory.settle("ana", FIRST)
    begun = factory.clock.now()
    for minute in range(5):
        factory.clock.at = begun + timedelta(minutes=minute)
        assert factory.refused("ana", "wrong") is SignInRefused
    with pytest.raises(SignInLocked) as locked:
        factory.signing.sign_in("ana", FIRST, address="198.51.100.9")
    assert locked.value.facts == {"retry_after_s": 11 * 60}
    assert factory.refused("ana", "wrong") is SignInLocked
    assert factory.refused("olga", "wrong") is SignInRefused  # others are not locked out
    assert factory.events("sign-in.locked") == [("muster", "sign-in.locked", "user ana")]
    factory.clock.at = begun + timedelta(minutes=15, seconds=-1)
    assert factory.refused("ana", FIRST) is SignInLocked
    factory.clock.at += timedelta(seconds=1)
    assert factory.refused("ana", FIRST) is None
    assert factory.events("sign-in.locked") == [("muster", "sign-in.locked", "user ana")]


def test_success_forgets_the_failures_before(factory: Factory) -> None:
    """Four failures and a success, again and again, lock nobody out."""
    factory.settle("ana", FIRST)
    for _ in range(3):
        for _ in range(4):
            assert factory.refused("ana", "wrong") is SignInRefused
        assert factory.refused("ana", FIRST) is None
    assert factory.events("sign-in.locked") == []


def test_names_that_are_nobodys_are_locked_out_as_well(factory: Factory) -> None:
    """Else a lock-out would tell who there is; the record does not repeat what may be a password in the wrong field."""
    for _ in range(5):
        assert factory.refused("hunter-two-of-old", "x") is SignInRefused
    assert factory.refused("hunter-two-of-old", "x") is SignInLocked
    assert factory.events("sign-in.locked") == [("muster", "sign-in.locked", "an unknown user")]
    assert "hunter-two-of-old" not in factory.everything_kept()


def test_fifty_failures_lock_an_address_out(factory: Factory) -> None:
    """However many names are tried, an address has fifty attempts; other addresses are not locked out, and it is once on record."""
    factory.settle("ana", FIRST)
    for number in range(50):
        assert factory.refused(f"guess-{number}", "x", "203.0.113.5") is SignInRefused
    assert factory.refused("guess-51", "x", "203.0.113.5") is SignInLocked
    assert factory.refused("ana", FIRST, "203.0.113.5") is SignInLocked
    assert factory.refused("ana", FIRST) is None
    assert factory.events("sign-in.locked") == [("muster", "sign-in.locked", "address 203.0.113.5")]


def test_own_successes_buy_an_address_no_guesses_at_others(factory: Factory) -> None:
    """Who signs in in between does not get more attempts at other names."""
    factory.settle("olga", FIRST)
    for number in range(50):
        assert factory.refused(f"guess-{number}", "x") is SignInRefused
        if number < 49:
            assert factory.refused("olga", FIRST) is None
    assert factory.refused("guess-50", "x") is SignInLocked


def test_attempts_at_the_same_moment_are_counted_one_by_one(factory: Factory) -> None:
    """Of thirty at once, over two services, five are looked at."""
    factory.settle("ana", FIRST)
    services = [factory.signing, factory.another()]
    begin = threading.Barrier(30)

    def attempt(number: int) -> type[MusterError] | None:
        begin.wait(30)
        try:
            services[number % 2].sign_in("ana", f"guess {number}", address=f"198.51.100.{number}")
        except MusterError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(30) as pool:
        outcomes = list(pool.map(attempt, range(30)))
    assert outcomes.count(SignInRefused) == attempts.MOST_PER_USER
    assert outcomes.count(SignInLocked) == 30 - attempts.MOST_PER_USER
    assert factory.events("sign-in.locked") == [("muster", "sign-in.locked", "user ana")]


_GUESSING = """
import sys
from ipaddress import ip_address
from pathlib import Path
from muster.access.signing.errors import SignInLocked, SignInRefused
from muster.access.signing.options import SignInOptions
from muster.access.signing.passwords import Passwords
from muster.access.signing.service import SignIn
from muster.audit.journal import Journal
from muster.publishing.board import Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import SystemClock

url, folder, who = sys.argv[1:]
clock, database = SystemClock(), Database(url)
service = SignIn(
    database=database, journal=Journal(Path(folder) / "head.jsonl", clock), board=Board(database, clock), clock=clock,
    options=SignInOptions(), passwords=Passwords(memory_kib=64, passes=1),
)
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    try:
        service.sign_in("ana", f"guess {number} of {who}", address=f"198.51.100.{number}")
    except (SignInRefused, SignInLocked) as error:
        print(type(error).__name__, flush=True)
"""


def test_two_control_processes_count_together(database: Database, tmp_path: Path, clock: FixedClock) -> None:
    """Guessing at two doors gives no more guesses than at one."""
    factory = Factory(database, tmp_path / "head.jsonl", clock)
    factory.settle("ana", FIRST)
    script = tmp_path / "guessing.py"
    script.write_text(_GUESSING)
    guessers = [
        subprocess.Popen(
            [sys.executable, str(script), database.url, str(tmp_path), who],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for who in ("one", "two")
    ]  # fmt: skip
    outcomes: list[str] = []
    for guesser in guessers:
        assert guesser.stdout is not None
        assert guesser.stdout.readline() == "ready\n"
    for guesser in guessers:
        assert guesser.stdin is not None
        guesser.stdin.write("\n")
        guesser.stdin.flush()
    for guesser in guessers:
        told, _ = guesser.communicate(timeout=120)
        assert guesser.returncode == 0
        outcomes += told.split()
    assert (outcomes.count("SignInRefused"), outcomes.count("SignInLocked")) == (attempts.MOST_PER_USER, 75)
    assert factory.events("sign-in.locked") == [("muster", "sign-in.locked", "user ana")]


def test_setting_ones_own_password_takes_the_old_one(factory: Factory) -> None:
    """A stolen token alone changes nothing, and guessing at the old password is counted like signing in."""
    token = factory.settle("ana", FIRST)
    other = factory.signing.sign_in("ana", FIRST, address=HOME)
    with pytest.raises(PasswordWrong):
        factory.signing.set_own_password(factory.call(token), SECOND, "not the old one", address=HOME)
    with pytest.raises(PasswordUnfit, match="old one"):
        factory.signing.set_own_password(factory.call(token), FIRST, FIRST, address=HOME)
    gone = factory.signing.set_own_password(factory.call(token), SECOND, FIRST, address=HOME)
    assert gone.token_ids == (other.token_id,)
    with pytest.raises(TokenRevoked):
        factory.access.identify(other.token)
    assert factory.access.identify(token).name == "ana"
    assert factory.refused("ana", FIRST) is SignInRefused
    for _ in range(4):
        with pytest.raises(PasswordWrong):
            factory.signing.set_own_password(factory.call(token), FIRST, "guess", address=HOME)
    with pytest.raises(SignInLocked):
        factory.signing.set_own_password(factory.call(token), FIRST, SECOND, address=HOME)


def test_without_a_password_the_first_comes_from_an_admin(factory: Factory) -> None:
    """A token that was got elsewhere is not turned into a password by its holder."""
    ana = factory.access.new_token(factory.call(), "ana")
    with pytest.raises(PasswordWrong):
        factory.signing.set_own_password(factory.call(ana.token), FIRST, "", address=HOME)


def test_admins_set_their_own_without_the_old_one(factory: Factory) -> None:
    """For good: whoever may add admins gains nothing by it, and one who forgot the password has a way back."""
    factory.signing.set_password(factory.call(), "admin", FIRST)
    assert factory.refused("admin", FIRST) is None
    factory.signing.set_password(factory.call(), "admin", SECOND)
    assert (factory.refused("admin", FIRST), factory.refused("admin", SECOND)) == (SignInRefused, None)


def test_an_admin_ends_what_was_got_with_the_old_password(factory: Factory) -> None:
    """Tokens of sign-ins end with the password; those that were given out do not."""
    token = factory.settle("ana", FIRST)
    given = factory.access.new_token(factory.call(), "ana")
    assert len(factory.signing.set_password(factory.call(), "ana", "another by the admin").token_ids) == 1
    with pytest.raises(TokenRevoked):
        factory.access.identify(token)
    assert factory.access.identify(given.token).name == "ana"


def test_who_may_set_whose_password(factory: Factory) -> None:
    """Admins of the user's only project; nobody's of an application, and nobody in a project that the user is not in."""
    token = factory.settle("ana", FIRST)
    for name in ("ana", "olga", "admin"):
        with pytest.raises(RightMissing):
            factory.signing.set_password(factory.call(token), name, SECOND)
    with pytest.raises(NoPerson):
        factory.signing.set_password(factory.call(), "shop", SECOND)
    with pytest.raises(UserNotFound):
        factory.signing.set_password(factory.call(), "nobody", SECOND)
    admin = factory.call()
    actor = Actor(name="admin", roles={"risk": AccessRole.ADMIN}, token_id=admin.actor.token_id)
    elsewhere = replace(admin, project="risk", actor=actor)
    with pytest.raises(UserNotFound):
        factory.signing.set_password(elsewhere, "ana", SECOND)
    factory.access.add_user(elsewhere, "ana", "viewer")
    for call in (elsewhere, factory.call()):
        with pytest.raises(UserElsewhere):
            factory.signing.set_password(call, "ana", SECOND)


@pytest.mark.parametrize(
    ("scope", "minutes", "error"),
    [
        (Scope(endpoints=("churn",)), None, RightMissing),
        (Scope(project="default"), None, TokenBeyond),
        (Scope(rights=RIGHTS[AccessRole.ADMIN]), None, TokenBeyond),
        (Scope(), 5, TokenBeyond),
    ],
    ids=["endpoints", "project", "rights", "expiry"],
)
def test_a_limited_token_opens_no_way_to_sign_in_as_its_holder(
    factory: Factory, scope: Scope, minutes: int | None, error: type[MusterError]
) -> None:
    """What signs in has no limits and comes again tomorrow: neither a password nor an identity; others' are as they were."""
    ends = None if minutes is None else factory.clock.now() + timedelta(minutes=minutes)
    limited = factory.access.new_token(factory.call(), "admin", ends, scope=scope)
    call = factory.call(limited.token)
    corp = ProviderOptions(
        name="corp", issuer="https://i", client_id="muster", client_secret_file=None, scopes=(),
        claim="preferred_username", known_names=False, groups_claim="", groups=(), joins={}, origins=(),
    )  # fmt: skip
    federation = OidcSignIn(
        database=factory.database,
        journal=factory.journal,
        board=factory.board,
        clock=factory.clock,
        options=SignInOptions(providers=(corp,)),
    )
    with pytest.raises(error):
        factory.signing.set_password(call, "admin", FIRST)
    with pytest.raises(error):
        federation.bind(call, "admin", "https://i", "s")
    assert factory.events("password") == factory.events("identity") == []
    if error is TokenBeyond:
        factory.signing.set_password(call, "ana", FIRST)
        assert federation.bind(call, "ana", "https://i", "of ana").user == "ana"
    assert federation.bind(factory.call(), "admin", "https://i", "s").user == "admin"


def test_a_repeated_order_is_carried_out_once(factory: Factory) -> None:
    """With the same key and password nothing is done again; with another password the key is refused; own and others'."""
    for _ in range(3):
        factory.signing.set_password(factory.call(key="k1"), "ana", "set by the admin first")
    assert len(factory.events("password.set")) == 1
    with pytest.raises(IdempotencyKeyReused):
        factory.signing.set_password(factory.call(key="k1"), "ana", "another by the admin")
    with pytest.raises(IdempotencyKeyReused):
        factory.signing.set_password(factory.call(key="k1"), "olga", "set by the admin first")
    token = factory.signing.sign_in("ana", "set by the admin first", address=HOME, new_password=FIRST).token
    for _ in range(6):
        factory.signing.set_own_password(factory.call(token, key="k2"), SECOND, FIRST, address=HOME)
    assert [actor for actor, _, _ in factory.events("password.set")] == ["admin", "ana", "ana"]
    with pytest.raises(PasswordWrong):
        factory.signing.set_own_password(factory.call(token, key="k3"), "yet another one", FIRST, address=HOME)


class ClaimingProvider:
    """Vouches for whoever comes, by the name that the code says."""

    def __init__(self, told: ProviderOptions, _clock: Clock) -> None:
        self.options = told

    def authorization_url(self, *, callback: str, state: str, nonce: str, challenge: str) -> str:
        return f"{callback}?state={state}"

    def check_answer(self, issuer: str | None) -> None:
        """Whatever it is."""

    def person(self, *, code: str, **_: object) -> Person:
        return Person(subject=f"s-{code}", claimed=code, groups=())


def test_who_manages_or_decides_is_never_bound_by_a_claim(factory: Factory) -> None:
    """At many providers people choose what they are called: rights over people and voices at gates are bound by an admin."""
    corp = ProviderOptions(
        name="corp", issuer="https://i", client_id="muster", client_secret_file=None, scopes=(),
        claim="preferred_username", known_names=True, groups_claim="", groups=(), joins={}, origins=(),
    )  # fmt: skip
    federation = OidcSignIn(
        database=factory.database,
        journal=factory.journal,
        board=factory.board,
        clock=factory.clock,
        options=SignInOptions(providers=(corp,)),
        make_provider=cast("Any", ClaimingProvider),
    )
    roles = CustomRoles(factory.database, factory.journal, factory.board, factory.clock)

    def signs_in(name: str) -> bool:
        begun = federation.begin("corp", address=HOME)
        state = begun.url.partition("state=")[2]
        shown = federation.come_back(state=state, code=name, problem=None, issuer=None)
        try:
            federation.finish(begun.handle, shown.code)
        except IdentityUnknown:
            return False
        return True

    strong = (
        "manage-users", "manage-groups", "accept", "approve", "adopt-standard", "confirm-break-glass", "waive",
    )  # fmt: skip
    for right in strong:
        roles.put(factory.call(), f"has-{right}", ["read", right])
        factory.access.add_user(factory.call(), f"u-{right}", f"has-{right}")
    factory.access.add_user(factory.call(), "paul", "approver")
    refused = ["admin", "paul", *(f"u-{right}" for right in strong)]
    assert {name: signs_in(name) for name in (*refused, "ana", "olga")} == {
        **dict.fromkeys(refused, False), "ana": True, "olga": True,
    }  # fmt: skip
    federation.bind(factory.call(), "paul", "https://i", "s-paul")
    assert signs_in("paul")


def test_a_key_tells_nobody_what_a_password_has_become(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who set a password once learns by repeating the order nothing of what it was changed to: nothing is compared."""
    factory.signing.set_password(factory.call(key="k1"), "ana", FIRST)
    factory.clock.at += timedelta(seconds=1)
    factory.signing.sign_in("ana", FIRST, address=HOME, new_password=SECOND)
    before = factory.events()
    compared: list[str] = []
    fits = Passwords.fits

    def noted(self: Passwords, kept: str | None, said: str) -> bool:
        compared.append(said)
        return fits(self, kept, said)

    monkeypatch.setattr(Passwords, "fits", noted)
    for guess in ("a guess of some words", FIRST, SECOND):
        with pytest.raises(IdempotencyKeyReused):
            factory.signing.set_password(factory.call(key="k1"), "ana", guess)
    # The admin's own word is no secret from the admin, but an older key does not stand for it.
    factory.signing.set_password(factory.call(key="k2"), "ana", FIRST)
    with pytest.raises(IdempotencyKeyReused):
        factory.signing.set_password(factory.call(key="k1"), "ana", FIRST)
    assert compared == []
    assert factory.signing.set_password(factory.call(key="k2"), "ana", FIRST).token_ids == ()
    assert factory.events() == [*before, ("admin", "password.set", "user ana")]


def test_no_digest_of_a_password_is_on_record(factory: Factory) -> None:
    """The digest that goes with an idempotency key is the same whatever the password is."""
    factory.signing.set_password(factory.call(key="k1"), "ana", FIRST)
    factory.signing.set_password(factory.call(key="k2"), "ana", SECOND)
    with factory.database.read() as tx:
        digests = {
            entry.request_digest for entry in factory.journal.entries(tx, limit=1000) if entry.action == "password.set"
        }
    assert len(digests) == 1


def test_signing_out_ends_the_token_and_nothing_else(factory: Factory) -> None:
    """The last admin may sign out, too: who signed in can sign in again. A token that was given out is not ended so."""
    factory.signing.set_password(factory.call(), "admin", FIRST)
    one, two = (factory.signing.sign_in("admin", FIRST, address=HOME) for _ in range(2))
    call = factory.call(one.token)
    assert factory.signing.sign_out(call).token_ids == (one.token_id,)
    assert factory.signing.sign_out(call).token_ids == ()
    with pytest.raises(TokenRevoked):
        factory.access.identify(one.token)
    assert factory.access.identify(two.token).name == "admin"
    with pytest.raises(NotSignedIn):
        factory.signing.sign_out(factory.call())
    assert factory.events("user.signed-out") == [("admin", "user.signed-out", "user admin")]


def test_removed_people_are_out_at_once(factory: Factory) -> None:
    """Their tokens end, and their password opens nothing any more, even one that is looked at while they are removed."""
    token = factory.settle("ana", FIRST)
    factory.access.remove_user(factory.call(), "ana")
    with pytest.raises(TokenRevoked):
        factory.access.identify(token)
    assert factory.refused("ana", FIRST) is SignInRefused


class Meddling(Passwords):
    """Hashes as ever, and does something right after a password was found to fit: between two transactions of a sign-in."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, passes=1)
        self.meanwhile: Callable[[], object] = lambda: None

    def fits(self, kept: str | None, password: str) -> bool:
        found = super().fits(kept, password)
        deed, self.meanwhile = self.meanwhile, lambda: None
        deed()
        return found


@pytest.mark.parametrize("what", ["removed", "password"])
def test_what_changes_while_a_password_is_looked_at_counts(
    database: Database, tmp_path: Path, clock: FixedClock, what: str
) -> None:
    """A user who is removed, or whose password is changed, between the look and the token gets none."""
    meddling = Meddling()
    factory = Factory(database, tmp_path / "head.jsonl", clock, meddling)
    factory.settle("ana", FIRST)
    plain = factory.another()
    if what == "removed":
        meddling.meanwhile = lambda: factory.access.remove_user(factory.call(), "ana")
    else:
        meddling.meanwhile = lambda: plain.set_password(factory.call(), "ana", "another by the admin")
    assert factory.refused("ana", FIRST) is SignInRefused
    assert len(factory.events("user.signed-in")) == 1


def test_old_hashes_are_renewed_by_signing_in(small: Factory) -> None:
    """When parameters rise, a password is kept under the new ones after its next use, and goes on fitting."""
    small.settle("ana", FIRST)
    dearer = small.another(Passwords(memory_kib=128, passes=2))
    assert dearer.sign_in("ana", FIRST, address=HOME).user == "ana"
    assert "m=128,t=2" in small.everything_kept()
    assert "m=64,t=1" not in small.everything_kept()
    assert small.another().sign_in("ana", FIRST, address=HOME).user == "ana"


def test_nothing_that_is_logged_holds_a_password(small: Factory) -> None:
    """Failures are logged with the address and no more."""
    with structlog.testing.capture_logs() as logs:
        small.settle("ana", FIRST)
        small.refused("ana", "wrong password, really")
        small.refused("in-the-wrong-field", FIRST)
    assert [entry["event"] for entry in logs].count("sign-in.refused") == 2
    assert not re.search(f"{FIRST}|wrong password, really|in-the-wrong-field|mst_", repr(logs))


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts without end, to measure many."""
    monkeypatch.setattr(attempts, "MOST_PER_USER", 10**6)
    monkeypatch.setattr(attempts, "MOST_PER_ADDRESS", 10**6)


@pytest.mark.usefixtures("unlimited")
def test_time_does_not_tell_who_there_is(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> None:
    """With the real parameters, the median of refusals of somebody who is there and of nobody are within a tenth of each other.

    Both are measured in turn, so that a busy machine slows both; without the hash that fits nothing, the ratio is above ten.
    """
    factory = Factory(sqlite_database, tmp_path / "head.jsonl", clock, Passwords())
    factory.settle("ana", FIRST)
    took: dict[str, list[float]] = {"ana": [], "nobody": [], "olga": [], "shop": []}
    for number in range(21):
        for name, spent in took.items():
            begun = time.process_time()  # the processor's time: what others do on the machine is not in it
            assert factory.refused(name, f"wrong {number}") is SignInRefused
            spent.append(time.process_time() - begun)
    there = statistics.median(took.pop("ana"))
    assert there > 0.02  # it costs something at all
    for name, spent in took.items():
        assert 0.9 < statistics.median(spent) / there < 1.1, name
