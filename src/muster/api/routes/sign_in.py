"""Signing in and out, passwords, identities at OpenID providers."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import CacheControlHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from muster.api import convert_sign_in as convert
from muster.api.answers import response_class
from muster.api.convert import revoked
from muster.api.identity import OPEN
from muster.api.parameters import UserName
from muster.api.services import Caller, Given, Threads
from muster.api.statuses import described
from muster.vocabulary.errors import MusterError
from muster.wire import control, sign_in

TAG = "signing in"
CALLBACK = "/api/v1/sign-in/oidc/callback"
_TEXT = 4096
#: A page that holds a code: nobody may keep it, frame it, learn where it was from, or have it run anything.
_PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_NO_STORE = CacheControlHeader(no_store=True)
_Asked = Request[Any, Any, Any]


def _address(services: Given, request: _Asked) -> str:
    peer = request.client.host if request.client is not None else None
    return services.sign_in.address_of(peer, request.headers.getall("x-forwarded-for", []))


@get("/sign-in", sync_to_thread=False, opt={OPEN: True}, security=[{}], operation_id="signInWays", tags=[TAG])
def sign_in_ways(services: Given) -> sign_in.SignInWays:
    """How one can sign in. Takes no token."""
    return sign_in.SignInWays(password=True, providers=services.oidc.providers)


@post(
    "/sign-in", status_code=200, cache_control=_NO_STORE, opt={OPEN: True}, security=[{}], operation_id="signIn",
    tags=[TAG],
)  # fmt: skip
async def sign_in_with_password(
    services: Given, threads: Threads, request: _Asked, data: JSONBody[sign_in.SignInOrder]
) -> sign_in.SignedIn:
    """Get a token with user and password; it lasts as long as `access.sign_in_hours` says, and is shown this once.

    Takes no token and heeds no idempotency key. After five failures at a name, or fifty from an address, within a quarter of
    an hour the answer is 429.
    """
    made = await threads.run(
        services.sign_in.sign_in,
        data.user,
        data.password,
        address=_address(services, request),
        new_password=data.new_password,
    )
    return convert.signed_in(made)


@post(
    "/sign-in/oidc/begin", status_code=200, cache_control=_NO_STORE, opt={OPEN: True}, security=[{}],
    operation_id="beginOidc", tags=[TAG],
)  # fmt: skip
async def begin_oidc(
    services: Given, threads: Threads, request: _Asked, data: JSONBody[sign_in.OidcBeginOrder]
) -> sign_in.OidcBegun:
    """Begin a sign-in at an OpenID provider: an address for the browser, and a handle to finish with. Takes no token."""
    flow = await threads.run(services.oidc.begin, data.provider, address=_address(services, request))
    return convert.begun(flow)


@get(CALLBACK, opt={OPEN: True}, include_in_schema=False)
async def come_back(services: Given, threads: Threads, request: _Asked) -> Response[str]:
    """The browser comes back from the provider: a page for people."""
    try:
        confirmed = await threads.run(
            services.oidc.come_back,
            state=_asked(request, "state") or "",
            code=_asked(request, "code"),
            problem=_asked(request, "error"),
            issuer=_asked(request, "iss"),
        )
    except MusterError as told:
        return _page(convert.failed_page(told.message), described(told).status)
    return _page(convert.confirmed_page(confirmed), 200)


@post(
    "/sign-in/oidc/finish",
    status_code=200,
    cache_control=_NO_STORE,
    opt={OPEN: True},
    security=[{}],
    operation_id="finishOidc",
    tags=[TAG],
    responses={202: ResponseSpec(sign_in.OidcSignIn, generate_examples=False, description="Not finished yet.")},
)
async def finish_oidc(
    services: Given, threads: Threads, data: JSONBody[sign_in.OidcFinishOrder]
) -> Response[sign_in.OidcSignIn]:
    """Get the token for a sign-in at a provider, with the handle and the code that the browser shows. Takes no token.

    202 as long as the browser has not come back, or the code is missing. Five wrong codes end the sign-in.
    """
    state, made = await threads.run(services.oidc.finish, data.handle, data.code)
    answer = response_class(solo=services.solo)
    return answer(convert.oidc_sign_in(state, made), status_code=202 if made is None else 200)


@post("/sign-out", status_code=200, sync_to_thread=True, operation_id="signOut", tags=[TAG])
def sign_out(services: Given, call: Caller) -> control.Revoked:
    """End the token of this very call, which was got by signing in."""
    return revoked(services.sign_in.sign_out(call))


@post("/password", status_code=200, operation_id="setOwnPassword", tags=[TAG])
async def set_own_password(
    services: Given, threads: Threads, call: Caller, request: _Asked, data: JSONBody[sign_in.OwnPasswordOrder]
) -> sign_in.PasswordSet:
    """Set one's own password in place of the old one. All other tokens that one got by signing in end."""
    gone = await threads.run(
        services.sign_in.set_own_password, call, data.password, data.old, address=_address(services, request)
    )
    return convert.password_set(gone)


def _asked(request: _Asked, name: str) -> str | None:
    """A parameter of the query, if it is there once and of a length that a provider writes."""
    values = request.query_params.getall(name, [])
    return str(values[0]) if len(values) == 1 and len(values[0]) <= _TEXT else None


def _page(text: str, status: int) -> Response[str]:
    return Response(text, status_code=status, media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)


@post("/users/{name:str}/password", status_code=200, operation_id="setPassword", tags=[TAG])
async def set_password(
    services: Given, threads: Threads, call: Caller, name: UserName, data: JSONBody[sign_in.PasswordOrder]
) -> sign_in.PasswordSet:
    """Set the password of somebody who is in this project alone; it has to be changed at the first sign-in.

    Takes the right manage-users. All tokens that the user got by signing in end.
    """
    return convert.password_set(await threads.run(services.sign_in.set_password, call, name, data.password))


@get("/users/{name:str}/identities", sync_to_thread=True, operation_id="listIdentities", tags=[TAG])
def list_identities(services: Given, call: Caller, name: UserName) -> sign_in.BoundIdentities:
    """The identities at OpenID providers that are bound to a user. Takes the right manage-users."""
    found = services.oidc.identities(call, name)
    return sign_in.BoundIdentities(identities=tuple(convert.identity(one) for one in found))


@post("/users/{name:str}/identities", status_code=200, sync_to_thread=True, operation_id="bindIdentity", tags=[TAG])
def bind_identity(
    services: Given, call: Caller, name: UserName, data: JSONBody[sign_in.IdentityOrder]
) -> sign_in.BoundIdentity:
    """Say that an identity at a provider is this user. Takes the right manage-users."""
    return convert.identity(services.oidc.bind(call, name, data.issuer, data.subject))


@post(
    "/users/{name:str}/identities/unbind", status_code=200, sync_to_thread=True, operation_id="unbindIdentity", tags=[TAG]
)  # fmt: skip
def unbind_identity(
    services: Given, call: Caller, name: UserName, data: JSONBody[sign_in.IdentityOrder]
) -> sign_in.Unbound:
    """Say that an identity at a provider is nobody any more. All tokens that the user got by signing in end."""
    return sign_in.Unbound(user=name, ended_token_ids=services.oidc.unbind(call, name, data.issuer, data.subject))


OF_FACTORY = (
    sign_in_ways, sign_in_with_password, begin_oidc, finish_oidc, sign_out, set_own_password,
)  # fmt: skip
OF_PROJECT = (set_password, list_identities, bind_identity, unbind_identity)
