"""Projects, users, groups, roles, tokens and consumers."""

from datetime import timedelta
from typing import Annotated

from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter

from muster.api import convert, convert_people
from muster.api.parameters import AfterName, AfterToken, GroupName, Limit, RoleName, TokenId, TokenOrUser, UserName
from muster.api.services import Caller, Given
from muster.vocabulary.pages import USUAL, paged
from muster.wire import control, people

TAG = "people"
_NAME = r"^[a-z][a-z0-9-]{0,62}$"

# Projects.


@get("/projects", sync_to_thread=True, operation_id="listProjects", tags=[TAG])
def list_projects(services: Given, call: Caller) -> people.Projects:
    """The projects that the caller has a part in; all of them for who manages projects."""
    found = services.projects.projects(call)
    return people.Projects(projects=tuple(map(convert_people.project_summary, found)))


@post("/projects", sync_to_thread=True, operation_id="addProject", tags=[TAG])
def add_project(services: Given, call: Caller, data: JSONBody[people.ProjectOrder]) -> people.ProjectSummary:
    """Make a project and give it its first admin. Takes the right manage-projects, which a role in `default` gives."""
    made = services.projects.add(
        call,
        data.name,
        data.admin,
        title=data.title,
        contact=data.contact,
        quotas=convert_people.quotas_of(data.quotas),
    )
    return convert_people.project_summary(made)


@get("/", sync_to_thread=True, operation_id="getProject", tags=[TAG])
def get_project(services: Given, call: Caller) -> people.Project:
    """A project, its quotas, and what is used of them."""
    return convert_people.project(services.projects.project(call))


@post("/description", status_code=200, sync_to_thread=True, operation_id="describeProject", tags=[TAG])
def describe_project(services: Given, call: Caller, data: JSONBody[people.ProjectTextsOrder]) -> people.ProjectSummary:
    """Say what a project is and whom to ask. Takes the right manage-users in it, or manage-projects."""
    return convert_people.project_summary(services.projects.describe(call, convert_people.texts_of(data)))


@post("/quotas", status_code=200, sync_to_thread=True, operation_id="limitProject", tags=[TAG])
def limit_project(services: Given, call: Caller, data: JSONBody[people.QuotasOrder]) -> people.ProjectSummary:
    """Set quotas of a project. Takes the right manage-projects."""
    return convert_people.project_summary(services.projects.limit(call, convert_people.quotas_of(data)))


# Users.


@get("/users", sync_to_thread=True, operation_id="listUsers", tags=[TAG])
def list_users(services: Given, call: Caller, limit: Limit = USUAL, after: AfterName = None) -> control.Users:
    """Everybody in the project, by name, page by page, with the ids of their tokens. Takes the right manage-users."""
    page = paged(services.access.users(call, limit=limit + 1, after=after), limit, lambda user: user.name)
    return control.Users(users=tuple(convert.user(user) for user in page.items), next=page.next)


@post("/users", sync_to_thread=True, operation_id="addUser", tags=[TAG])
def add_user(services: Given, call: Caller, data: JSONBody[control.UserOrder]) -> control.NewUser:
    """Add a user or an application. The token in the answer is shown this once."""
    told = {"title": data.title, "contact": data.contact, "channel": data.channel}
    made = services.access.add_user(
        call,
        data.name,
        data.role,
        data.endpoints,
        convert.moment_of(data.expires),
        data.may,
        kind=data.kind,
        told={name: text for name, text in told.items() if text is not None},
    )
    return convert.new_user(made)


@post("/users/{name:str}/role", status_code=200, sync_to_thread=True, operation_id="changeRole", tags=[TAG])
def change_role(services: Given, call: Caller, name: UserName, data: JSONBody[control.RoleOrder]) -> control.Granted:
    """Give a user of the project another role."""
    grant = services.access.change_role(call, name, data.role, data.endpoints, data.may)
    may = tuple(str(right) for right in grant.may)
    return control.Granted(name=grant.user, role=grant.role, endpoints=grant.endpoints, may=may)


@post("/users/{name:str}/profile", status_code=200, sync_to_thread=True, operation_id="describeUser", tags=[TAG])
def describe_user(services: Given, call: Caller, name: UserName, data: JSONBody[people.ProfileOrder]) -> people.Profile:
    """Say what a user is, how to reach who answers for it, and where it is told of changes; of oneself without any right."""
    told = services.access.change_profile(call, name, convert_people.texts_of(data), data.kind)
    return convert_people.profile(told)


@delete("/users/{name:str}", status_code=200, sync_to_thread=True, operation_id="removeUser", tags=[TAG])
def remove_user(
    services: Given,
    call: Caller,
    name: UserName,
    *,
    everywhere: Annotated[
        bool, QueryParameter(description="Out of every project and group at once; takes the right manage-groups.")
    ] = False,
) -> control.Revoked:
    """Take a user out of the project; the name stays on record and is not given again."""
    return convert.revoked(services.access.remove_user(call, name, everywhere=everywhere))


# Tokens.


@get("/tokens", sync_to_thread=True, operation_id="listTokens", tags=[TAG])
def list_tokens(
    services: Given,
    call: Caller,
    user: Annotated[str | None, QueryParameter(pattern=_NAME, description="Only this user's.")] = None,
    limit: Limit = USUAL,
    after: AfterToken = None,
) -> people.Tokens:
    """The tokens of the project's users that are good now, page by page; without the right manage-users, one's own alone."""
    found = services.access.tokens(call, user, limit=limit + 1, after=after)
    page = paged(found, limit, lambda token: token.token_id)
    return people.Tokens(tokens=tuple(map(convert.token, page.items)), next=page.next)


@post("/users/{name:str}/tokens", sync_to_thread=True, operation_id="addToken", tags=[TAG])
def add_token(services: Given, call: Caller, name: UserName, data: JSONBody[control.TokenOrder]) -> control.NewUser:
    """Give a user a further token, for all that the user may do or less. It is shown this once."""
    made = services.access.new_token(
        call,
        name,
        convert.moment_of(data.expires),
        label=data.label,
        scope=convert_people.scope_of(data, call.project),
    )
    return convert.new_user(made)


@post("/tokens/{token:str}/rotate", sync_to_thread=True, operation_id="rotateToken", tags=[TAG])
def rotate_token(
    services: Given, call: Caller, token: TokenId, data: JSONBody[people.RotationOrder]
) -> control.NewUser:
    """Give another token in the place of one; the old one stays good for the grace. One's own token takes no right."""
    return convert.new_user(services.access.rotate_token(call, token, timedelta(seconds=data.grace_s)))


@post("/tokens/{token:str}/revoke", status_code=200, sync_to_thread=True, operation_id="revokeToken", tags=[TAG])
def revoke_token(services: Given, call: Caller, token: TokenOrUser) -> control.Revoked:
    """End a token by its id, or all tokens of a user by the name; one's own token takes no right."""
    return convert.revoked(services.access.revoke_token(call, token))


# Groups.


@post("/groups", sync_to_thread=True, operation_id="addGroup", tags=[TAG])
def add_group(services: Given, call: Caller, data: JSONBody[people.GroupOrder]) -> people.Group:
    """Make a group. Takes the right manage-groups, which a role in `default` gives."""
    return convert_people.group(services.groups.add(call, data.name, data.title))


@delete("/groups/{group:str}", status_code=200, sync_to_thread=True, operation_id="removeGroup", tags=[TAG])
def remove_group(services: Given, call: Caller, group: GroupName) -> people.Group:
    """Remove a group, and with it what its members may do through it. Takes the right manage-groups."""
    return convert_people.group(services.groups.remove(call, group))


@post("/groups/{group:str}/members", status_code=200, sync_to_thread=True, operation_id="joinGroup", tags=[TAG])
def join_group(services: Given, call: Caller, group: GroupName, data: JSONBody[people.MemberOrder]) -> people.Group:
    """Put a user into a group. Takes the right manage-groups."""
    return convert_people.group(services.groups.join(call, group, data.user))


@delete(
    "/groups/{group:str}/members/{name:str}",
    status_code=200,
    sync_to_thread=True,
    operation_id="leaveGroup",
    tags=[TAG],
)
def leave_group(services: Given, call: Caller, group: GroupName, name: UserName) -> people.Group:
    """Take a user out of a group. Takes the right manage-groups."""
    return convert_people.group(services.groups.leave(call, group, name))


@get("/groups", sync_to_thread=True, operation_id="listGroups", tags=[TAG])
def list_groups(services: Given, call: Caller) -> people.Groups:
    """The groups; whole for who manages groups, otherwise as far as they have to do with the project."""
    return people.Groups(groups=tuple(map(convert_people.group, services.groups.groups(call))))


@get("/groups/{group:str}", sync_to_thread=True, operation_id="getGroup", tags=[TAG])
def get_group(services: Given, call: Caller, group: GroupName) -> people.Group:
    """One group, as in the list."""
    return convert_people.group(services.groups.group(call, group))


@post("/groups/{group:str}/role", status_code=200, sync_to_thread=True, operation_id="grantGroup", tags=[TAG])
def grant_group(
    services: Given, call: Caller, group: GroupName, data: JSONBody[people.GroupRoleOrder]
) -> people.GroupRole:
    """Give a group a role in the project. Takes the right manage-users."""
    return convert_people.group_role(services.groups.grant(call, group, data.role, data.endpoints, data.may))


@delete("/groups/{group:str}/role", status_code=200, sync_to_thread=True, operation_id="revokeGroup", tags=[TAG])
def revoke_group(services: Given, call: Caller, group: GroupName) -> people.GroupRole:
    """Take a group's role in the project away. Takes the right manage-users."""
    return convert_people.group_role(services.groups.revoke(call, group))


# Roles of the project's own.


@get("/roles", sync_to_thread=True, operation_id="listRoles", tags=[TAG])
def list_roles(services: Given, call: Caller) -> people.CustomRoles:
    """The roles that every project has, and the project's own."""
    own = tuple(map(convert_people.custom_role, services.roles.roles(call)))
    return people.CustomRoles(roles=(*convert_people.built_in_roles(), *own))


@post("/roles/{role:str}", status_code=200, sync_to_thread=True, operation_id="setRole", tags=[TAG])
def set_role(
    services: Given, call: Caller, role: RoleName, data: JSONBody[people.CustomRoleOrder]
) -> people.CustomRole:
    """Make a role of the project's own, or change one; nobody gives rights that they do not have. Takes manage-users."""
    return convert_people.custom_role(services.roles.put(call, role, data.rights))


@delete("/roles/{role:str}", status_code=200, sync_to_thread=True, operation_id="removeRole", tags=[TAG])
def remove_role(services: Given, call: Caller, role: RoleName) -> people.CustomRole:
    """Remove a role of the project's own that nobody has. Takes the right manage-users."""
    return convert_people.custom_role(services.roles.remove(call, role))


# Consumers.


@get("/consumers", sync_to_thread=True, operation_id="listConsumers", tags=[TAG])
def list_consumers(
    services: Given,
    call: Caller,
    endpoint: Annotated[str | None, QueryParameter(pattern=_NAME, description="Only this one's.")] = None,
    days: Annotated[
        int | None, QueryParameter(ge=1, le=36_500, description="Only of the last so many days, today among them.")
    ] = None,
) -> people.Consumers:
    """Who asks which endpoint how often, when last, and which versions answered; counted from the archive."""
    found = services.consumers.consumers(call, endpoint, days)
    return people.Consumers(
        consumers=tuple(map(convert_people.consumer, found.consumers)),
        since=found.since,
        counted_to=found.counted_to,
    )


#: What belongs to the factory as a whole.
OF_FACTORY = (list_projects, add_project, add_group, remove_group, join_group, leave_group)
HANDLERS = (
    get_project, describe_project, limit_project, list_users, add_user, change_role, describe_user, remove_user,
    list_tokens, add_token, rotate_token, revoke_token, list_groups, get_group, grant_group, revoke_group, list_roles,
    set_role, remove_role, list_consumers,
)  # fmt: skip
