"""Signing in at an OpenID provider: begin, the browser's coming back, finish; and whose an identity is.

    begin  ─► url and handle            whoever began keeps the handle and opens the url in a browser
    browser ─► provider ─► callback     the factory exchanges the code and shows a code of its own in the browser
    finish(handle, that code) ─► token  only who has both ends in hand is let in

The code that is typed binds the browser to the beginner: a link that somebody else began and sent round brings its sender
nothing, however quietly the provider lets its reader in.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from muster.access import store as users
from muster.access.actor import Call
from muster.access.changes import Changes
from muster.access.roles import OVER_PEOPLE, Right
from muster.access.service import FACTORY
from muster.access.signing import errors, store
from muster.access.signing.options import ProviderOptions, SignInOptions
from muster.access.signing.provider import Person, Provider, error_word
from muster.access.signing.provider_groups import Told, follow_provider
from muster.access.signing.records import Begun, Confirmed, Flow, FlowState, Identity, SignedIn
from muster.access.signing.service import require_own_person, require_whole, signed_in_deed
from muster.access.signing.session_tokens import end_tokens, give_token
from muster.access.users import rights_by_project
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.errors import MusterError
from muster.vocabulary.names import DEFAULT_PROJECT

LASTS = timedelta(minutes=10)
#: How many may be begun in a quarter of an hour.
WINDOW = timedelta(minutes=15)
MOST_PER_ADDRESS = 50
MOST_ALTOGETHER = 5000
MOST_WRONG_CODES = 5
#: Eight characters that are not taken for one another, 40 bits: with five guesses nobody finds them.
_CODE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_CODE_LENGTH = 8

_TOLD: dict[str, type[MusterError]] = {
    kind.code: kind for kind in (errors.ProviderAway, errors.ProviderWrong, errors.ProviderRefused, errors.GroupMissing)
}

#: Who has one of these becomes nobody's identity by what a provider claims: rights over people, and voices at gates.
_BOUND_BY_AN_ADMIN = OVER_PEOPLE | {
    Right.ACCEPT,
    Right.APPROVE,
    Right.ADOPT_STANDARD,
    Right.CONFIRM_BREAK_GLASS,
    Right.WAIVE,
}


class OidcSignIn:
    """Lets people in whom an OpenID provider vouches for.

    Args:
        database: where sign-ins under way and identities are kept.
        journal: where it is put on record that somebody signed in.
        board: where the fronts learn of the new token.
        clock: tells when.
        options: what the settings say.
        make_provider: talks to a provider.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        board: Board,
        clock: Clock,
        options: SignInOptions,
        make_provider: Callable[[ProviderOptions, Clock], Provider] = Provider,
    ) -> None:
        self._database = database
        self._journal = journal
        self._board = board
        self._clock = clock
        self._options = options
        self._providers = {one.name: make_provider(one, clock) for one in options.providers}

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers."""
        return tuple(self._providers)

    def begin(self, name: str, *, address: str) -> Begun:
        """Begin a sign-in at a provider.

        Raises:
            ProviderUnknown: there is none of this name.
            TooManyFlows: too many were begun.
            ProviderAway: it cannot be reached.
            ProviderWrong: it is not set up as the settings say.
        """
        provider = self._providers.get(name)
        if provider is None:
            raise errors.ProviderUnknown(
                f"there is no provider {name!r}", provider=name, providers=list(self._providers)
            )
        now = self._clock.now()
        with self._database.write() as tx:
            tx.lock("muster.sign-in.flows")
            store.forget_flows_before(tx, now - WINDOW)
            _require_room(store.flows_begun(tx, now - WINDOW, address), MOST_PER_ADDRESS)
            _require_room(store.flows_begun(tx, now - WINDOW), MOST_ALTOGETHER)
            state, handle, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
            flow = _new_flow(name, state, nonce, verifier, now)
            store.add_flow(tx, flow, handle_sha256=_sha256(handle), address=address)
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        url = provider.authorization_url(callback=self._options.callback, state=state, nonce=nonce, challenge=challenge)
        return Begun(url=url, handle=handle, expires_at=flow.expires_at)

    def come_back(self, *, state: str, code: str | None, problem: str | None, issuer: str | None) -> Confirmed:
        """The browser comes back from the provider; the code that it brought is exchanged, once.

        Raises:
            FlowOver: no sign-in is open that this state belongs to, or the browser came back before.
            ProviderRefused: the provider did not let the person in.
            ProviderAway: it cannot be asked.
            ProviderWrong: what came does not prove anything.
            GroupMissing: the person belongs to none of the groups that may sign in.
        """
        flow = self._called(state)
        provider = self._providers.get(flow.provider)
        try:
            if provider is None:
                raise errors.ProviderWrong(f"the provider {flow.provider} is no longer one of this factory's")
            person = self._person(provider, flow, code=code, problem=problem, issuer=issuer)
        except MusterError as error:
            self._fail(flow, error)
            raise
        typed = "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
        with self._database.write() as tx:
            store.change_flow(
                tx,
                flow.state_sha256,
                subject=person.subject,
                claimed=person.claimed,
                groups=person.groups,
                code_sha256=_sha256(typed),
            )
        return Confirmed(provider=flow.provider, claimed=person.claimed, code=f"{typed[:4]}-{typed[4:]}")

    def finish(self, handle: str, code: str | None) -> tuple[FlowState, SignedIn | None]:
        """A token for whoever has the handle and the code that the browser shows; without a code, how far it is.

        Raises:
            FlowOver: no sign-in is open that this handle belongs to.
            CodeWrong: the browser shows another code.
            ProviderAway, ProviderRefused, ProviderWrong, GroupMissing: what the browser's coming back led to.
            IdentityUnknown: the identity is no user's.
            GroupNotMade: the settings put the person into a group that is not there.
            LastAdmin: the person leaves a group, and a project would be left without an admin.
        """
        with self._database.write() as tx:
            tx.lock("muster.sign-in.flow", _sha256(handle))
            flow = store.flow_with_handle(tx, _sha256(handle))
            if flow is None or not flow.is_open(self._clock.now()):
                raise errors.FlowOver("this sign-in is unknown, over, used, or was begun too long ago")
            if flow.problem is None and flow.code_sha256 is None:
                return FlowState.WAITING, None
            if flow.problem is None and code is None:
                return FlowState.CONFIRMED, None
            outcome = self._finished(tx, flow, code or "")
        if isinstance(
            outcome, MusterError
        ):  # raised only after the commit: a wrong code is counted, and what failed is over
            raise outcome
        return FlowState.DONE, outcome

    def bind(self, call: Call, name: str, issuer: str, subject: str) -> Identity:
        """Say that an identity at a provider is a person whose only project is that of the call.

        Raises:
            UserNotFound: the project has no such user.
            UserElsewhere: the user belongs to other projects as well.
            NoPerson: the user is an application.
            ProviderUnknown: no provider of this factory has this issuer.
            IdentityTaken: the identity belongs to another user.
            TokenBeyond: the user is oneself, and the token of the call is limited, or ends: signing in would give more.
        """
        call.require(Right.MANAGE_USERS)
        require_whole(call, name)
        if issuer not in {provider.options.issuer for provider in self._providers.values()}:
            raise errors.ProviderUnknown(f"no provider of this factory has the issuer {issuer!r}", issuer=issuer)
        with self._database.write() as tx:
            repeated = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            Changes(tx, self._clock)  # for its lock: a user is not removed meanwhile
            require_own_person(tx, call, name)
            held = store.identity(tx, issuer, subject)
            if held is not None and held.user != name:
                raise errors.IdentityTaken("the identity belongs to another user", issuer=issuer, subject=subject)
            if repeated is not None and held is not None:
                return held
            bound = held or self._bound(tx, name, issuer, subject, by=call.actor.name)
            self._journal.append(tx, _keyed(_identity_deed(call.actor.name, "identity.bound", bound), call))
        return bound

    def unbind(self, call: Call, name: str, issuer: str, subject: str) -> tuple[str, ...]:
        """Say that an identity is nobody's any more; what the user got by signing in ends: the ids of those tokens.

        Raises:
            IdentityNotFound: the user has no such identity.
            UserNotFound: the project has no such user.
            UserElsewhere: the user belongs to other projects as well.
        """
        call.require(Right.MANAGE_USERS)
        with self._database.write() as tx:
            if self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None:
                return ()
            changes = Changes(tx, self._clock)
            require_own_person(tx, call, name)
            held = store.identity(tx, issuer, subject)
            if held is None or held.user != name:
                raise errors.IdentityNotFound(f"{name} has no such identity", user=name, issuer=issuer, subject=subject)
            store.remove_identity(tx, issuer, subject)
            ended = end_tokens(tx, changes, name, but=call.actor.token_id)
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            self._journal.append(tx, _keyed(_identity_deed(call.actor.name, "identity.unbound", held), call))
        return ended

    def identities(self, call: Call, name: str) -> tuple[Identity, ...]:
        """The identities of a user of the project.

        Raises:
            UserNotFound: the project has no such user.
            UserElsewhere: the user belongs to other projects as well.
            NoPerson: the user is an application.
        """
        call.require(Right.MANAGE_USERS)
        with self._database.read() as tx:
            require_own_person(tx, call, name)
            return store.identities_of(tx, name)

    def _called(self, state: str) -> Flow:
        """The sign-in that a browser comes back for; nobody comes back for it again."""
        now = self._clock.now()
        with self._database.write() as tx:
            tx.lock("muster.sign-in.state", _sha256(state))
            flow = store.flow_with_state(tx, _sha256(state))
            if flow is None or flow.called_at is not None or not flow.is_open(now):
                raise errors.FlowOver("this sign-in is unknown, over, used, or was begun too long ago")
            store.change_flow(tx, flow.state_sha256, called_at=now)
        return flow

    def _person(
        self, provider: Provider, flow: Flow, *, code: str | None, problem: str | None, issuer: str | None
    ) -> Person:
        provider.check_answer(issuer)
        if problem is not None or code is None:
            raise errors.ProviderRefused(f"the provider did not let the person in: {error_word(problem)}")
        return provider.person(
            code=code,
            verifier=flow.verifier,
            callback=self._options.callback,
            nonce=flow.nonce,
            begun_at=flow.begun_at,
        )

    def _fail(self, flow: Flow, error: MusterError) -> None:
        told = error if error.code in _TOLD else errors.ProviderAway("the factory could not ask the provider")
        text = msgspec.json.encode([told.code, told.message]).decode()
        with self._database.write() as tx:
            store.change_flow(tx, flow.state_sha256, problem=text)

    def _finished(self, tx: Transaction, flow: Flow, code: str) -> SignedIn | MusterError:
        now = self._clock.now()
        if flow.problem is not None:
            store.change_flow(tx, flow.state_sha256, finished_at=now)
            return _told(flow.problem)
        plain = code.replace("-", "").replace(" ", "").upper()
        if not hmac.compare_digest(_sha256(plain), flow.code_sha256 or ""):
            wrong = flow.wrong_codes + 1
            store.change_flow(
                tx, flow.state_sha256, wrong_codes=wrong, finished_at=now if wrong >= MOST_WRONG_CODES else None
            )
            return errors.CodeWrong("the browser shows another code", left=MOST_WRONG_CODES - wrong)
        store.change_flow(tx, flow.state_sha256, finished_at=now)
        changes = Changes(tx, self._clock)
        provider = self._providers.get(flow.provider)
        user = None if provider is None else self._user_of(tx, flow, provider.options)
        if provider is not None and user is not None and provider.options.joins:
            try:
                self._follow(tx, changes, user, flow, provider.options)
            except errors.GroupNotMade as error:  # raised before anything is changed
                return error
        if provider is None or user is None or not store.is_person(tx, user):
            issuer = None if provider is None else provider.options.issuer
            return errors.IdentityUnknown(
                f"the identity with the subject {flow.subject!r} of {issuer} is no user's of this factory",
                issuer=issuer,
                subject=flow.subject,
                claimed=flow.claimed,
            )
        way = f"oidc {flow.provider}"
        made = give_token(tx, changes, user, way=way, now=now, lasts=self._options.token_lasts)
        self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
        self._journal.append(tx, signed_in_deed(made, way))
        return made

    def _user_of(self, tx: Transaction, flow: Flow, options: ProviderOptions) -> str | None:
        """Whose the identity is; where the settings say so, it becomes that of the user whose name the provider claims."""
        assert flow.subject is not None
        held = store.identity(tx, options.issuer, flow.subject)
        if held is not None:
            return held.user if store.is_known_person(tx, held.user) else None
        name = flow.claimed
        if not options.known_names or name is None or not store.is_person(tx, name):
            return None
        # Who manages or decides is bound by an admin: at many providers people choose what they are called there.
        rights = rights_by_project(users.standing_of(tx, name), users.custom_rights(tx))
        if store.identities_of(tx, name) or any(given & _BOUND_BY_AN_ADMIN for given in rights.values()):
            return None
        bound = self._bound(tx, name, options.issuer, flow.subject, by=FACTORY)
        self._journal.append(tx, _identity_deed(FACTORY, "identity.bound", bound))
        return name

    def _follow(self, tx: Transaction, changes: Changes, user: str, flow: Flow, options: ProviderOptions) -> None:
        told = Told(provider=flow.provider, joins=options.joins, groups=frozenset(flow.groups))
        if follow_provider(tx, changes, self._journal, user, told):
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())

    def _bound(self, tx: Transaction, user: str, issuer: str, subject: str, *, by: str) -> Identity:
        bound = Identity(issuer=issuer, subject=subject, user=user, bound_at=self._clock.now(), bound_by=by)
        store.add_identity(tx, bound)
        return bound


def _new_flow(provider: str, state: str, nonce: str, verifier: str, now: datetime) -> Flow:
    return Flow(
        state_sha256=_sha256(state),
        provider=provider,
        nonce=nonce,
        verifier=verifier,
        begun_at=now,
        expires_at=now + LASTS,
        called_at=None,
        finished_at=None,
        problem=None,
        subject=None,
        claimed=None,
        groups=(),
        code_sha256=None,
        wrong_codes=0,
    )


def _require_room(begun: int, most: int) -> None:
    if begun >= most:
        raise errors.TooManyFlows("too many sign-ins were begun; wait a little", retry_after_s=60)


def _told(problem: str) -> MusterError:
    code, message = msgspec.json.decode(problem, type=tuple[str, str])
    return _TOLD[code](message)


def _identity_deed(actor: str, action: str, bound: Identity) -> Deed:
    return Deed(
        actor=actor,
        action=action,
        subject=f"user {bound.user}",
        project=DEFAULT_PROJECT,
        details={"issuer": bound.issuer, "subject": bound.subject},
    )


def _keyed(deed: Deed, call: Call) -> Deed:
    return replace(deed, project=call.project, idempotency_key=call.idempotency_key, request_digest=call.request_digest)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
