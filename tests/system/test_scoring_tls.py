"""Both scoring doors over TLS, as clients meet them that trust an authority of their own."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from running_factory import MUSTER, RunningFactory, wait_for

import muster
from certificates import Authority, common_name
from muster.bootstrap.home import open_home
from muster.telemetry.scrape import scrape

FRONTS = 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def install(pair: tuple[Path, Path], folder: Path) -> None:
    """Replace the certificate that the doors show, as a program that renews it does: one file after the other."""
    for source, name in zip(pair, ("shown.pem", "shown.key"), strict=True):
        fresh = folder / f".{name}"
        shutil.copyfile(source, fresh)
        fresh.replace(folder / name)


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[RunningFactory]:
    """A factory with two fronts that speak TLS."""
    folder = tmp_path_factory.mktemp("tls")
    install(authority.sign("first"), folder)
    started = RunningFactory(
        folder / "home",
        environment={
            "MUSTER_SERVING_FRONTS": str(FRONTS),
            "MUSTER_SERVING_TLS_CERTIFICATE": str(folder / "shown.pem"),
            "MUSTER_SERVING_TLS_KEY": "../shown.key",
        },
    )
    yield started
    started.close()


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, adds: list[str]) -> str:
    """Endpoint `plus`: champion adds:1."""
    factory.release("plus", adds[0], deadline="5s")
    return "plus"


def place(factory: RunningFactory) -> tuple[str, int]:
    address = urlsplit(factory.scoring)
    assert address.hostname is not None
    assert address.port is not None
    return address.hostname, address.port


def shown(address: tuple[str, int], context: ssl.SSLContext) -> str:
    """Whom the certificate names that a door shows to a new connection."""
    with (
        socket.create_connection(address, timeout=10) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as spoken,
    ):
        return common_name(spoken.getpeercert())


def grpc_place(factory: RunningFactory) -> tuple[str, int]:
    host, _, port = factory.grpc.rpartition(":")
    return host, int(port)


def over_grpc(factory: RunningFactory, authority: Authority, pair: tuple[Path, Path] | None = None) -> float:
    """A score through tritonclient."""
    column = triton.InferInput("x", [1], "FP64")
    column.set_data_from_numpy(np.array([41.0]))
    certificate, key = (None, None) if pair is None else map(str, pair)
    with triton.InferenceServerClient(
        factory.grpc, ssl=True, root_certificates=str(authority.certificate), certificate_chain=certificate,
        private_key=key,
    ) as client:  # fmt: skip
        answer = client.infer(
            "plus", [column], headers={"authorization": f"Bearer {factory.tokens['shop']}"}, client_timeout=20
        )
    return float(answer.as_numpy("score")[0])


def post(factory: RunningFactory, context: ssl.SSLContext) -> httpx.Response:
    return httpx.post(
        f"{factory.scoring}/score/plus", json={"rows": [{"x": 41.0}]}, verify=context, timeout=20,
        headers={"authorization": f"Bearer {factory.tokens['shop']}"},
    )  # fmt: skip


def test_every_client_scores_over_tls(
    factory: RunningFactory, authority: Authority, endpoint: str, tmp_path: Path
) -> None:
    """httpx, curl, tritonclient, the Python client and the command line; on connections of their own, so at every front."""
    assert factory.scoring.startswith("https://")
    for _ in range(4 * FRONTS):
        assert post(factory, authority.trusted()).json()["answers"][0]["score"] == 42.0
    curl = subprocess.run(
        ["curl", "-sS", "--fail", "--cacert", authority.certificate, f"{factory.scoring}/v2/health/ready"],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert b'"ready":true' in curl.stdout
    assert over_grpc(factory, authority) == 42.0
    with muster.scorer(factory.scoring, token=factory.tokens["shop"], tls=authority.trusted()) as scorer:
        assert scorer.score("plus", [{"x": 41.0}])["score"] == [42.0]
    rows = tmp_path / "rows.json"
    rows.write_text('[{"x": 41.0}]')
    said = subprocess.run(
        [*MUSTER, "--url", factory.control, "score", endpoint, str(rows), "--json"],
        capture_output=True, text=True, timeout=60, check=False,
        env=factory.environment | {"SSL_CERT_FILE": str(authority.certificate), "MUSTER_TOKEN": factory.tokens["shop"]},
    )  # fmt: skip
    assert '"score": 42' in said.stdout, said.stderr


def test_who_does_not_trust_the_authority_or_speaks_no_tls_gets_nothing(
    factory: RunningFactory, endpoint: str, tmp_path: Path
) -> None:
    """A stranger's authority, plain HTTP, plain gRPC and TLS 1.1 are refused at both doors."""
    stranger = Authority(tmp_path, "stranger").trusted()
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        post(factory, stranger)
    with pytest.raises(httpx.TransportError):
        httpx.get(factory.scoring.replace("https", "http") + "/v2/health/live")
    with grpc.insecure_channel(factory.grpc) as plain, pytest.raises(grpc.FutureTimeoutError):
        grpc.channel_ready_future(plain).result(1)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    for door in (place(factory), grpc_place(factory)):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shown(door, old)


def test_a_front_that_is_killed_leaves_its_callers_to_the_other(
    factory: RunningFactory, authority: Authority, endpoint: str
) -> None:
    """Connections that fall to the socket of a dead front are adopted by the one that lives, handshake and all."""
    context = authority.trusted()
    dead = factory.kill("front", "front-0")
    for _ in range(4 * FRONTS):
        assert post(factory, context).status_code == 200
    wait_for(lambda: len(factory.processes("front")) == FRONTS and dead not in factory.processes("front"))
    wait_for(lambda: scrape(open_home(factory.home).sockets / "metrics-front-0.sock"), told="it serves again")


def test_a_renewed_certificate_is_shown_without_a_restart(
    factory: RunningFactory, authority: Authority, endpoint: str
) -> None:
    """By every front, at both doors; open connections go on; half of a pair is passed over and logged."""
    folder, context = factory.home.parent, authority.trusted()
    before = factory.processes("front")
    with httpx.Client(verify=context, base_url=factory.scoring) as kept:
        assert kept.get("/v2/health/live").is_success
        install(authority.sign("second"), folder)
        for door in (place(factory), grpc_place(factory)):
            assert {shown(door, context) for _ in range(6 * FRONTS)} == {"second"}
        assert kept.get("/v2/health/live").is_success
    shutil.copyfile(authority.sign("third")[0], folder / "shown.pem")  # without its key
    for door in (place(factory), grpc_place(factory)):
        assert {shown(door, context) for _ in range(6 * FRONTS)} == {"second"}
    logged = "".join(path.read_text() for path in factory.home.glob("logs/front-*.log"))
    assert "do not belong together" in logged
    install(authority.sign("fourth"), folder)
    for door in (place(factory), grpc_place(factory)):
        assert {shown(door, context) for _ in range(6 * FRONTS)} == {"fourth"}
    assert over_grpc(factory, authority) == 42.0
    assert factory.processes("front") == before


def test_callers_show_certificates_where_an_authority_of_theirs_is_named(
    factory: RunningFactory, authority: Authority, endpoint: str, tmp_path: Path
) -> None:
    """Without one, or with a stranger's, nobody gets an answer; a token is needed all the same."""
    clients = Authority(tmp_path, "clients")
    shop, stranger = clients.sign("shop"), Authority(tmp_path, "others").sign("stranger")
    factory.stop()
    factory.environment["MUSTER_SERVING_TLS_CLIENT_CA"] = str(clients.certificate)
    factory.up()
    wait_for(lambda: post(factory, authority.trusted(shop)).status_code == 200)
    assert over_grpc(factory, authority, shop) == 42.0
    without_token = httpx.post(f"{factory.scoring}/score/plus", content=b"{}", verify=authority.trusted(shop))
    assert without_token.status_code == 401
    for shows in (None, stranger):
        with pytest.raises(httpx.TransportError):
            post(factory, authority.trusted(shows))
        with pytest.raises(triton.InferenceServerException):
            over_grpc(factory, authority, shows)


Break = Callable[[Path], None]


def no_files(folder: Path) -> None:
    (folder / "shown.pem").unlink()


def another_key(folder: Path) -> None:
    shutil.copyfile(Authority(folder, "others").sign("other")[1], folder / "shown.key")


def no_key(folder: Path) -> None:
    (folder / "home" / "settings.toml").write_text('[serving]\ntls_certificate = "../shown.pem"\n')


@pytest.mark.parametrize(
    ("broken", "told"),
    [(no_files, "cannot be read"), (another_key, "do not belong together"), (no_key, "serving.tls_key is missing")],
)
def test_up_says_what_is_wrong_with_the_files(tmp_path: Path, authority: Authority, broken: Break, told: str) -> None:
    """Exit code 2, the file and the setting, and what to do; nothing is left running."""
    environment: dict[str, Any] = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MUSTER, *arguments], capture_output=True, text=True, timeout=60, check=False, env=environment
        )

    home = tmp_path / "home"
    assert run("init", str(home)).returncode == 0
    install(authority.sign("refused"), tmp_path)
    (home / "settings.toml").write_text('[serving]\ntls_certificate = "../shown.pem"\ntls_key = "../shown.key"\n')
    broken(tmp_path)
    done = run("up", "--home", str(home), "--port", "0", "--scoring-port", "0")
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "settings.toml" in done.stderr
    assert run("ps", "--home", str(home)).stdout.strip() == "The factory does not run."
