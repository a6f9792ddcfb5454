"""What parts of an address may look like: checked before a handler runs, so that nothing odd reaches a database."""

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from muster.vocabulary.pages import MOST

_NAME = r"^[a-z][a-z0-9-]{0,62}$"

ModelName = Annotated[str, PathParameter(pattern=_NAME, description="Name of the model.")]
VersionNumber = Annotated[int, PathParameter(ge=1, le=999_999_999, description="Number of the version.")]
EndpointName = Annotated[str, PathParameter(pattern=_NAME, description="Name of the endpoint.")]
ReleaseNumber = Annotated[int, PathParameter(ge=1, le=999_999_999, description="Number of the release.")]
LiveTestNumber = Annotated[int, PathParameter(ge=1, le=999_999_999, description="Number of the live-test.")]
UserName = Annotated[str, PathParameter(pattern=_NAME, description="Name of the user.")]
GroupName = Annotated[str, PathParameter(pattern=_NAME, description="Name of the group.")]
RoleName = Annotated[str, PathParameter(pattern=_NAME, description="Name of the role.")]
TokenId = Annotated[str, PathParameter(pattern=r"^tok_[a-z0-9]{1,28}$", description="Id of the token.")]
TokenOrUser = Annotated[
    str, PathParameter(pattern=r"^[a-z][a-z0-9_-]{0,79}$", description="Id of a token, or name of a user.")
]
SessionId = Annotated[str, PathParameter(pattern=r"^[a-z0-9-]{1,80}$", description="Id of the session.")]
RequestId = Annotated[
    str, PathParameter(pattern=r"^[0-9a-fA-F-]{32,36}$", description="The `request_id` of an answer.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="How many at most.")]
AfterName = Annotated[
    str | None, QueryParameter(pattern=_NAME, description="Begin behind this name: the `next` of the page before.")
]
AfterToken = Annotated[
    str | None,
    QueryParameter(
        pattern=r"^tok_[a-z0-9]{1,28}$", description="Begin behind this token: the `next` of the page before."
    ),
]
AfterNumber = Annotated[
    int | None,
    QueryParameter(ge=1, le=2**62, description="Begin behind this number: the `next` of the page before."),
]
