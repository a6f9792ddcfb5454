"""Signed certificates, keys, notices."""

from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, PathParameter, QueryParameter

from muster.api import convert, convert_certificates
from muster.api.parameters import ModelName, VersionNumber
from muster.api.services import Caller, Given
from muster.vocabulary.names import VersionName
from muster.wire import certificates, control

TAG = "certificates"
_VERSION = "/models/{model:str}/versions/{number:int}"
KeyId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{64}$", description="Id of the key.")]


@get("/certificates/keys", sync_to_thread=True, operation_id="listCertificateKeys", tags=[TAG])
def list_keys(services: Given) -> certificates.CertificateKeys:
    """The public keys that certificates are verified with, also those that were revoked."""
    return certificates.CertificateKeys(keys=tuple(convert_certificates.key(key) for key in services.keys.listed()))


@post(
    "/certificates/keys/rotate",
    status_code=200,
    sync_to_thread=True,
    operation_id="rotateCertificateKey",
    tags=[TAG],
)
def rotate_key(services: Given, call: Caller, data: JSONBody[control.ReasonOrder]) -> certificates.CertificateKey:
    """Have a new key of the factory sign from now on; those before are revoked. Takes the right manage-keys."""
    return convert_certificates.key(services.keys.rotate(call, data.reason))


@post("/certificates/keys", sync_to_thread=True, operation_id="addCertificateKey", tags=[TAG])
def add_key(services: Given, call: Caller, data: JSONBody[certificates.KeyOrder]) -> certificates.CertificateKey:
    """Make a public key of one's own known, to sign certificates with. Takes the right certify."""
    return convert_certificates.key(services.keys.add(call, data.public_key, data.reason))


@post(
    "/certificates/keys/{key:str}/revoke",
    status_code=200,
    sync_to_thread=True,
    operation_id="revokeCertificateKey",
    tags=[TAG],
)
def revoke_key(
    services: Given, call: Caller, key: KeyId, data: JSONBody[control.ReasonOrder]
) -> certificates.CertificateKey:
    """Say that a person's key signs nothing any more: its owner, or who has the right manage-keys."""
    return convert_certificates.key(services.keys.revoke(call, key, data.reason))


@get(f"{_VERSION}/certificates", sync_to_thread=True, operation_id="listCertificates", tags=[TAG])
def list_certificates(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> control.Certificates:
    """Every certificate of a version, the newest first."""
    found = services.certification.certificates(call, VersionName(model, number))
    return control.Certificates(certificates=tuple(convert.certificate_of(one) for one in found))


@get(f"{_VERSION}/certificate", sync_to_thread=True, operation_id="getSignedCertificate", tags=[TAG])
def get_signed(
    services: Given, call: Caller, model: ModelName, number: VersionNumber
) -> certificates.SignedCertificate:
    """The newest certificate of a version as a signed statement: a DSSE envelope over an in-toto statement."""
    return convert_certificates.signed(services.certificates.signed(call, VersionName(model, number)))


@post(
    f"{_VERSION}/certificate/signatures",
    status_code=200,
    sync_to_thread=True,
    operation_id="signCertificate",
    tags=[TAG],
)
def sign(
    services: Given,
    call: Caller,
    model: ModelName,
    number: VersionNumber,
    data: JSONBody[certificates.SignatureOrder],
) -> certificates.SignedCertificate:
    """Put one's own signature beside the factory's; it is made where the private key is. Takes the right certify."""
    name = VersionName(model, number)
    found = services.certificates.sign(
        call, name, session=data.session, key_id=data.key, sig=data.sig, reason=data.reason
    )
    return convert_certificates.signed(found)


@get(f"{_VERSION}/certificate/verification", sync_to_thread=True, operation_id="verifyCertificate", tags=[TAG])
def verify(
    services: Given,
    call: Caller,
    model: ModelName,
    number: VersionNumber,
    strict: Annotated[  # noqa: FBT002 - a parameter of the query, which has a name
        bool,
        QueryParameter(
            description="A key that is revoked by now vouches for nothing, whatever moment the certificate names."
        ),
    ] = False,
) -> certificates.CertificateVerification:
    """Hold the newest certificate against its signatures, every stored byte of the version, the time and this machine."""
    found = services.certificates.verify(call, VersionName(model, number), strict=strict)
    return convert_certificates.verification(found)


@get("/notices", sync_to_thread=True, operation_id="listNotices", tags=[TAG])
def list_notices(
    services: Given,
    call: Caller,
    urgent: Annotated[  # noqa: FBT002 - a parameter of the query, which has a name
        bool, QueryParameter(description="Only what somebody has to do something about.")
    ] = False,
) -> certificates.Notices:
    """What is to be said of the certificates of the project now: renewals, ends, changed environments."""
    found = services.notices.notices(call, urgent_only=urgent)
    return certificates.Notices(notices=tuple(convert_certificates.notice(one) for one in found))


OF_FACTORY = (list_keys, rotate_key)
HANDLERS = (add_key, revoke_key, list_certificates, get_signed, sign, verify, list_notices)
