"""What a caller names: an endpoint, a version of it, or a model's version that some current release holds."""

from muster.serving.endpoint import Endpoints
from muster.serving.errors import VersionUnreachable
from muster.serving.front.tokens import Tokens
from muster.serving.plan import Plan
from muster.vocabulary import errors
from muster.wire.plans import AccessEntry

#: The right to name the variant that shall answer, or a deadline beyond the release's.
OVERRIDE = "override"
_SHOWN = 100


def named(
    endpoints: Endpoints, tokens: Tokens, entry: AccessEntry, model: str, number: str | None, variant: str | None
) -> tuple[Plan, int | None]:
    """The plan, and the index of the variant that is named; None where none is.

    Args:
        endpoints: what is served.
        tokens: who may call what.
        entry: who asks: a model is found only in endpoints that it may call.
        model: an endpoint, or with a number also a model.
        number: of the version; None: none is named.
        variant: the version as people write it, `churn:3`; None: none is named.

    Raises:
        EndpointUnknown: no such endpoint is served, or it is of a project that the token has no part in.
        EndpointNotAllowed: the token is good for other endpoints of its project.
        VersionUnreachable: no current release of it holds the version.
    """
    if number is None:
        plan = endpoints.find(model)
        tokens.require(entry, plan.project, plan.endpoint)
        if variant is None:
            return plan, None
        version = plan.variant_of(variant)
        if version is None:
            raise VersionUnreachable(
                f"release {plan.release} of endpoint {plan.endpoint!r} holds no version {variant[:_SHOWN]!r}",
                endpoint=plan.endpoint,
            )
        return plan, version
    try:
        plan = endpoints.find(model)
        tokens.require(entry, plan.project, plan.endpoint)
        version = plan.variant_numbered(number)
    except errors.NotFound:
        holding = (
            plan
            for plan in endpoints.with_version(model, number)
            if tokens.may_call(entry, plan.project, plan.endpoint)
        )
        found = next(holding, None)
        if found is None:
            asked = f"{model}:{number}"[:_SHOWN]
            raise VersionUnreachable(f"no current release holds {asked}", version=asked) from None
        plan, version = found, found.variant_of(f"{model}:{number}")
    if version is None:
        raise VersionUnreachable(
            f"release {plan.release} of endpoint {plan.endpoint!r} holds no version {number[:_SHOWN]}",
            endpoint=plan.endpoint,
        )
    return plan, version
