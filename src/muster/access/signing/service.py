"""Signing in with a password, signing out, and setting passwords."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from muster.access import store as users
from muster.access.actor import Call
from muster.access.changes import Changes, require_lasting, require_within
from muster.access.errors import UserElsewhere, UserNotFound
from muster.access.roles import Right
from muster.access.signing import store
from muster.access.signing.addresses import caller_address
from muster.access.signing.attempts import Attempt, Attempts
from muster.access.signing.errors import (
    NoPerson,
    NotSignedIn,
    PasswordMustChange,
    PasswordWrong,
    SignInBusy,
    SignInRefused,
)
from muster.access.signing.options import SignInOptions
from muster.access.signing.passwords import Passwords, checked_password
from muster.access.signing.records import Password, SignedIn
from muster.access.signing.session_tokens import end_tokens, give_token
from muster.access.tokens import WHOLE
from muster.access.users import Revoked, rights_by_project
from muster.audit.entries import Deed, Entry
from muster.audit.errors import IdempotencyKeyReused
from muster.audit.journal import Journal
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.errors import WriteConflict
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import DEFAULT_PROJECT

WAY = "password"
log = structlog.get_logger()


class SignIn:
    """Lets people in who know their password.

    Args:
        database: where passwords are kept.
        journal: where it is put on record that somebody signed in.
        board: where the fronts learn of the new token.
        clock: tells when.
        options: what the settings say.
        passwords: hashes them.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        board: Board,
        clock: Clock,
        options: SignInOptions,
        passwords: Passwords,
    ) -> None:
        self._database = database
        self._journal = journal
        self._board = board
        self._clock = clock
        self._options = options
        self._passwords = passwords
        self._attempts = Attempts(database, journal, clock)

    def address_of(self, peer: str | None, forwarded: Iterable[str]) -> str:
        """The address that a caller's attempts are counted under; see `addresses`."""
        return caller_address(peer, forwarded, self._options.trusted_proxies)

    def sign_in(self, name: str, password: str, *, address: str, new_password: str | None = None) -> SignedIn:
        """A token for whoever knows the password.

        Args:
            name: of the user.
            password: the user's.
            address: what `address_of` gave.
            new_password: is set in its place; has to be given where an admin set the password.

        Raises:
            SignInRefused: there is no such person, or the password is another: which of them is not said, nor can it be timed.
            SignInLocked: there were too many failed attempts, at this name or from this address.
            PasswordMustChange: the password is right, and good for nothing but setting another.
            PasswordUnfit: the new password may not be one.
        """
        new = None if new_password is None else checked_password(new_password, user=name, old=password)
        attempt = self._attempts.begin(name, address)
        held = self._tried(name, password, attempt)
        if held is None:
            raise SignInRefused("user and password do not go together")
        if held.must_change and new is None:
            self._take_back(attempt)
            raise PasswordMustChange(
                f"the password of {name} was set by {held.set_by} and has to be changed", user=name
            )
        kept = self._kept_instead(held, password, new)
        with self._database.write() as tx:
            self._attempts.forget(tx, attempt)
            changes = Changes(tx, self._clock)
            if store.password_of(tx, name) != held:
                raise SignInRefused("user and password do not go together any more")
            now = self._clock.now()
            ended: tuple[str, ...] = ()
            if new is not None:
                store.keep_password(tx, Password(user=name, hash=kept, set_at=now, set_by=name, must_change=False))
                ended = end_tokens(tx, changes, name)
            elif kept != held.hash:
                store.rehash(tx, name, kept)
            made = give_token(tx, changes, name, way=WAY, now=now, lasts=self._options.token_lasts)
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            if new is not None:
                self._journal.append(tx, _deed(name, "password.set", name, _password_details(ended, must_change=False)))
            self._journal.append(tx, signed_in_deed(made, WAY))
        return made

    def sign_out(self, call: Call) -> Revoked:
        """End the token of the call, which was got by signing in.

        Unlike other revocations it may be an admin's last: whoever signed in can sign in again.

        Raises:
            NotSignedIn: it was not.
        """
        name, token_id = call.actor.name, call.actor.token_id
        with self._database.write() as tx:
            changes = Changes(tx, self._clock)
            if token_id not in store.signed_in_tokens(tx, name):
                raise NotSignedIn(f"the token {token_id} of {name} was not got by signing in", token_id=token_id)
            token = users.token_with_id(tx, token_id)
            if token is None or token.revoked_at is not None:
                return Revoked(user=name, token_ids=())
            ended = changes.revoke([token])
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            self._journal.append(tx, _deed(name, "user.signed-out", name, {"token_id": token_id}))
        return Revoked(user=name, token_ids=ended)

    def set_own_password(self, call: Call, password: str, old: str, *, address: str) -> Revoked:
        """Set one's own password in place of the old one; every other token got by signing in ends, and is named.

        Raises:
            PasswordWrong: the old one is another, or there is none: the first is set by an admin.
            SignInLocked: there were too many failed attempts.
            PasswordUnfit: the new one may not be a password.
        """
        name = call.actor.name
        new = checked_password(password, user=name, old=old)
        attempt = self._attempts.begin(name, address)
        if (held := self._tried(name, old, attempt)) is None:
            # A repetition comes with an old password that is none any more: it is judged by the new one.
            if (repeated := self._done_before(call, name, new)) is not None:
                self._take_back(attempt)
                return repeated
            raise PasswordWrong(f"this is not the password of {name}", user=name)
        return self._set(call, name, new, must_change=False, attempt=attempt, held=held)

    def set_password(self, call: Call, name: str, password: str) -> Revoked:
        """Set the password of a person whose only project is that of the call; it has to be changed at the first sign-in.

        An admin's own is set without the old one, and for good: whoever may add admins needs none.

        Raises:
            UserNotFound: the project has no such user.
            UserElsewhere: the user belongs to other projects as well.
            NoPerson: the user is an application.
            TokenBeyond: it is one's own, and the token of the call is limited, or ends: signing in would give more.
            PasswordUnfit: it may not be a password.
        """
        call.require(Right.MANAGE_USERS)
        require_whole(call, name)
        with self._database.read() as tx:
            require_own_person(tx, call, name)
        return self._set(call, name, checked_password(password, user=name), must_change=name != call.actor.name)

    def _tried(self, name: str, password: str, attempt: Attempt) -> Password | None:
        """The password that is kept, if this is the one; a failure is counted."""
        with self._database.read() as tx:
            held = store.password_of(tx, name)
            is_user = users.name_is_taken(tx, name)
        try:
            if self._passwords.fits(None if held is None else held.hash, password):
                return held
        except SignInBusy:
            self._attempts.drop(attempt)
            raise
        log.info("sign-in.refused", address=attempt.address)
        self._attempts.failed(attempt, name if is_user else None)
        return None

    def _take_back(self, attempt: Attempt) -> None:
        with self._database.write() as tx:
            self._attempts.forget(tx, attempt)

    def _kept_instead(self, held: Password, password: str, new: str | None) -> str:
        """The hash that is to be kept from now on; may be the one that is."""
        if new is not None:
            return self._passwords.hashed(new)
        return self._passwords.hashed(password) if self._passwords.is_outdated(held.hash) else held.hash

    def _set(
        self,
        call: Call,
        name: str,
        password: str,
        *,
        must_change: bool,
        attempt: Attempt | None = None,
        held: Password | None = None,
    ) -> Revoked:
        if (repeated := self._done_before(call, name, password)) is not None:
            return repeated
        hashed = self._passwords.hashed(password)
        with self._database.write() as tx:
            if self._repeats(tx, call, name):
                raise WriteConflict("the same order is carried out at this moment; ask again")
            if attempt is not None:
                self._attempts.forget(tx, attempt)
            changes = Changes(tx, self._clock)
            if held is not None and store.password_of(tx, name) != held:
                raise PasswordWrong(f"the password of {name} was changed a moment ago", user=name)
            if held is None:
                require_own_person(tx, call, name)
            now = self._clock.now()
            store.keep_password(
                tx, Password(user=name, hash=hashed, set_at=now, set_by=call.actor.name, must_change=must_change)
            )
            ended = end_tokens(tx, changes, name, but=call.actor.token_id)
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            details = {**_password_details(ended, must_change=must_change), "set_at": rfc3339(now)}
            deed = _deed(call.actor.name, "password.set", name, details)
            self._journal.append(
                tx,
                replace(
                    deed,
                    project=call.project,
                    idempotency_key=call.idempotency_key,
                    request_digest=None if call.idempotency_key is None else _order_digest(name),
                ),
            )
        return Revoked(user=name, token_ids=ended)

    def _done_before(self, call: Call, name: str, password: str) -> Revoked | None:
        """What a repetition of an order is answered; None for a new one.

        The record holds no digest of the order's body, as every other order's does: a plain digest of a password is soon
        guessed. So a repetition is one that carries the password that is kept, and only while it is the one that the earlier
        order set: to say of any other whether this is it would be an oracle, without attempts that are counted.

        Raises:
            IdempotencyKeyReused: the key was used for another password, or for something else.
        """
        with self._database.write() as tx:
            earlier = self._repeats(tx, call, name)
            held = store.password_of(tx, name)
        if earlier is None:
            return None
        if held is None or not _was_set_by(earlier, held) or not self._passwords.fits(held.hash, password):
            raise IdempotencyKeyReused(
                f"{call.actor.name} used the idempotency key {call.idempotency_key!r} at {earlier.at} for another password, "
                "or one that has been changed since",
                key=call.idempotency_key,
                at=earlier.at,
            )
        return Revoked(user=name, token_ids=())

    def _repeats(self, tx: Transaction, call: Call, name: str) -> Entry | None:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, _order_digest(name))


def require_own_person(tx: Transaction, call: Call, name: str) -> None:
    """Nothing, if an admin of the call's project may decide how somebody identifies.

    Raises:
        UserNotFound: the project has no such user.
        UserElsewhere: the user belongs to other projects, whose admins were not asked; oneself aside.
        NoPerson: the user is an application.
        RightsBeyond: the user may do more than the caller, whose token may be limited: signing in gives all of it.
    """
    standing = users.standing_of(tx, name)
    projects = {grant.project for grant in standing}
    if call.project not in projects:
        raise UserNotFound(f"there is no user {name!r} in project {call.project}", user=name, project=call.project)
    if name != call.actor.name and projects != {call.project}:
        raise UserElsewhere(f"{name} belongs to other projects than {call.project} as well", user=name)
    if not store.is_person(tx, name):
        raise NoPerson(f"{name} is an application", user=name)
    rights = rights_by_project(standing, users.custom_rights(tx))
    Changes.require_over(call, rights.get(call.project, frozenset()), f"to decide how {name} signs in")


def require_whole(call: Call, name: str) -> None:
    """Nothing, unless the way to sign in is one's own and the token of the call is limited, or ends: what signs in is neither.

    Raises:
        TokenBeyond: it is so.
    """
    if name == call.actor.name:
        require_within(call, name, WHOLE)
        require_lasting(call, name, None)


def signed_in_deed(made: SignedIn, way: str) -> Deed:
    """The event of somebody who signed in."""
    details = {"token_id": made.token_id, "way": way, "expires": rfc3339(made.expires_at)}
    return _deed(made.user, "user.signed-in", made.user, details)


def _deed(actor: str, action: str, user: str, details: Mapping[str, object]) -> Deed:
    return Deed(actor=actor, action=action, subject=f"user {user}", project=DEFAULT_PROJECT, details=dict(details))


def _password_details(ended: Iterable[str], *, must_change: bool) -> Mapping[str, object]:
    return {"must_change": must_change, "ended_token_ids": list(ended)}


def _was_set_by(order: Entry, held: Password) -> bool:
    """Whether the password that is kept is the one that an order on record set."""
    set_at = json.loads(order.details).get("set_at")
    return (held.set_by, rfc3339(held.set_at)) == (order.actor, set_at)


def _order_digest(name: str) -> str:
    return digest_of(f"password.set {name}".encode())
