"""The certificate of the scoring doors, as files hold it."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from certificates import Authority, common_name
from muster.serving.errors import CertificateUnusable
from muster.serving.front.tls import Certificates, TlsFiles


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> TlsFiles:
    """A certificate, its key, and an authority for clients."""
    made = TlsFiles(certificate=tmp_path / "c.pem", key=tmp_path / "k.pem", client_ca=tmp_path / "ca.pem")
    install(made, *authority.sign("first"))
    shutil.copyfile(authority.certificate, tmp_path / "ca.pem")
    return made


def install(files: TlsFiles, certificate: Path, key: Path) -> None:
    for source, target in ((certificate, files.certificate), (key, files.key)):
        fresh = target.with_suffix(".new")
        shutil.copyfile(source, fresh)
        fresh.replace(target)


def encrypted(key: Path) -> None:
    locked = key.with_suffix(".locked")
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked], check=True, timeout=20
    )
    locked.replace(key)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


BREAKS: dict[str, tuple[Callable[[TlsFiles], object], str]] = {
    "no certificate": (lambda files: files.certificate.unlink(), "c.pem (serving.tls_certificate) cannot be read: No such"),
    "no key": (lambda files: files.key.unlink(), "k.pem (serving.tls_key) cannot be read: No such file"),
    "no authority": (lambda files: (files.client_ca or Path()).unlink(), "(serving.tls_client_ca) cannot be read"),
    "a folder": (lambda files: folder_instead(files.key), "k.pem (serving.tls_key) cannot be read: Is a directory"),
    "no PEM": (lambda files: files.certificate.write_bytes(b"\x30\x82"), "c.pem (serving.tls_certificate) holds no cert"),
    "files exchanged": (lambda files: files.key.write_bytes(files.certificate.read_bytes()), "holds no private key"),
    "cut off": (lambda files: files.key.write_bytes(files.key.read_bytes()[:90]), "cannot be used"),
    "a passphrase": (lambda files: encrypted(files.key), "k.pem (serving.tls_key) is protected by a passphrase"),
    "no authority in it": (lambda files: (files.client_ca or Path()).write_bytes(b"-----BEGIN CERTIFICATE-----\n"), "holds no"),
}  # fmt: skip


@pytest.mark.parametrize("broken", BREAKS)
def test_what_cannot_be_used_is_named(files: TlsFiles, broken: str) -> None:
    """The file, the setting, and what is wrong with it."""
    spoil, told = BREAKS[broken]
    Certificates(files)
    spoil(files)
    with pytest.raises(CertificateUnusable) as refused:
        Certificates(files)
    assert told in refused.value.message


def test_files_that_do_not_fit_together_are_named(files: TlsFiles, authority: Authority) -> None:
    """The key of another certificate is refused at the start."""
    shutil.copyfile(authority.sign("other")[1], files.key)
    with pytest.raises(CertificateUnusable, match="do not belong together"):
        Certificates(files)


def test_changed_files_are_read_once_and_halves_are_passed_over(files: TlsFiles, authority: Authority) -> None:
    """What is shown stays until both files are new; a mistake is logged once, however many handshakes there are."""
    certificates = Certificates(files)
    first = certificates.current()
    assert certificates.current() is first
    new_certificate, new_key = authority.sign("second")
    with capture_logs() as said:
        shutil.copyfile(new_certificate, files.certificate)
        assert [certificates.current() for _ in range(3)] == [first] * 3
        files.key.unlink()
        assert certificates.current() is first
        shutil.copyfile(new_key, files.key)
        second = certificates.current()
    assert second.certificate == new_certificate.read_bytes()
    assert certificates.current() is second
    assert [line["event"] for line in said] == ["certificate.not_renewed"] * 2 + ["certificate.renewed"]


def greeted(certificates: Certificates, clients: list[ssl.SSLContext], turn: Callable[[], object]) -> list[str]:
    """Whom a server of the event loop shows to clients that it answers, one after the other; `turn` is called after the first."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async def meet(address: tuple[str, int], client: ssl.SSLContext) -> str:
        try:
            reader, writer = await asyncio.open_connection(*address, ssl=client, server_hostname="localhost")
            shown = common_name(writer.get_extra_info("peercert"))
            answered = await reader.read()
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        except OSError:
            return "refused"
        return shown if answered == b"hello" else "refused"

    async def story() -> list[str]:
        listener = socket.create_server(("127.0.0.1", 0))
        server = await asyncio.start_server(greet, sock=listener, ssl=certificates.context())
        seen = []
        for number, client in enumerate(clients):
            if number == 1:
                turn()
            seen.append(await meet(listener.getsockname(), client))
        server.close()
        await server.wait_closed()
        return seen

    return asyncio.run(story())


def test_one_server_shows_what_is_current(files: TlsFiles, authority: Authority) -> None:
    """A new certificate at the next handshake, although the server keeps its context."""
    without_clients = TlsFiles(certificate=files.certificate, key=files.key)
    seen = greeted(
        Certificates(without_clients), [authority.trusted()] * 3, lambda: install(files, *authority.sign("second"))
    )
    assert seen == ["first", "second", "second"]


def test_another_authority_for_clients_counts_at_once(files: TlsFiles, authority: Authority, tmp_path: Path) -> None:
    """Who shows a certificate of the former one is refused from then on; who shows none is refused in any case."""
    others = Authority(tmp_path, "others")
    former, latter = (authority.trusted(one.sign("client")) for one in (authority, others))
    ca = files.client_ca
    assert ca is not None
    for clients, expected in (
        ([former, former, latter], ["first", "refused", "first"]),
        ([latter, authority.trusted()], ["first", "refused"]),
    ):
        seen = greeted(Certificates(files), clients, lambda: ca.write_bytes(others.certificate.read_bytes()))
        assert seen == expected
