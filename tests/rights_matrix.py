"""Every state-changing operation of the control API: what right it takes, how to ask for it, and what one's own work is there.

What is expected of a role is read from the table of docs/reference/roles.md, so the page and the software cannot tell different
things; which right an operation takes, and where nobody passes their own work, is written here.
"""

import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import sqlalchemy as sa

from muster.access.actor import Actor, Call
from muster.attestation.keys import new_key
from muster.client.control import Factory
from muster.packaging.bundle import pack
from muster.packaging.save import save
from muster.vocabulary.states import ReleaseState, VersionState
from recorded_requests import answer_of, record_request
from running_control import Control, FollowingFront, wait_for
from small_bundles import SmallBundles

API = "/api/v1"
DEFAULT = f"{API}/projects/default"
ROOT = Path(__file__).parents[1]
#: Who asks: a name, and the role in `default`. `ana`, `ben`, `bob` and `olga` make what they ask about.
ASKERS = {
    "vera": "viewer",
    "sara": "scientist",
    "anton": "approver",
    "oskar": "operator",
    "ada": "admin",
    "shop": "consumer",
    "front": "front",
    "robot": "approver",
}
#: A file of OSV about nothing that a lock names.
NO_VULNERABILITY = b'{"id": "X-1", "affected": []}'
STANDARD = 'format = 1\nname = "plain"\n'


_REGIONAL = pd.DataFrame({"x": [0.0, 1.0, 2.5, -3.0], "region": [1, 2, 3, 1]})


class Regional:
    """Wants to be told of a region as well: requests for `Adds` are refused by its contract."""

    def predict(self, columns: dict[str, Any]) -> dict[str, list[float]]:
        return {"score": [float(x) + float(region) for x, region in zip(columns["x"], columns["region"], strict=True)]}


def documented_rights() -> dict[str, frozenset[str]]:
    """The roles that have each right, as docs/reference/roles.md tables them."""
    lines = (ROOT / "docs/reference/roles.md").read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| right |"))
    roles = [cell.strip() for cell in lines[begin].strip("|").split("|")][2:]
    found = {}
    for line in itertools.takewhile(lambda line: line.startswith("|"), lines[begin:]):
        if (match := re.match(r"\| `([a-z-]+)` \|", line)) is not None:
            cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")][2:]
            found[match[1]] = frozenset(role for role, cell in zip(roles, cells, strict=True) if cell == "✓")
    return found


@dataclass(frozen=True)
class Ask:
    """One request."""

    method: str
    path: str
    json: Any = None
    content: bytes | None = None

    def by(self, http: httpx.Client) -> httpx.Response:
        """What is answered."""
        if self.content is not None:
            headers = {"Content-Type": "application/zip"}
            return http.request(self.method, self.path, content=self.content, headers=headers)
        return http.request(self.method, self.path, json=self.json)


@dataclass(frozen=True)
class Own:
    """Whose work something is made to be, and how."""

    names: tuple[str, ...] = ()
    """Whoever shall have part in it."""
    how: str = "owner"


OTHERS = Own()
#: Ways to have part in a version.
PARTS_IN_VERSION = ("owner", "author", "registered", "card-deputy", "model-owner", "model-deputy")
#: And in a release.
PARTS_IN_RELEASE = (*PARTS_IN_VERSION, "proposed")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    rights: tuple[str, ...]
    """Any of them lets one do it."""
    make: Callable[["World", str, Own], Ask]
    """Prepares something to do it to, for somebody, and says what to send."""
    also: tuple[str, ...] = ()
    """Rights that whoever has just that right needs besides, because nobody gives what they do not have, or to find the thing."""
    refusals: tuple[str, ...] = ("access.right-missing",)
    """The codes with which those are answered who may not."""
    own: tuple[str, ...] = ()
    """The ways to have part in it that keep everybody from doing it; none: whose work it is makes no difference."""
    own_codes: tuple[str, ...] = ("release.own-work", "gates.has-part")
    passes: tuple[str, ...] = ()
    """Codes of an answer that shows that the right was there, where doing it all would take what this test has not."""
    inside: bool = True
    """It is the right of somebody in the project: whoever is not in it finds nothing."""


@dataclass
class World:
    """A factory, and shorthands to put into it what requests are about."""

    control: Control
    bundles: SmallBundles
    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _broken: Path | None = None

    def settle(self) -> None:
        """Everybody who asks, and those who make what they ask about."""
        services, call = self.control.services, self.control.call()
        for name, role in (ASKERS | {"bob": "approver", "olga": "operator", "ben": "approver"}).items():
            if name not in self.control.tokens:
                kind = "service" if name == "robot" else None
                made = services.access.add_user(call, name, role, kind=kind)
                assert made.token is not None
                self.control.tokens[name] = made.token
        with self.control.http("admin") as http:
            rita = http.post(f"{DEFAULT}/users", json={"name": "rita", "role": "viewer"}).json()
            self.control.tokens["rita"] = rita["token"]
            assert http.post(f"{API}/projects", json={"name": "risk", "admin": "rita"}).is_success
            assert http.delete(f"{DEFAULT}/users/rita").is_success

    def name(self, of: str = "n") -> str:
        """One that nothing has yet."""
        return f"{of}-{next(self._numbers)}"

    def forged(self, name: str) -> Call:
        """A call of somebody as an admin: for deeds done in a role that they had before."""
        return Call(actor=Actor(name=name, roles={"default": "admin"}, token_id="t"))

    def bundle(self, own: Own = OTHERS, model: str | None = None, *, breaking: bool = False) -> Path:
        """A bundle in which these people have part, as far as a bundle says it."""
        name = model or self.name("m")
        if breaking:
            if self._broken is None:
                self._broken = save(
                    Regional(), self.folder / "breaking", name="adds", sample=_REGIONAL, method="predict",
                    output="score", owner="ana", description="adds one", notes="first",
                )  # fmt: skip
            folder = self.folder / self.name("copy")
            shutil.copytree(self._broken, folder)
            toml = folder / "muster.toml"
            text = toml.read_text().replace('"adds one"', f'"adds one, take {name}"')
            toml.write_text(text.replace('name = "adds"', f'name = "{name}"', 1))
        else:
            folder = self.bundles.new(name=name)
        toml = folder / "muster.toml"
        text = toml.read_text()
        listed = ", ".join(f'"{one}"' for one in own.names)
        if own.how in {"owner", "author"} and own.names:
            text, done = re.subn(rf'{own.how}s = \[\n    "ana",\n\]', f"{own.how}s = [{listed}]", text)
            assert done == 1
        if own.how == "card-deputy" and own.names:
            text += f'\n[card]\ndeputy = "{own.names[0]}"\n'
        toml.write_text(text)
        return folder

    def version(self, *states: VersionState, own: Own = OTHERS, breaking: bool = False) -> str:
        """A version in which these people have part."""
        by = own.names[0] if own.how == "registered" and own.names else "ana"
        folder = self.bundle(own, breaking=breaking)
        if by == "ana":
            version = self.control.as_("ana").register(folder).version
        else:
            version = str(self.control.services.registry.register(self.forged(by), packed(folder)).name)
        if own.names and own.how in {"model-owner", "model-deputy"}:
            model = version.split(":")[0]
            said = {"owner" if own.how == "model-owner" else "deputy": own.names[0], "reason": "from now on"}
            with self.control.http("admin") as http:
                answer = http.post(f"{DEFAULT}/models/{model}", json=said)
            assert answer.is_success, answer.text
        self.control.put_into(version, *states)
        return version

    def certified(self, own: Own = OTHERS) -> str:
        """One at the gate of acceptance."""
        return self.version(VersionState.CERTIFIED, own=own)

    def accepted(self, own: Own = OTHERS, *, breaking: bool = False) -> str:
        """One that may be released."""
        return self.version(VersionState.CERTIFIED, VersionState.ACCEPTED, own=own, breaking=breaking)

    def endpoint(self) -> str:
        """An endpoint with a release that is live."""
        endpoint = self.name("e")
        self.control.as_("ana").propose(endpoint, champion=self.accepted(), reason="first")
        assert self.control.as_("ben").approve(endpoint, 1, "yes").state is ReleaseState.LIVE
        return endpoint

    def proposed(self, own: Own = OTHERS, endpoint: str | None = None, *, breaking: bool = False) -> tuple[str, int]:
        """A release at its gate."""
        endpoint = endpoint or self.name("e")
        version = self.accepted(own, breaking=breaking)
        by = own.names[0] if own.how == "proposed" and own.names else "ana"
        if by == "ana":
            return endpoint, self.control.as_("ana").propose(endpoint, champion=version, reason="so").release
        order = {"champion": version, "reason": "so"}
        with self.acting(by, "scientist") as http:
            answer = http.post(f"{DEFAULT}/endpoints/{endpoint}/releases", json=order)
        assert answer.is_success, answer.text
        return endpoint, answer.json()["release"]

    def acting(self, name: str, role: str) -> "Acting":
        """Somebody, for as long as they have another role by the way of a group; as admins get through as they are."""
        return Acting(self, name, role)

    def broken(self, own: Own = OTHERS) -> tuple[str, int]:
        """A release for which the glass was broken: by one of these people, or by olga."""
        how = own.how
        endpoint, number = self.proposed(own if how != "broke" else OTHERS, self.endpoint())
        by = own.names[0] if own.names and how == "broke" else "olga"
        order = {"reason": "now", "break_glass": True}
        with self.acting(by, "operator") as http:
            answer = http.post(f"{DEFAULT}/endpoints/{endpoint}/releases/{number}/approve", json=order)
        assert answer.is_success, answer.text
        wait_for(lambda: self.control.as_("ana").release(endpoint, number).state is ReleaseState.LIVE)
        return endpoint, number

    def standard(self, own: Own = OTHERS) -> int:
        """A proposed standard."""
        by = own.names[0] if own.names else "ana"
        with self.acting(by, "scientist") as http:
            answer = http.post(f"{DEFAULT}/standards", json={"text": STANDARD, "reason": "so"})
        assert answer.is_success, answer.text
        return int(answer.json()["number"])

    def waiver(self, own: Own = OTHERS) -> str:
        """A waiver that was asked for: by one of these people, or by ana."""
        version = self.certified(own if own.how != "asked" else OTHERS)
        by = own.names[0] if own.names and own.how == "asked" else "ana"
        with self.acting(by, "scientist") as http:
            order = {"check": "notebook", "ends": soon(), "reason": "later"}
            answer = http.post(f"{DEFAULT}/{at(version)}/waivers", json=order)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    def session(self) -> str:
        """Work of ana's that waits, and that nobody takes up."""
        sessions = self.control.services.sessions
        with self.control.services.database.write() as tx:
            found, _ = sessions.queue(tx, self.forged("ana"), "a kind of its own", self.name("s"))
        return found.id

    def key(self, owner: str) -> str:
        """A key of somebody's that is known."""
        made = self.control.services.keys.add(self.forged(owner), new_key().public.pem, "to sign with")
        return made.public.id

    def user(self, role: str = "viewer", **said: Any) -> dict[str, Any]:
        """Somebody new."""
        with self.control.http("admin") as http:
            answer = http.post(f"{DEFAULT}/users", json={"name": self.name("u"), "role": role, **said})
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def group(self, *members: str, role: str | None = None) -> str:
        """A group."""
        name = self.name("g")
        with self.control.http("admin") as http:
            assert http.post(f"{API}/groups", json={"name": name}).is_success
            for member in members:
                assert http.post(f"{API}/groups/{name}/members", json={"user": member}).is_success
            if role is not None:
                assert http.post(f"{DEFAULT}/groups/{name}/role", json={"role": role}).is_success
        return name

    def said(self, path: str, name: str) -> None:
        """Somebody asks for changes, if that is theirs to ask."""
        with self.control.http(name) as http:
            http.post(f"{DEFAULT}/{path}/review/changes", json={"reason": "why"})

    def events(self) -> int:
        """How much those who ask have on record."""
        asked = sa.text("SELECT count(*) FROM audit_events WHERE actor IN :names").bindparams(
            sa.bindparam("names", [*ASKERS, "rita"], expanding=True)
        )
        with self.control.services.database.read() as tx:
            return int(tx.execute(asked).scalar_one())


class Acting:
    """Plain HTTP as somebody who has a further role meanwhile, through a group."""

    def __init__(self, world: World, name: str, role: str) -> None:
        self._world, self._name, self._role = world, name, role
        self._group: str | None = None

    def __enter__(self) -> httpx.Client:
        if self._name not in {"ana", "olga", "ada"}:
            self._group = self._world.group(self._name, role=self._role)
        self._http = self._world.control.http(self._name)
        return self._http

    def __exit__(self, *_: object) -> None:
        self._http.close()
        if self._group is not None:
            with self._world.control.http("admin") as http:
                assert http.delete(f"{API}/groups/{self._group}").is_success


def packed(folder: Path) -> Path:
    """A bundle as it is sent."""
    target = folder.with_suffix(".zip")
    pack(folder, target)
    return target


def soon() -> str:
    """In a week."""
    return (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(version: str) -> str:
    """The address of a version, below its project."""
    model, number = version.split(":")
    return f"models/{model}/versions/{number}"


def of(release: tuple[str, int]) -> str:
    """The address of a release, below its project."""
    return f"endpoints/{release[0]}/releases/{release[1]}"


def post(path: str, **said: Any) -> Ask:
    """To an address of the project."""
    return Ask("POST", f"{DEFAULT}/{path}", said)


def _about_version(door: str, **said: Any) -> Callable[[World, str, Own], Ask]:
    return lambda world, _name, own: post(f"{at(world.certified(own))}/{door}", **said)


def _about_release(door: str, **said: Any) -> Callable[[World, str, Own], Ask]:
    return lambda world, _name, own: post(f"{of(world.proposed(own))}/{door}", **said)


def _about_standard(door: str, **said: Any) -> Callable[[World, str, Own], Ask]:
    return lambda world, _name, own: post(f"standards/{world.standard(own)}/{door}", **said)


def _vote_on(path: str, world: World, name: str) -> Ask:
    """Take back what one has said about something."""
    if name in world.control.tokens:
        world.said(path, name)
    return post(f"{path}/review/withdraw", reason="after all")


def _break(world: World, _name: str, own: Own) -> Ask:
    release = world.proposed(own, world.endpoint())
    return post(f"{of(release)}/approve", reason="now", break_glass=True)


def acknowledgement(world: World, own: Own, *, on_behalf: bool) -> tuple[Ask, dict[str, Any]]:
    endpoint = world.endpoint()
    consumer = world.user("consumer", endpoints=[endpoint])
    release = world.proposed(own, endpoint, breaking=True)
    said = {"reason": "ready"} | ({"consumer": consumer["name"]} if on_behalf else {})
    return post(f"{of(release)}/acknowledge", **said), consumer


def _ramp(world: World, _name: str, _own: Own) -> Ask:
    one, two = world.accepted(breaking=True), world.accepted(breaking=True)
    endpoint = world.name("e")
    steps = [{one: 0.9, two: 0.1}, {one: 0.5, two: 0.5}]
    order = {
        "champion": one, "challengers": [two], "reason": "step by step",
        "policy": {"name": "split", "field": "region", "steps": steps},
    }  # fmt: skip
    with world.control.http("ana") as http:
        answer = http.post(f"{DEFAULT}/endpoints/{endpoint}/releases", json=order)
    assert answer.is_success, answer.text
    assert world.control.as_("ben").approve(endpoint, 1, "yes").state is ReleaseState.LIVE
    return post(f"endpoints/{endpoint}/releases/1/step", step=1, reason="all is well")


def _start_live_test(world: World, _name: str, _own: Own) -> Ask:
    endpoint = world.endpoint()
    return post(f"endpoints/{endpoint}/livetests", version=world.accepted(), requests=10, reason="is it better?")


def _stop_live_test(world: World, _name: str, _own: Own) -> Ask:
    endpoint, version = world.endpoint(), world.accepted()
    started = world.control.as_("admin").start_live_test(endpoint, version, "is it better?", requests=10)
    return post(f"endpoints/{endpoint}/livetests/{started.number}/stop", reason="enough")


def _roll_back(world: World, _name: str, _own: Own) -> Ask:
    endpoint = world.endpoint()
    _, number = world.proposed(endpoint=endpoint)
    assert world.control.as_("ben").approve(endpoint, number, "yes").state is ReleaseState.LIVE
    return post(f"endpoints/{endpoint}/rollback", reason="as it was")


def _register(world: World, _name: str, own: Own) -> Ask:
    return Ask("POST", f"{DEFAULT}/versions", content=packed(world.bundle(own)).read_bytes())


def _seal(world: World, _name: str, own: Own) -> Ask:
    model = world.version(own=own).partition(":")[0]
    query = "label=came&reason=sealed"
    return Ask("POST", f"{DEFAULT}/models/{model}/evaluations?{query}", content=b"x,came\n1.0,true\n2.5,false\n")


def _replay(world: World, _name: str, _own: Own) -> Ask:
    archive = world.control.home / "archive"
    request = record_request(archive, world.name("e"), [answer_of("other:1", "champion", [2.0])], [1.0])
    return post(f"requests/{request}/replay")


def _report(world: World, _name: str, _own: Own) -> Ask:
    endpoint, number = world.proposed()
    order = {"endpoint": endpoint, "release": number, "front": "front-9", "state": "loaded", "at": soon()}
    return Ask("POST", f"{API}/fronts/reports", order)


def _delegation(world: World, name: str, own: Own) -> Ask:
    by = own.names[0] if own.names else "ben"
    made = world.control.as_(by).delegate("bob", soon(), "leave")
    return post(f"delegations/{made.id}/end", reason="back")


def _withdraw_release(world: World, _name: str, own: Own) -> Ask:
    return post(f"{of(world.proposed(own))}/withdraw", reason="no")


def _set_model(world: World, _name: str, own: Own) -> Ask:
    version = world.version(own=own)
    return post(f"models/{version.split(':')[0]}", description="what it is for", reason="said")


def _declare_test(world: World, _name: str, own: Own) -> Ask:
    model = world.version(own=own).split(":")[0]
    return post(f"models/{model}/test-score/declarations", test="data-3", where="wiki/churn", reason="looked")


def _withdraw_test(world: World, name: str, own: Own) -> Ask:
    ask = _declare_test(world, name, own)
    with world.control.http("admin") as http:
        assert ask.by(http).is_success
    return Ask("POST", f"{ask.path}/withdraw", {"test": "data-3", "reason": "not true any more"})


def _user_path(door: str, method: str = "POST", **said: Any) -> Callable[[World, str, Own], Ask]:
    def make(world: World, _name: str, _own: Own) -> Ask:
        path = f"{DEFAULT}/users/{world.user()['name']}"
        return Ask(method, f"{path}/{door}" if door else path, said if method == "POST" else None)

    return make


def _remove_role(world: World, _name: str, _own: Own) -> Ask:
    role = world.name("r")
    with world.control.http("admin") as http:
        assert http.post(f"{DEFAULT}/roles/{role}", json={"rights": ["read"]}).is_success
    return Ask("DELETE", f"{DEFAULT}/roles/{role}")


MANAGE_USERS = ("manage-users",)
REASON = {"reason": "so"}

#: Operation (a colon and a word where one operation is two deeds) to its line.
ROWS: dict[str, Row] = {
    # What belongs to the factory.
    "addProject": Row(
        rights=("manage-projects",),
        make=lambda w, _n, _o: Ask("POST", f"{API}/projects", {"name": w.name("p"), "admin": "rita"}),
        inside=False,
    ),
    "addGroup": Row(
        rights=("manage-groups",),
        make=lambda w, _n, _o: Ask("POST", f"{API}/groups", {"name": w.name("g")}),
        inside=False,
    ),
    "removeGroup": Row(
        rights=("manage-groups",), make=lambda w, _n, _o: Ask("DELETE", f"{API}/groups/{w.group()}"), inside=False
    ),
    "joinGroup": Row(
        rights=("manage-groups",),
        make=lambda w, _n, _o: Ask("POST", f"{API}/groups/{w.group()}/members", {"user": "vera"}),
        inside=False,
    ),
    "leaveGroup": Row(
        rights=("manage-groups",),
        make=lambda w, _n, _o: Ask("DELETE", f"{API}/groups/{w.group('vera')}/members/vera"),
        inside=False,
    ),
    "report": Row(rights=("follow",), make=_report, inside=False),
    # The project, its people.
    "describeProject": Row(
        rights=("manage-users", "manage-projects"), make=lambda _w, _n, _o: post("description", title="Ours")
    ),
    "limitProject": Row(rights=("manage-projects",), make=lambda _w, _n, _o: post("quotas", versions=100_000)),
    "addUser": Row(rights=MANAGE_USERS, make=lambda w, _n, _o: post("users", name=w.name("u"), role="viewer")),
    "changeRole": Row(rights=MANAGE_USERS, make=_user_path("role", role="viewer")),
    "describeUser": Row(rights=MANAGE_USERS, make=_user_path("profile", title="Somebody")),
    "removeUser": Row(rights=MANAGE_USERS, make=_user_path("", "DELETE")),
    "addToken": Row(rights=MANAGE_USERS, make=_user_path("tokens", label="ci")),
    "rotateToken": Row(
        rights=MANAGE_USERS, make=lambda w, _n, _o: post(f"tokens/{w.user()['token_id']}/rotate", grace_s=0)
    ),
    "revokeToken": Row(rights=MANAGE_USERS, make=lambda w, _n, _o: post(f"tokens/{w.user()['token_id']}/revoke")),
    "grantGroup": Row(rights=MANAGE_USERS, make=lambda w, _n, _o: post(f"groups/{w.group()}/role", role="viewer")),
    "revokeGroup": Row(
        rights=MANAGE_USERS,
        make=lambda w, _n, _o: Ask("DELETE", f"{DEFAULT}/groups/{w.group(role='viewer')}/role"),
    ),
    "setRole": Row(rights=MANAGE_USERS, make=lambda w, _n, _o: post(f"roles/{w.name('r')}", rights=["read"])),
    "removeRole": Row(rights=MANAGE_USERS, make=_remove_role),
    "setPassword": Row(rights=MANAGE_USERS, make=_user_path("password", password="correct horse battery staple")),
    "bindIdentity": Row(
        rights=MANAGE_USERS,
        make=_user_path("identities", issuer="https://i.example", subject="s"),
        passes=("access.provider-unknown",),
    ),
    "unbindIdentity": Row(
        rights=MANAGE_USERS,
        make=_user_path("identities/unbind", issuer="https://i.example", subject="s"),
        passes=("access.identity-not-found",),
    ),
    # Versions.
    "register": Row(rights=("register",), make=_register),
    "certify": Row(rights=("certify",), make=lambda w, _n, o: Ask("POST", f"{DEFAULT}/{at(w.version(own=o))}/certify")),
    "cancelSession": Row(rights=("certify",), make=lambda w, _n, _o: post(f"sessions/{w.session()}/cancel", **REASON)),
    "addCertificateKey": Row(
        rights=("certify",),
        make=lambda _w, _n, _o: post("certificates/keys", public_key=new_key().public.pem, **REASON),
    ),
    "revokeCertificateKey": Row(
        rights=("certify",), make=lambda w, n, _o: post(f"certificates/keys/{w.key(n)}/revoke", **REASON)
    ),
    "rotateCertificateKey": Row(
        rights=("manage-keys",),
        make=lambda _w, _n, _o: Ask("POST", f"{API}/certificates/keys/rotate", dict(REASON)),
        inside=False,
    ),
    "signCertificate": Row(
        rights=("certify",),
        make=_about_version("certificate/signatures", session=f"s-{'0' * 32}", key="0" * 64, sig="AAAA", **REASON),
        passes=("certificates.missing", "certificates.unsigned", "certificates.changed"),
    ),
    "setModel": Row(
        rights=("manage-models",), make=_set_model, refusals=("registry.not-your-model", "access.right-missing")
    ),
    "declareTest": Row(
        rights=("manage-models",), make=_declare_test, refusals=("registry.not-your-model", "access.right-missing")
    ),
    "withdrawTest": Row(
        rights=("manage-models",), make=_withdraw_test, refusals=("registry.not-your-model", "access.right-missing")
    ),
    "setPackageRules": Row(
        rights=("manage-packages",), make=lambda _w, _n, _o: post("packages", rules="", reason="so")
    ),
    "sealEvaluation": Row(
        rights=("seal-evaluation",), make=_seal, own=PARTS_IN_VERSION, own_codes=("evaluation_sets.own-model",)
    ),
    "addSource": Row(
        rights=("manage-sources",),
        make=lambda w, _n, _o: post("sources", name=w.name("s"), uri="/srv/data", **REASON),
    ),
    "removeSource": Row(
        rights=("manage-sources",),
        make=lambda _w, _n, _o: post("sources/unknown/remove", **REASON),
        passes=("sources.not-found",),
    ),
    "importVulnerabilities": Row(
        rights=("manage-packages",),
        make=lambda _w, _n, _o: Ask("POST", f"{DEFAULT}/vulnerabilities?reason=so&name=none", content=NO_VULNERABILITY),
    ),
    "accept": Row(rights=("accept",), make=_about_version("accept", **REASON), own=PARTS_IN_VERSION),
    "retire": Row(rights=("retire",), make=lambda w, _n, o: post(f"{at(w.accepted(o))}/retire", **REASON)),
    "ban": Row(rights=("ban",), make=_about_version("ban", **REASON)),
    "changeVersion": Row(rights=("accept",), make=_about_version("review/changes", **REASON), own=PARTS_IN_VERSION),
    "commentVersion": Row(rights=("read",), make=_about_version("review/comments", text="seen")),
    "withdrawVersionVote": Row(rights=("accept",), make=lambda w, n, o: _vote_on(at(w.certified(o)), w, n)),
    "askWaiver": Row(
        rights=("certify", "waive"),
        make=lambda w, _n, o: post(f"{at(w.certified(o))}/waivers", check="notebook", ends=soon(), reason="later"),
    ),
    "grantWaiver": Row(
        rights=("waive",),
        make=lambda w, _n, o: post(f"waivers/{w.waiver(o)}/grant", **REASON),
        own=(*PARTS_IN_VERSION, "asked"),
        own_codes=("gates.waiver-own",),
    ),
    "refuseWaiver": Row(
        rights=("waive",),
        make=lambda w, _n, o: post(f"waivers/{w.waiver(o)}/refuse", **REASON),
        own=(*PARTS_IN_VERSION, "asked"),
        own_codes=("gates.waiver-own",),
    ),
    # Releases.
    "proposeRelease": Row(
        rights=("propose",),
        make=lambda w, _n, o: post(f"endpoints/{w.name('e')}/releases", champion=w.accepted(o), reason="so"),
    ),
    "approveRelease": Row(rights=("approve",), make=_about_release("approve", **REASON), own=PARTS_IN_RELEASE),
    "approveRelease:for-a-moment": Row(
        rights=("approve",),
        make=lambda w, _n, o: post(f"{of(w.proposed(o))}/approve", at=soon(), **REASON),
        own=PARTS_IN_RELEASE,
    ),
    "approveRelease:break-glass": Row(rights=("break-glass",), make=_break, own=PARTS_IN_RELEASE),
    "confirmRelease": Row(
        rights=("confirm-break-glass",),
        make=lambda w, _n, o: post(f"{of(w.broken(o))}/confirm", **REASON),
        own=(*PARTS_IN_RELEASE, "broke"),
    ),
    "rejectRelease": Row(rights=("approve",), make=_about_release("reject", **REASON)),
    "withdrawRelease": Row(
        rights=("approve",), make=_withdraw_release, refusals=("release.not-yours-to-withdraw", "access.right-missing")
    ),
    "changeRelease": Row(rights=("approve",), make=_about_release("review/changes", **REASON), own=PARTS_IN_RELEASE),
    "commentRelease": Row(rights=("read",), make=_about_release("review/comments", text="seen")),
    "withdrawReleaseVote": Row(rights=("approve",), make=lambda w, n, o: _vote_on(of(w.proposed(o)), w, n)),
    "stepRelease": Row(rights=("ramp",), make=_ramp),
    "startLiveTest": Row(rights=("live-test",), make=_start_live_test),
    "stopLiveTest": Row(rights=("live-test",), make=_stop_live_test),
    "simulateRelease": Row(rights=("read-requests",), make=_about_release("simulate")),
    "rollBack": Row(rights=("roll-back",), make=_roll_back),
    "acknowledgeRelease:on-behalf": Row(
        rights=MANAGE_USERS,
        make=lambda w, _n, o: acknowledgement(w, o, on_behalf=True)[0],
        refusals=("release.not-yours-to-acknowledge", "access.right-missing"),
        own=("proposed",),
    ),
    # The archive.
    "replayRequest": Row(
        rights=("replay",),
        make=_replay,
        also=("read-requests",),
        refusals=("access.right-missing", "archive.request-not-found"),
    ),
    "setRetention": Row(
        rights=("retain",),
        make=lambda w, _n, _o: post(f"endpoints/{w.proposed()[0]}/retention", days=30, reason="law"),
    ),
    # Standards, absence.
    "proposeStandard": Row(
        rights=("propose-standard",), make=lambda _w, _n, _o: post("standards", text=STANDARD, **REASON)
    ),
    "addCheck": Row(
        rights=("propose-standard",),
        make=lambda _w, _n, _o: post("checks", name="parity", program=f"# {soon()}\nprint(1)", **REASON),
    ),
    "approveStandard": Row(rights=("adopt-standard",), make=_about_standard("approve", **REASON), own=("proposed",)),
    "rejectStandard": Row(rights=("adopt-standard",), make=_about_standard("reject", **REASON)),
    "changeStandard": Row(
        rights=("adopt-standard",), make=_about_standard("review/changes", **REASON), own=("proposed",)
    ),
    "commentStandard": Row(rights=("read",), make=_about_standard("review/comments", text="seen")),
    "withdrawStandardVote": Row(
        rights=("adopt-standard",), make=lambda w, n, o: _vote_on(f"standards/{w.standard(o)}", w, n)
    ),
    "delegate": Row(
        rights=("delegate",), make=lambda _w, _n, _o: post("delegations", to="bob", ends=soon(), reason="leave")
    ),
    "endDelegation": Row(rights=MANAGE_USERS, make=_delegation),
    # Questions that come as orders.
    "resolve": Row(rights=("read",), make=lambda w, _n, _o: post("resolve", references=[w.version()])),
    "dryRunText": Row(rights=("read",), make=lambda _w, _n, _o: post("standards/dry-run", text=STANDARD)),
}

#: Operations without a right, and where they are tested; about oneself, or before one is anybody.
WITHOUT_A_RIGHT = {
    "signIn": "test_api_sign_in.py",
    "beginOidc": "test_api_oidc.py",
    "finishOidc": "test_api_oidc.py",
    "signOut": "test_api_sign_in.py",
    "setOwnPassword": "test_api_sign_in.py",
}


# The verbs of the gates at the other two doors.


@dataclass(frozen=True)
class Named:
    """What an order is about, read from its address."""

    ask: Ask

    def _part(self, pattern: str) -> str:
        found = re.search(pattern, self.ask.path)
        assert found is not None, self.ask.path
        return found[1]

    @property
    def version(self) -> str:
        """`m-1:1`."""
        return ":".join((self._part(r"/models/([^/]+)"), self._part(r"/versions/(\d+)")))

    @property
    def endpoint(self) -> str:
        """Name of the endpoint."""
        return self._part(r"/endpoints/([^/]+)")

    @property
    def release(self) -> int:
        """Number of the release."""
        return int(self._part(r"/releases/(\d+)"))

    @property
    def standard(self) -> int:
        """Number of the standard."""
        return int(self._part(r"/standards/(\d+)"))

    @property
    def id(self) -> str:
        """Of a waiver or a delegation."""
        return self._part(r"/(?:waivers|delegations)/([^/]+)")

    @property
    def consumer(self) -> str:
        """On whose behalf."""
        return str(self.ask.json["consumer"])


@dataclass(frozen=True)
class Verb:
    """How a deed of the table is done with the client, and typed."""

    client: Callable[[Factory, Named], object]
    words: Callable[[Named], Sequence[object]]


#: Every verb of a gate; the command line adds `--reason`.
VERBS: dict[str, Verb] = {
    "accept": Verb(lambda f, n: f.accept(n.version, "so"), lambda n: ("accept", n.version)),
    "retire": Verb(lambda f, n: f.retire(n.version, "so"), lambda n: ("retire", n.version)),
    "ban": Verb(lambda f, n: f.ban(n.version, "so"), lambda n: ("ban", n.version)),
    "changeVersion": Verb(
        lambda f, n: f.request_changes(n.version, "so"), lambda n: ("review", "request-changes", n.version)
    ),
    "grantWaiver": Verb(lambda f, n: f.grant_waiver(n.id, "so"), lambda n: ("waive", "grant", n.id)),
    "refuseWaiver": Verb(lambda f, n: f.refuse_waiver(n.id, "so"), lambda n: ("waive", "refuse", n.id)),
    "approveRelease": Verb(
        lambda f, n: f.approve(n.endpoint, n.release, "so"), lambda n: ("release", "approve", n.endpoint, n.release)
    ),
    "approveRelease:for-a-moment": Verb(
        lambda f, n: f.approve(n.endpoint, n.release, "so", at=soon()),
        lambda n: ("release", "approve", n.endpoint, n.release, "--at", soon()),
    ),
    "approveRelease:break-glass": Verb(
        lambda f, n: f.break_glass(n.endpoint, n.release, "so"),
        lambda n: ("release", "approve", n.endpoint, n.release, "--break-glass"),
    ),
    "confirmRelease": Verb(
        lambda f, n: f.confirm(n.endpoint, n.release, "so"), lambda n: ("release", "confirm", n.endpoint, n.release)
    ),
    "rejectRelease": Verb(
        lambda f, n: f.reject(n.endpoint, n.release, "so"), lambda n: ("release", "reject", n.endpoint, n.release)
    ),
    "changeRelease": Verb(
        lambda f, n: f.request_changes((n.endpoint, n.release), "so"),
        lambda n: ("review", "request-changes", n.endpoint, n.release),
    ),
    "acknowledgeRelease:on-behalf": Verb(
        lambda f, n: f.acknowledge(n.endpoint, n.release, "so", consumer=n.consumer),
        lambda n: ("release", "acknowledge", n.endpoint, n.release, "--for", n.consumer),
    ),
    "rollBack": Verb(lambda f, n: f.rollback(n.endpoint, "so"), lambda n: ("rollback", n.endpoint)),
    "approveStandard": Verb(
        lambda f, n: f.approve_standard(n.standard, "so"), lambda n: ("standard", "approve", n.standard)
    ),
    "rejectStandard": Verb(
        lambda f, n: f.reject_standard(n.standard, "so"), lambda n: ("standard", "reject", n.standard)
    ),
    "delegate": Verb(
        lambda f, _n: f.delegate("bob", soon(), "so"), lambda _n: ("delegate", "add", "bob", "--until", soon())
    ),
    "endDelegation": Verb(lambda f, n: f.end_delegation(n.id, "so"), lambda n: ("delegate", "end", n.id)),
}


@pytest.fixture(scope="module")
def world(control: Control, bundles: SmallBundles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A factory with somebody of every role, and a front that does as it is told."""
    made = World(control, bundles, tmp_path_factory.mktemp("world"))
    made.settle()
    with FollowingFront(control):
        yield made
