"""Users and tokens."""

from litestar import delete, get, post
from litestar.params import JSONBody

from muster.api import convert
from muster.api.parameters import TokenOrUser, UserName
from muster.api.services import Caller, Given
from muster.wire import control

TAG = "people"


@get("/users", sync_to_thread=True, operation_id="listUsers", tags=[TAG])
def list_users(services: Given, call: Caller) -> control.Users:
    """Everybody in the project, by name, with the ids of their tokens. Takes the right manage-users."""
    return control.Users(users=tuple(convert.user(user) for user in services.access.users(call)))


@post("/users", sync_to_thread=True, operation_id="addUser", tags=[TAG])
def add_user(services: Given, call: Caller, data: JSONBody[control.UserOrder]) -> control.NewUser:
    """Add a user or an application. The token in the answer is shown this once."""
    made = services.access.add_user(
        call, data.name, data.role, data.endpoints, convert.moment_of(data.expires), data.may
    )
    return convert.new_user(made)


@post("/users/{name:str}/role", status_code=200, sync_to_thread=True, operation_id="changeRole", tags=[TAG])
def change_role(services: Given, call: Caller, name: UserName, data: JSONBody[control.RoleOrder]) -> control.Granted:
    """Give a user of the project another role."""
    grant = services.access.change_role(call, name, data.role, data.endpoints, data.may)
    may = tuple(str(right) for right in grant.may)
    return control.Granted(name=grant.user, role=grant.role, endpoints=grant.endpoints, may=may)


@delete("/users/{name:str}", status_code=200, sync_to_thread=True, operation_id="removeUser", tags=[TAG])
def remove_user(services: Given, call: Caller, name: UserName) -> control.Revoked:
    """Take a user out of the project; the name stays on record and is not given again."""
    return convert.revoked(services.access.remove_user(call, name))


@post("/users/{name:str}/tokens", sync_to_thread=True, operation_id="addToken", tags=[TAG])
def add_token(services: Given, call: Caller, name: UserName, data: JSONBody[control.TokenOrder]) -> control.NewUser:
    """Give a user a further token. It is shown this once."""
    return convert.new_user(services.access.new_token(call, name, convert.moment_of(data.expires)))


@post("/tokens/{token:str}/revoke", status_code=200, sync_to_thread=True, operation_id="revokeToken", tags=[TAG])
def revoke_token(services: Given, call: Caller, token: TokenOrUser) -> control.Revoked:
    """End a token by its id, or all tokens of a user by the name; one's own token takes no right."""
    return convert.revoked(services.access.revoke_token(call, token))


HANDLERS = (list_users, add_user, change_role, remove_user, add_token, revoke_token)
