"""An authority of one's own, and the certificates it signs."""

import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


class Authority:
    """Signs certificates for `localhost` and 127.0.0.1, and for clients.

    Args:
        folder: where everything lies.
        name: of the authority.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl("req", "-x509", *_EC, "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate)

    def sign(self, name: str) -> tuple[Path, Path]:
        """A new certificate with its key, called so; the paths of both."""
        key, asked, signed = (self.folder / f"{name}{ending}" for ending in (".key", ".csr", ".pem"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl("req", "-new", *_EC[:-2], "-subj", f"/CN={name}", "-keyout", key, "-out", asked)
        _openssl("x509", "-req", "-in", asked, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", "2",
                 "-extfile", extensions, "-out", signed)  # fmt: skip
        return signed, key

    def trusted(self, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """For a client that trusts this authority alone, and may show a certificate."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if shown is not None:
            context.load_cert_chain(*shown)
        return context


def common_name(certificate: Mapping[str, object] | None) -> str:
    """Whom a certificate names, as `SSLSocket.getpeercert` gives it."""
    subject = (certificate or {})["subject"]
    assert isinstance(subject, tuple)
    return str(dict(pair for part in subject for pair in part)["commonName"])


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
