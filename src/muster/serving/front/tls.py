"""The certificate of the scoring doors: read from files, checked, and read again when the files change.

Whoever renews certificates replaces files and restarts nothing, so every handshake looks whether they are still the same. What
cannot be used, as while only one of two files has been replaced, is passed over with a line in the log, and the one before is shown.
"""

import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from muster.serving.errors import CertificateUnusable

log = structlog.get_logger()

#: Of each file: which it is, how large, and when it was last written.
_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the certificate lies; all of them PEM."""

    certificate: Path
    """Of the server, and after it those between it and the one that clients trust."""
    key: Path
    """Its private key, without a passphrase."""
    client_ca: Path | None = None
    """Who signs the certificates that clients have to show; None: they need none."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.certificate, self.key, *(() if self.client_ca is None else (self.client_ca,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the files held at one time, whole and fitting together."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext


class Certificates:
    """What the doors of one front show to their callers; may be used by several threads.

    Args:
        files: where it lies.

    Raises:
        CertificateUnusable: a file cannot be read, or they do not fit together.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._guard = threading.Lock()
        self._seen = _stamp(files)
        self._shown = _read(files)

    @property
    def wants_clients_certificates(self) -> bool:
        """Whether callers have to show a certificate, too."""
        return self._files.client_ca is not None

    def current(self) -> Shown:
        """What is to be shown now: what the files hold, or the last that could be used."""
        with self._guard:
            stamp = _stamp(self._files)
            if stamp != self._seen:
                # Before reading: what changes meanwhile has another stamp and is read at the next look.
                self._seen = stamp
                try:
                    self._shown = _read(self._files)
                except CertificateUnusable as error:
                    log.error("certificate.not_renewed", message=error.message)
                else:
                    log.info("certificate.renewed", file=str(self._files.certificate))
            return self._shown

    def context(self) -> ssl.SSLContext:
        """For a server that keeps one context for ever: at each handshake it takes what is current."""
        begins = _read(self._files).context

        def turn(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self.current().context

        # It is called for clients that name no server, too. Each connection gets a context of its own that is never changed:
        # to load a certificate into one that is in use would show a new certificate with an old key for a moment.
        begins.sni_callback = turn
        return begins


def _read(files: TlsFiles) -> Shown:
    """What the files hold now.

    Raises:
        CertificateUnusable: a file cannot be read, or they do not fit together.
    """
    certificate = _bytes_of(files.certificate, "serving.tls_certificate", b"-----BEGIN CERTIFICATE-----")
    key = _bytes_of(files.key, "serving.tls_key", b"PRIVATE KEY-----")
    client_ca = None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # From memory, so that what is checked here is what is shown, at both doors, whatever becomes of the files.
    with _in_memory(certificate) as certificate_file, _in_memory(key) as key_file:
        try:
            context.load_cert_chain(certificate_file, key_file, password=lambda: _refuse_passphrase(files.key))
        except ssl.SSLError as error:
            raise _unusable(files, error) from error
    if files.client_ca is not None:
        client_ca = _bytes_of(files.client_ca, "serving.tls_client_ca", b"-----BEGIN CERTIFICATE-----")
        try:
            context.load_verify_locations(cadata=client_ca.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError) as error:
            raise CertificateUnusable(
                f"{files.client_ca} (serving.tls_client_ca) holds no certificate that can be read: {error}",
                file=str(files.client_ca),
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return Shown(certificate=certificate, key=key, client_ca=client_ca, context=context)


def _bytes_of(file: Path, setting: str, wanted: bytes) -> bytes:
    try:
        found = file.read_bytes()
    except OSError as error:
        raise CertificateUnusable(f"{file} ({setting}) cannot be read: {error.strerror}", file=str(file)) from error
    if wanted not in found:
        what = "private key" if b"KEY" in wanted else "certificate"
        raise CertificateUnusable(f"{file} ({setting}) holds no {what} in PEM", file=str(file))
    return found


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A path under which a library finds bytes that lie on no disk."""
    handle = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(handle, content)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _refuse_passphrase(file: Path) -> str:
    """Without this the library would ask whoever sits at the terminal."""
    raise CertificateUnusable(f"{file} (serving.tls_key) is protected by a passphrase", file=str(file))


def _unusable(files: TlsFiles, error: ssl.SSLError) -> CertificateUnusable:
    both = f"{files.certificate} (serving.tls_certificate) and {files.key} (serving.tls_key)"
    if error.reason == "KEY_VALUES_MISMATCH":
        told = f"{both} do not belong together: the key is another certificate's"
    else:
        told = f"{both} cannot be used: {error.reason or error}"
    return CertificateUnusable(told, file=str(files.certificate))


def _stamp(files: TlsFiles) -> _Stamp:
    return tuple(map(_stamp_of, files.all))


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
