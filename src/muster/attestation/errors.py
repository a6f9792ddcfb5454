"""What can be wrong with keys, envelopes and statements."""

from muster.vocabulary.errors import Invalid, Refused


class KeyMalformed(Invalid):
    """A file holds no Ed25519 key in PEM, or one with a passphrase."""

    code = "attestation.key-malformed"
    advice = "Make one with `openssl genpkey -algorithm ed25519 -out me.pem`; its public part: `openssl pkey -in me.pem -pubout`."


class AttestationMalformed(Invalid):
    """A file is no DSSE envelope, or what it carries is no certificate of a factory."""

    code = "attestation.malformed"
    advice = "Export it again with `muster certificate export`; docs/reference/certificates.md describes the format."


class SignatureInvalid(Refused):
    """No signature of the envelope was made over its payload by one of the given keys."""

    code = "attestation.signature-invalid"
    advice = (
        "Do not trust this file. Export the certificate again, and compare the key's id with what the factory lists."
    )
