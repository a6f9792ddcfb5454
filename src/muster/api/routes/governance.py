"""Standards, what is said at gates, delegations, waivers, broken glass."""

from datetime import UTC, datetime
from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, PathParameter

from muster.api import convert, convert_governance
from muster.api.parameters import EndpointName, ModelName, ReleaseNumber, VersionNumber
from muster.api.services import Caller, Given
from muster.gates.records import WaiverState
from muster.release.reviews import ReleaseName, StandardName
from muster.standards.document import read_standard
from muster.vocabulary.names import VersionName
from muster.wire import control, governance

TAG = "governance"
StandardNumber = Annotated[int, PathParameter(ge=1, le=999_999_999, description="Number of the standard.")]
WaiverId = Annotated[str, PathParameter(pattern=r"^waiver-[0-9a-f]{1,32}$", description="Id of the waiver.")]
DelegationId = Annotated[
    str, PathParameter(pattern=r"^delegation-[0-9a-f]{1,32}$", description="Id of the delegation.")
]
_VERSION = "/models/{model:str}/versions/{number:int}"
_RELEASE = "/endpoints/{endpoint:str}/releases/{number:int}"
_STANDARD = "/standards/{number:int}"


# Standards.


@get("/standards", sync_to_thread=True, operation_id="listStandards", tags=[TAG])
def list_standards(services: Given, call: Caller) -> governance.Standards:
    """The standards of the project, the newest first."""
    return convert_governance.standards(services.standards.standards(call), services.standards.current(call))


@get("/standards/current", sync_to_thread=True, operation_id="getCurrentStandard", tags=[TAG])
def get_current_standard(services: Given, call: Caller) -> governance.Standard:
    """What holds in the project now."""
    found = services.standards.current(call)
    if not found.is_own:
        return convert_governance.nothing_adopted(found)
    return convert_governance.standard(services.standards.standard(call, found.number))


@get(_STANDARD, sync_to_thread=True, operation_id="getStandard", tags=[TAG])
def get_standard(services: Given, call: Caller, number: StandardNumber) -> governance.Standard:
    """One standard of the project."""
    return convert_governance.standard(services.standards.standard(call, number))


@post("/standards", sync_to_thread=True, operation_id="proposeStandard", tags=[TAG])
def propose_standard(services: Given, call: Caller, data: JSONBody[governance.StandardOrder]) -> governance.Standard:
    """Propose what shall hold in the project; others adopt it."""
    return convert_governance.standard(services.standards.propose(call, data.text, data.reason))


@post(f"{_STANDARD}/approve", status_code=200, sync_to_thread=True, operation_id="approveStandard", tags=[TAG])
def approve_standard(
    services: Given, call: Caller, number: StandardNumber, data: JSONBody[governance.OpinionOrder]
) -> governance.Standard:
    """Say yes to a proposed standard; with the last approval that is needed it is in force. Never one's own proposal."""
    found = services.standards.approve(call, number, data.reason, for_person=data.for_person)
    return convert_governance.standard(found)


@post(f"{_STANDARD}/reject", status_code=200, sync_to_thread=True, operation_id="rejectStandard", tags=[TAG])
def reject_standard(
    services: Given, call: Caller, number: StandardNumber, data: JSONBody[control.ReasonOrder]
) -> governance.Standard:
    """Turn a proposed standard down."""
    return convert_governance.standard(services.standards.reject(call, number, data.reason))


@get(f"{_STANDARD}/dry-run", sync_to_thread=True, operation_id="dryRunStandard", tags=[TAG])
def dry_run_standard(services: Given, call: Caller, number: StandardNumber) -> governance.DryRun:
    """Which of the versions that are served now would fail a standard of the project."""
    found = services.standards.standard(call, number).standard
    return convert_governance.dry_run(found.name, services.dry_runs.run(call, found))


@post("/standards/dry-run", status_code=200, sync_to_thread=True, operation_id="dryRunText", tags=[TAG])
def dry_run_text(services: Given, call: Caller, data: JSONBody[governance.DryRunOrder]) -> governance.DryRun:
    """Which of the versions that are served now would fail a standard that nobody has proposed yet; changes nothing."""
    found = read_standard(data.text)
    return convert_governance.dry_run(found.name, services.dry_runs.run(call, found))


# What is said at gates.


@get(f"{_VERSION}/review", sync_to_thread=True, operation_id="reviewVersion", tags=[TAG])
def review_version(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> governance.Review:
    """All that was said about a version at its acceptance."""
    return convert_governance.review(services.reviews.review(call, VersionName(model, number)))


@post(f"{_VERSION}/review/changes", status_code=200, sync_to_thread=True, operation_id="changeVersion", tags=[TAG])
def change_version(
    services: Given, call: Caller, model: ModelName, number: VersionNumber, data: JSONBody[governance.OpinionOrder]
) -> governance.Review:
    """Ask for changes to a version: its gate stays shut until the caller says otherwise. Never one's own work."""
    about = VersionName(model, number)
    return convert_governance.review(
        services.reviews.request_changes(call, about, data.reason, for_person=data.for_person)
    )


@post(f"{_VERSION}/review/comments", status_code=200, sync_to_thread=True, operation_id="commentVersion", tags=[TAG])
def comment_version(
    services: Given, call: Caller, model: ModelName, number: VersionNumber, data: JSONBody[governance.CommentOrder]
) -> governance.Review:
    """Remark something about a version."""
    return convert_governance.review(services.reviews.comment(call, VersionName(model, number), data.text))


@post(
    f"{_VERSION}/review/withdraw", status_code=200, sync_to_thread=True, operation_id="withdrawVersionVote", tags=[TAG]
)
def withdraw_version_vote(
    services: Given, call: Caller, model: ModelName, number: VersionNumber, data: JSONBody[control.ReasonOrder]
) -> governance.Review:
    """Take back what the caller has said about a version."""
    return convert_governance.review(services.reviews.withdraw_vote(call, VersionName(model, number), data.reason))


@get(f"{_RELEASE}/review", sync_to_thread=True, operation_id="reviewRelease", tags=[TAG])
def review_release(services: Given, call: Caller, endpoint: EndpointName, number: ReleaseNumber) -> governance.Review:
    """All that was said about a release at its go-live."""
    return convert_governance.review(services.reviews.review(call, ReleaseName(endpoint, number)))


@post(f"{_RELEASE}/review/changes", status_code=200, sync_to_thread=True, operation_id="changeRelease", tags=[TAG])
def change_release(
    services: Given,
    call: Caller,
    endpoint: EndpointName,
    number: ReleaseNumber,
    data: JSONBody[governance.OpinionOrder],
) -> governance.Review:
    """Ask for changes to a release: its gate stays shut until the caller says otherwise. Never one's own work."""
    about = ReleaseName(endpoint, number)
    return convert_governance.review(
        services.reviews.request_changes(call, about, data.reason, for_person=data.for_person)
    )


@post(f"{_RELEASE}/review/comments", status_code=200, sync_to_thread=True, operation_id="commentRelease", tags=[TAG])
def comment_release(
    services: Given,
    call: Caller,
    endpoint: EndpointName,
    number: ReleaseNumber,
    data: JSONBody[governance.CommentOrder],
) -> governance.Review:
    """Remark something about a release."""
    return convert_governance.review(services.reviews.comment(call, ReleaseName(endpoint, number), data.text))


@post(
    f"{_RELEASE}/review/withdraw", status_code=200, sync_to_thread=True, operation_id="withdrawReleaseVote", tags=[TAG]
)
def withdraw_release_vote(
    services: Given, call: Caller, endpoint: EndpointName, number: ReleaseNumber, data: JSONBody[control.ReasonOrder]
) -> governance.Review:
    """Take back what the caller has said about a release."""
    return convert_governance.review(services.reviews.withdraw_vote(call, ReleaseName(endpoint, number), data.reason))


@post(f"{_RELEASE}/confirm", status_code=200, sync_to_thread=True, operation_id="confirmRelease", tags=[TAG])
def confirm_release(
    services: Given,
    call: Caller,
    endpoint: EndpointName,
    number: ReleaseNumber,
    data: JSONBody[governance.OpinionOrder],
) -> control.Release:
    """Agree afterwards with a release that went live without its approvals. Never by who broke the glass."""
    found = services.releases.confirm(call, endpoint, number, data.reason, for_person=data.for_person)
    return convert.release(found)


@get(f"{_STANDARD}/review", sync_to_thread=True, operation_id="reviewStandard", tags=[TAG])
def review_standard(services: Given, call: Caller, number: StandardNumber) -> governance.Review:
    """All that was said about a standard."""
    return convert_governance.review(services.reviews.review(call, StandardName(number)))


@post(f"{_STANDARD}/review/changes", status_code=200, sync_to_thread=True, operation_id="changeStandard", tags=[TAG])
def change_standard(
    services: Given, call: Caller, number: StandardNumber, data: JSONBody[governance.OpinionOrder]
) -> governance.Review:
    """Ask for changes to a proposed standard. Never one's own proposal."""
    about = StandardName(number)
    return convert_governance.review(
        services.reviews.request_changes(call, about, data.reason, for_person=data.for_person)
    )


@post(f"{_STANDARD}/review/comments", status_code=200, sync_to_thread=True, operation_id="commentStandard", tags=[TAG])
def comment_standard(
    services: Given, call: Caller, number: StandardNumber, data: JSONBody[governance.CommentOrder]
) -> governance.Review:
    """Remark something about a standard."""
    return convert_governance.review(services.reviews.comment(call, StandardName(number), data.text))


@post(
    f"{_STANDARD}/review/withdraw",
    status_code=200,
    sync_to_thread=True,
    operation_id="withdrawStandardVote",
    tags=[TAG],
)
def withdraw_standard_vote(
    services: Given, call: Caller, number: StandardNumber, data: JSONBody[control.ReasonOrder]
) -> governance.Review:
    """Take back what the caller has said about a standard."""
    return convert_governance.review(services.reviews.withdraw_vote(call, StandardName(number), data.reason))


# Delegations and waivers.


@get("/delegations", sync_to_thread=True, operation_id="listDelegations", tags=[TAG])
def list_delegations(services: Given, call: Caller) -> governance.Delegations:
    """Who stands in for whom, past delegations too."""
    found, now = services.delegations.delegations(call), datetime.now(UTC)
    return governance.Delegations(delegations=tuple(convert_governance.delegation(one, now) for one in found))


@post("/delegations", sync_to_thread=True, operation_id="delegate", tags=[TAG])
def delegate(services: Given, call: Caller, data: JSONBody[governance.DelegationOrder]) -> governance.Delegation:
    """Let somebody vote in the caller's place for a while; gives that person no right."""
    ends = convert.required_moment(data.ends)
    made = services.delegations.delegate(call, data.to, ends, data.reason, starts=convert.moment_of(data.starts))
    return convert_governance.delegation(made, datetime.now(UTC))


@post(
    "/delegations/{delegation:str}/end", status_code=200, sync_to_thread=True, operation_id="endDelegation", tags=[TAG]
)
def end_delegation(
    services: Given, call: Caller, delegation: DelegationId, data: JSONBody[control.ReasonOrder]
) -> governance.Delegation:
    """End a delegation before its time; votes that were given by it count no longer."""
    return convert_governance.delegation(services.delegations.end(call, delegation, data.reason), datetime.now(UTC))


@get("/waivers", sync_to_thread=True, operation_id="listWaivers", tags=[TAG])
def list_waivers(services: Given, call: Caller) -> governance.Waivers:
    """The waivers of the project, the newest first."""
    found, now = services.reviews.waivers(call), datetime.now(UTC)
    return governance.Waivers(waivers=tuple(convert_governance.waiver(one, now) for one in found))


@post(f"{_VERSION}/waivers", sync_to_thread=True, operation_id="askWaiver", tags=[TAG])
def ask_waiver(
    services: Given, call: Caller, model: ModelName, number: VersionNumber, data: JSONBody[governance.WaiverOrder]
) -> governance.Waiver:
    """Ask that a version may fail a check, or lack something, until a moment."""
    ends = convert.required_moment(data.ends)
    asked = services.reviews.ask_waiver(call, VersionName(model, number), data.check, ends, data.reason)
    return convert_governance.waiver(asked, datetime.now(UTC))


@post("/waivers/{waiver:str}/grant", status_code=200, sync_to_thread=True, operation_id="grantWaiver", tags=[TAG])
def grant_waiver(
    services: Given, call: Caller, waiver: WaiverId, data: JSONBody[control.ReasonOrder]
) -> governance.Waiver:
    """Grant a waiver that somebody else asked for. Never for one's own work."""
    found = services.reviews.decide_waiver(call, waiver, WaiverState.GRANTED, data.reason)
    return convert_governance.waiver(found, datetime.now(UTC))


@post("/waivers/{waiver:str}/refuse", status_code=200, sync_to_thread=True, operation_id="refuseWaiver", tags=[TAG])
def refuse_waiver(
    services: Given, call: Caller, waiver: WaiverId, data: JSONBody[control.ReasonOrder]
) -> governance.Waiver:
    """Refuse a waiver that somebody else asked for."""
    found = services.reviews.decide_waiver(call, waiver, WaiverState.REFUSED, data.reason)
    return convert_governance.waiver(found, datetime.now(UTC))


HANDLERS = (
    list_standards,
    get_current_standard,
    get_standard,
    propose_standard,
    approve_standard,
    reject_standard,
    dry_run_standard,
    dry_run_text,
    review_version,
    change_version,
    comment_version,
    withdraw_version_vote,
    review_release,
    change_release,
    comment_release,
    withdraw_release_vote,
    confirm_release,
    review_standard,
    change_standard,
    comment_standard,
    withdraw_standard_vote,
    list_delegations,
    delegate,
    end_delegation,
    list_waivers,
    ask_waiver,
    grant_waiver,
    refuse_waiver,
)
