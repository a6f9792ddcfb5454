"""The keys that sign certificates: the factory's own, of which one signs at a time, and those of people."""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from muster.access.actor import Call
from muster.access.roles import Right
from muster.access.service import FACTORY
from muster.attestation.errors import KeyMalformed
from muster.attestation.keys import PublicKey, SigningKey, new_key, read_public_key, read_signing_key
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.certificates import store
from muster.certificates.errors import KeyKnown, KeyNotFound, KeyRevoked, KeyUnavailable, KeyUnchanged, NotYourKey
from muster.certificates.records import Key
from muster.registry.reasons import checked_reason
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import DEFAULT_PROJECT

_FIRST = "certificates.pem"


class Keys:
    """The keys of one factory.

    The private key of the factory lies in a file, and in none of its databases. Which of several is the one that signs, the database
    says; so a rotation that is killed half-way has either happened or not.

    Args:
        database: where public keys are kept.
        journal: where each deed is put on record.
        clock: tells when.
        folder: of the home, for its private keys; mode 0700.
        given: the file with the private key, where the operator brings one; None: keys are made in the folder.
    """

    def __init__(
        self, *, database: Database, journal: Journal, clock: Clock, folder: Path, given: Path | None = None
    ) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock
        self._folder = folder
        self._given = given

    def listed(self) -> tuple[Key, ...]:
        """Every key, also those that were revoked: the factory's first; they are public."""
        with self._database.write() as tx:
            self.signing_in(tx)  # so that a factory that has certified nothing yet shows its key, too
            return store.keys(tx)

    def files(self) -> tuple[Path, ...]:
        """Where the factory's private keys lie now: nobody but the factory has any business with them."""
        own = sorted(self._folder.glob("certificates*.pem"))
        return tuple(own if self._given is None else (*own, self._given))

    def known_in(self, tx: Transaction) -> tuple[Key, ...]:
        """Every key, as this transaction sees it."""
        return store.keys(tx)

    def signing_in(self, tx: Transaction) -> SigningKey:
        """The factory's private key; made, or made known, in this transaction where there was none.

        Raises:
            KeyUnavailable: its file cannot be read.
            KeyRevoked: the file that the settings name holds a key that was revoked.
        """
        tx.lock("muster.certificate-keys")
        known = store.keys(tx)
        if self._given is not None:
            key = _read(self._given)
            self._require_usable(tx, key, known)
            return key
        current = next((one for one in known if not one.owner and one.revoked_at is None), None)
        if current is None:
            key = self._first()
            self._require_usable(tx, key, known)
            return key
        for file in self.files():
            with contextlib.suppress(KeyUnavailable):
                if (key := _read(file)).public.id == current.public.id:
                    return key
        raise KeyUnavailable(f"{self._folder} does not hold the private key {current.public.id}", key=current.public.id)

    def rotate(self, call: Call, reason: str) -> Key:
        """Have a new key sign from now on; those before are revoked: what they signed until now stays good.

        Raises:
            KeyUnchanged: the settings name the file, and it holds the same key.
        """
        call.require(Right.MANAGE_KEYS)
        told = checked_reason(reason)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            tx.lock("muster.certificate-keys")
            known = store.keys(tx)
            if entry is not None:
                return _found(known, entry.subject.removeprefix("key "))
            own = [one for one in known if not one.owner and one.revoked_at is None]
            new = new_key() if self._given is None else _read(self._given)
            if any(one.public.id == new.public.id for one in known):
                raise KeyUnchanged(f"{self._given} holds the key {new.public.id}", key=new.public.id)
            if self._given is None:
                # Found here, where no other rotation can write: after the commit the next one's key may lie there already.
                stale = self.files()
                _write(self._folder / f"certificates-{new.public.id[:16]}.pem", new)
                tx.after_commit(lambda: _forget(stale))
            now = self._clock.now()
            for one in own:
                store.revoke_key(tx, one.public.id, call.actor.name, told, now)
            key = Key(public=new.public, owner="", added_at=now, added_by=call.actor.name)
            store.add_key(tx, key)
            self._record(tx, call, "certificate.key-rotated", key, told, {"revoked": [one.public.id for one in own]})
        return key

    def add(self, call: Call, pem: str, reason: str) -> Key:
        """Make a public key of the caller's known; the private one stays where it is.

        Raises:
            KeyMalformed: it is no Ed25519 key in PEM.
            KeyKnown: it is known already.
        """
        call.require(Right.CERTIFY)
        told = checked_reason(reason)
        public = read_public_key(pem.encode("utf-8", "replace"), of="what was sent")
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            tx.lock("muster.certificate-keys")
            known = store.keys(tx)
            if entry is not None:
                return _found(known, entry.subject.removeprefix("key "))
            if any(one.public.id == public.id for one in known):
                raise KeyKnown(f"the key {public.id} is known already", key=public.id)
            key = Key(public=public, owner=call.actor.name, added_at=self._clock.now(), added_by=call.actor.name)
            store.add_key(tx, key)
            self._record(tx, call, "certificate.key-added", key, told, {"owner": key.owner})
        return key

    def revoke(self, call: Call, key_id: str, reason: str) -> Key:
        """Say that a person's key signs nothing any more; the factory's own is rotated instead.

        Raises:
            KeyNotFound: there is none of a person.
            NotYourKey: it is somebody else's, and the caller does not manage keys.
            KeyRevoked: it was revoked before.
        """
        call.require(Right.CERTIFY)
        told = checked_reason(reason)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            tx.lock("muster.certificate-keys")
            key = _found(store.keys(tx), key_id)
            if entry is not None:
                return key
            if not key.owner:
                raise KeyNotFound(f"no person has a key {key_id}", key=key_id)
            if key.owner != call.actor.name and not call.may(Right.MANAGE_KEYS):
                raise NotYourKey(f"the key {key_id} is {key.owner}'s", key=key_id, owner=key.owner)
            if key.revoked_at is not None:
                raise KeyRevoked(f"the key {key_id} was revoked before", key=key_id)
            store.revoke_key(tx, key_id, call.actor.name, told, self._clock.now())
            self._record(tx, call, "certificate.key-revoked", key, told, {"owner": key.owner})
            return _found(store.keys(tx), key_id)

    def _require_usable(self, tx: Transaction, key: SigningKey, known: tuple[Key, ...]) -> None:
        """Nothing, if the key may sign; one that nobody knows yet is made known."""
        before = next((one for one in known if one.public.id == key.public.id), None)
        if before is None:
            made = Key(public=key.public, owner="", added_at=self._clock.now(), added_by=FACTORY)
            store.add_key(tx, made)
            self._journal.append(
                tx,
                Deed(
                    actor=FACTORY,
                    action="certificate.key-added",
                    subject=f"key {key.public.id}",
                    project=DEFAULT_PROJECT,
                    details={"owner": ""},
                ),
            )
        elif before.revoked_at is not None or before.owner:
            raise KeyRevoked(f"the key {key.public.id} may not sign for the factory", key=key.public.id)

    def _first(self) -> SigningKey:
        """The first key of the home: that of `muster init`, or for a home of an earlier version a new one."""
        file = self._folder / _FIRST
        if not file.exists():
            with contextlib.suppress(FileExistsError):  # another process was quicker: its key it is
                make_first_key(self._folder)
        return _read(file)

    def _record(
        self, tx: Transaction, call: Call, action: str, key: Key, reason: str, details: dict[str, object]
    ) -> None:
        self._journal.append(
            tx,
            Deed(
                actor=call.actor.name,
                action=action,
                subject=f"key {key.public.id}",
                project=call.project,
                details=details,
                reason=reason,
                idempotency_key=call.idempotency_key,
                request_digest=call.request_digest,
            ),
        )


def make_first_key(folder: Path) -> PublicKey:
    """Make a home's first key, in a file that only its owner can read.

    Raises:
        FileExistsError: it has one.
    """
    key = new_key()
    _write(folder / _FIRST, key)
    return key.public


def _write(file: Path, key: SigningKey) -> None:
    """Whole or not at all; a file that is there stays."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".key-")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(key.pem())
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, file)
    finally:
        Path(temporary).unlink()


def _forget(stale: Iterable[Path]) -> None:
    """What is revoked need not lie about."""
    for file in stale:
        file.unlink(missing_ok=True)


def _read(file: Path) -> SigningKey:
    try:
        return read_signing_key(file.read_bytes(), of=str(file))
    except OSError as error:
        raise KeyUnavailable(f"{file} cannot be read: {error.strerror}", file=str(file)) from error
    except KeyMalformed as error:
        raise KeyUnavailable(error.message, file=str(file)) from error


def _found(known: tuple[Key, ...], key_id: str) -> Key:
    found = next((one for one in known if one.public.id == key_id), None)
    if found is None:
        raise KeyNotFound(f"there is no key {key_id[:80]}", key=key_id[:80])
    return found
