"""Models, versions, what a version consists of, and the deeds of its life."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, BinaryIO

from litestar import Request, get, post
from litestar.datastructures import ResponseHeader
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from muster.access.actor import Actor, Call
from muster.access.roles import Right
from muster.api import convert
from muster.api.identity import request_digest
from muster.api.origins import TAKES_FILE
from muster.api.parameters import AfterName, AfterNumber, Limit, ModelName, VersionNumber
from muster.api.services import Caller, Given, Services
from muster.api.threads import in_thread
from muster.api.uploads import uploaded
from muster.certification.twinned import TwinOrder
from muster.packaging.documents import Tolerance
from muster.registry.errors import FileNotFound
from muster.registry.records import Version
from muster.vocabulary.names import VersionName
from muster.vocabulary.pages import USUAL, paged
from muster.wire import control

TAG = "versions"
_VERSION = "/models/{model:str}/versions/{number:int}"
_PIECE_BYTES = 1 << 18


@post("/versions", request_max_body_size=None, opt={TAKES_FILE: True}, operation_id="register", tags=[TAG])
async def register(
    services: Given,
    call: Caller,
    request: Request[Actor, Any, Any],
    model: Annotated[
        str | None,
        QueryParameter(max_length=63, description="Under which model; without it, the name in `muster.toml`."),
    ] = None,
) -> control.Version:
    """Register a bundle: the body is the zip that `muster pack` makes (`application/zip`).

    The same bytes again are the same version.
    """
    services.access.require(call, Right.REGISTER)  # before gigabytes are taken
    async with uploaded(request, services.uploads, services.upload_bytes) as upload:
        if call.idempotency_key is not None:
            call = replace(call, request_digest=request_digest(request, upload.sha256))
        added = await in_thread(services.registry.register, call, upload.file, model)
        return await in_thread(_whole, services, call, added)


@get("/models", sync_to_thread=True, operation_id="listModels", tags=[TAG])
def list_models(services: Given, call: Caller, limit: Limit = USUAL, after: AfterName = None) -> control.Models:
    """The models of the project, by name, page by page."""
    page = paged(services.registry.models(call, limit=limit + 1, after=after), limit, lambda model: model.name)
    return control.Models(models=tuple(convert.model_summary(model) for model in page.items), next=page.next)


@get("/models/{model:str}", sync_to_thread=True, operation_id="getModel", tags=[TAG])
def get_model(
    services: Given, call: Caller, model: ModelName, limit: Limit = USUAL, after: AfterNumber = None
) -> control.Model:
    """A model, what it carries, and its versions, the newest first, page by page."""
    found = services.registry.model(call, model, limit=limit + 1, after=after)
    page = paged(found.versions, limit, lambda version: version.number)
    return convert.model(replace(found, versions=page.items), page.next)


@get("/models/{model:str}/versions", sync_to_thread=True, operation_id="listVersions", tags=[TAG])
def list_versions(
    services: Given, call: Caller, model: ModelName, limit: Limit = USUAL, after: AfterNumber = None
) -> control.Versions:
    """The versions of a model, the newest first, page by page."""
    found = services.registry.versions(call, model, limit=limit + 1, after=after)
    page = paged(found, limit, lambda version: version.number)
    return control.Versions(versions=tuple(convert.version_summary(version) for version in page.items), next=page.next)


@get(_VERSION, sync_to_thread=True, operation_id="getVersion", tags=[TAG])
def get_version(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> control.Version:
    """A version: what it is, where it is in its life, what it takes and gives."""
    return _whole(services, call, services.registry.version(call, _named(model, number)))


@get(f"{_VERSION}/manifest", sync_to_thread=True, operation_id="getManifest", tags=[TAG])
def get_manifest(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> control.Manifest:
    """A version's manifest, whose canonical JSON (RFC 8785) is the version's identity."""
    name = _named(model, number)
    return convert.manifest(name, services.registry.manifest(call, name))


@get(
    f"{_VERSION}/files/{{path:path}}",
    sync_to_thread=True,
    operation_id="getFile",
    tags=[TAG],
    media_type="application/octet-stream",
    response_headers=[ResponseHeader(name="X-Content-Type-Options", value="nosniff", documentation_only=True)],
    responses={200: ResponseSpec(data_container=bytes, media_type="application/octet-stream", description="The file.")},
)
def get_file(services: Given, call: Caller, model: ModelName, number: VersionNumber, path: FromPath[str]) -> Stream:
    """A file of a version; its bytes are verified on the way, and damaged ones never come to their end."""
    name, inside = _named(model, number), path.lstrip("/")
    entry = services.registry.manifest(call, name).file(inside)
    if entry is None:
        raise FileNotFound(f"{name} has no file {inside!r}", version=str(name), path=inside)
    sha256 = base64.b64encode(bytes.fromhex(entry.digest.removeprefix("sha256:"))).decode()
    headers = {
        "content-length": str(entry.size),
        "repr-digest": f"sha-256=:{sha256}:",
        "x-content-type-options": "nosniff",
    }
    stream = services.registry.file(call, name, inside)
    return Stream(_pieces(stream), media_type="application/octet-stream", headers=headers)


@get(f"{_VERSION}/diff", sync_to_thread=True, operation_id="diffVersions", tags=[TAG])
def diff(
    services: Given,
    call: Caller,
    model: ModelName,
    number: VersionNumber,
    against: Annotated[str, QueryParameter(max_length=80, description="The earlier version, like `churn:2`.")],
) -> control.VersionDiff:
    """How a version differs from an earlier one: files, contract, packages, declarations, sealed environments."""
    before, after = VersionName.parse(against), _named(model, number)
    return convert.diff(
        services.registry.diff(call, before, after), services.certification.sealed_differences(call, before, after)
    )


@get(f"{_VERSION}/sbom", sync_to_thread=True, operation_id="getBill", tags=[TAG])
def get_bill(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> control.Bill:
    """What a version consists of, as CycloneDX 1.6; made from the seal of its newest certificate."""
    name = _named(model, number)
    return control.Bill(version=str(name), bom=services.certification.bill(call, name))


@post(f"{_VERSION}/certify", status_code=202, sync_to_thread=True, operation_id="certify", tags=[TAG])
def certify(
    services: Given,
    call: Caller,
    model: ModelName,
    number: VersionNumber,
    twin: Annotated[  # noqa: FBT002 - a parameter of the query, which has a name
        bool, QueryParameter(description="Make a compiled twin as well, and hold it against the version.")
    ] = False,
    twin_abs: Annotated[
        float | None,
        QueryParameter(ge=0, le=1e308, description="How far the twin's values may lie from the version's."),
    ] = None,
    twin_rel: Annotated[
        float | None, QueryParameter(ge=0, le=1e308, description="The same, in parts of the version's value.")
    ] = None,
) -> control.Session:
    """Have a version examined; the answer names the session to look at. One under way already is that one.

    Where neither `twin_abs` nor `twin_rel` is given, the tolerance of the golden answers holds for the twin, too.
    """
    order = TwinOrder(tolerance=_tolerance(twin_abs, twin_rel)) if twin else None
    return convert.session(services.certification.certify(call, _named(model, number), order))


@get("/packages", sync_to_thread=True, operation_id="getPackageRules", tags=[TAG])
def get_package_rules(services: Given, call: Caller) -> control.PackageRules:
    """Which packages the project trusts."""
    return convert.package_rules(services.registry.package_rules(call))


@post("/packages", status_code=200, sync_to_thread=True, operation_id="setPackageRules", tags=[TAG])
def set_package_rules(services: Given, call: Caller, data: JSONBody[control.PackageRulesOrder]) -> control.PackageRules:
    """Say which packages the project trusts; certifications from now on go by it. Takes the right manage-packages."""
    return convert.package_rules(services.registry.set_package_rules(call, data.rules, data.reason))


@post(f"{_VERSION}/accept", status_code=200, sync_to_thread=True, operation_id="accept", tags=[TAG])
def accept(
    services: Given, call: Caller, model: ModelName, number: VersionNumber, data: JSONBody[control.AcceptanceOrder]
) -> control.Version:
    """Say yes to a certified version; with the last approval that is needed it is accepted. Never one's own work."""
    name = _named(model, number)
    found = services.approvals.accept(call, name, data.reason, for_person=data.for_person)
    return _whole(services, call, found)


@post(f"{_VERSION}/retire", status_code=200, sync_to_thread=True, operation_id="retire", tags=[TAG])
def retire(
    services: Given, call: Caller, model: ModelName, number: VersionNumber, data: JSONBody[control.ReasonOrder]
) -> control.Version:
    """End a version's life: new releases refuse it."""
    return _whole(services, call, services.registry.retire(call, _named(model, number), data.reason))


@post(f"{_VERSION}/ban", status_code=200, sync_to_thread=True, operation_id="ban", tags=[TAG])
def ban(
    services: Given, call: Caller, model: ModelName, number: VersionNumber, data: JSONBody[control.ReasonOrder]
) -> control.Version:
    """Say that a version should not be used: fronts stop asking it within a second, new releases refuse it."""
    return _whole(services, call, services.registry.ban(call, _named(model, number), data.reason))


def _tolerance(absolute: float | None, relative: float | None) -> Tolerance | None:
    if absolute is None and relative is None:
        return None
    return Tolerance(abs=absolute or 0.0, rel=relative or 0.0)


def _named(model: str, number: int) -> VersionName:
    return VersionName(model, number)


def _whole(services: Services, call: Call, found: Version) -> control.Version:
    """A version with all that other rooms know of it."""
    return convert.version(
        services.approvals.told(call, found),
        services.registry.manifest_of(found.digest),
        services.certification.newest_certificate(call, found),
        services.releases.releases_with(call, found.name),
        services.standards.lacks(call, found),
    )


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The file piece by piece, the last one held back until the whole is known to be right."""
    with stream:
        held = stream.read(_PIECE_BYTES)
        while held:
            following = stream.read(_PIECE_BYTES)
            yield held
            held = following


HANDLERS = (
    register,
    list_models,
    get_model,
    list_versions,
    get_version,
    get_manifest,
    get_file,
    diff,
    get_bill,
    certify,
    get_package_rules,
    set_package_rules,
    accept,
    retire,
    ban,
)
