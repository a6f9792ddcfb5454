"""Which passwords are taken, and how they are kept."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.access.signing.errors import PasswordUnfit, SignInBusy
from muster.access.signing.passwords import MOST_BYTES, Passwords, checked_password

CHEAP = Passwords(memory_kib=64, passes=1)
GOOD = "correct horse battery"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "12 characters"),
        ("elevenchars", "12 characters"),
        ("a" * 12, "over and over"),
        ("ab" * (MOST_BYTES // 2) + "c", "1024 bytes"),
        ("ä" * 600 + "b", "1024 bytes"),
        ("maria-magdalena", "name"),
        ("Maria-Magdalena", "name"),
        ("with a line\nbreak in it", "control"),
        ("with a nothing\0 in it", "control"),
        ("half a pair \ud800 here", "control"),
        (GOOD, "old one"),
    ],
)
def test_unfit_passwords_are_refused_without_being_repeated(password: str, why: str) -> None:
    """Each rule says itself, and no message holds what was typed."""
    with pytest.raises(PasswordUnfit, match=why) as refused:
        checked_password(password, user="maria-magdalena", old=GOOD)
    assert len(password) < 3 or password not in refused.value.diagnostics()


@pytest.mark.parametrize(
    "password", ["twelve chars", "пароль из слов", "🐎🔋📎🙂🐎🔋📎🙂🐎🔋📎🙂", "x" * 1023 + "y", " " * 11 + "a"]
)
def test_other_passwords_are_taken(password: str) -> None:
    """Twelve characters of any script are enough; spaces count."""
    assert CHEAP.fits(CHEAP.hashed(checked_password(password, user="ana")), password)


def test_accents_fit_however_a_keyboard_composes_them() -> None:
    """One letter with its accent, and letter and accent, are the same password."""
    assert CHEAP.fits(
        CHEAP.hashed(checked_password("t\u00eate-\u00e0-t\u00eate deux", user="ana")),
        "te\u0302te-a\u0300-te\u0302te deux",
    )


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_only_the_password_fits_its_hash(one: str, other: str) -> None:
    """Another text never fits, and neither does anything fit whoever has none."""
    kept = CHEAP.hashed(one)
    assert kept.startswith("$argon2id$")
    assert CHEAP.fits(kept, one)
    assert CHEAP.fits(kept, other) == (one == other) or one.encode("utf-8", "surrogatepass") != other.encode(
        "utf-8", "surrogatepass"
    )
    assert not CHEAP.fits(None, one)


def test_the_hash_of_nobody_costs_what_a_real_one_does() -> None:
    """The hash that is tried for an unknown name has the very parameters of a new one."""
    passwords = Passwords()
    kept = passwords.hashed(GOOD)
    assert passwords._fits_nothing.rsplit("$", 2)[0] == kept.rsplit("$", 2)[0] == "$argon2id$v=19$m=65536,t=3,p=1"
    assert [len(part) for part in passwords._fits_nothing.split("$")] == [len(part) for part in kept.split("$")]
    assert not passwords.is_outdated(kept)


def test_hashes_of_other_parameters_are_outdated_but_fit() -> None:
    """When parameters rise, old passwords go on fitting."""
    kept = CHEAP.hashed(GOOD)
    dearer = Passwords(memory_kib=128, passes=2)
    assert dearer.is_outdated(kept)
    assert dearer.fits(kept, GOOD)
    assert not dearer.is_outdated(dearer.hashed(GOOD))


def test_a_damaged_hash_fits_nothing() -> None:
    """What is no hash lets nobody in, and is no fault."""
    assert not CHEAP.fits("plain text", "plain text")


def test_a_flood_takes_no_more_memory_than_it_may() -> None:
    """Whoever has to wait too long for a turn is told so; turns are given back."""
    passwords = Passwords(memory_kib=64, passes=1, at_once=2, patience_s=0.05)
    inside, leave = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with passwords._turn():
            inside.wait(10)
            leave.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    with pytest.raises(SignInBusy) as told:
        passwords.fits(None, GOOD)
    assert told.value.facts["retry_after_s"] == 1
    leave.set()
    for thread in threads:
        thread.join()
    assert passwords.fits(passwords.hashed(GOOD), GOOD)
