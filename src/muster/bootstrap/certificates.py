"""The certificate that a home's settings name for its scoring doors: `muster up` checks it, and each front shows it."""

from muster.bootstrap.home import Home
from muster.serving.errors import CertificateUnusable
from muster.serving.front.tls import Certificates, TlsFiles


def certificates_of(home: Home) -> Certificates | None:
    """What the scoring doors show; None: they speak without TLS.

    Raises:
        CertificateUnusable: the settings name half of what is needed, or files that cannot be used.
    """
    serving = home.settings.serving
    if not serving.tls_certificate and not serving.tls_key and not serving.tls_client_ca:
        return None
    for setting, named in (("tls_certificate", serving.tls_certificate), ("tls_key", serving.tls_key)):
        if not named:
            raise CertificateUnusable(
                f"the setting serving.{setting} is missing: TLS takes a certificate and its key", setting=setting
            )
    return Certificates(
        TlsFiles(
            certificate=home.path / serving.tls_certificate,
            key=home.path / serving.tls_key,
            client_ca=home.path / serving.tls_client_ca if serving.tls_client_ca else None,
        )
    )
