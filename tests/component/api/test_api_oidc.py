"""Signing in at a real OpenID provider, with real redirects: who gets in, and everybody who must not."""

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from muster.access import store as access_store
from muster.access.signing.options import ProviderOptions, SignInOptions
from muster.storage.transaction import Database
from muster.vocabulary.errors import MusterError
from real_oidc import SECRET, Browser, OidcProvider, code_on, free_port, running_oidc_provider
from running_control import Control, running_control
from toolchains import needs

pytestmark = needs("node")

NAMES = {"s-1": "ana", "s-2": "ben", "s-3": "nobody-here", "s-4": "admin", "s-5": "shop", "s-6": "olga", "s-7": "ana"}
GROUPS = {"s-1": ["risk"], "s-2": ["sales"], "s-6": ["risk", "sales"]}


@dataclass
class Joined:
    """A factory and a provider that know of each other."""

    control: Control
    provider: OidcProvider
    callback: str

    def begin(self, name: str = "corp") -> dict[str, Any]:
        with self.control.http() as http:
            answer = http.post("/api/v1/sign-in/oidc/begin", json={"provider": name})
        assert answer.status_code == 200, answer.text
        begun: dict[str, Any] = answer.json()
        return begun

    def finish(self, begun: dict[str, Any], code: str | None = None) -> httpx.Response:
        with self.control.http() as http:
            return http.post("/api/v1/sign-in/oidc/finish", json={"handle": begun["handle"], "code": code})

    def sign_in(self, login: str, name: str = "corp") -> httpx.Response:
        """The whole way; the answer to its last step."""
        begun = self.begin(name)
        return self.finish(begun, code_on(come_back(begun["url"], login)))

    def whoami(self, answer: httpx.Response) -> str:
        assert answer.status_code == 200, answer.text
        mine = {"Authorization": f"Bearer {answer.json()['signed_in']['token']}"}
        with self.control.http(**mine) as http:
            return str(http.get("/api/v1/whoami").json()["name"])

    def events(self, action: str) -> list[tuple[str, str]]:
        services = self.control.services
        with services.database.read() as tx:
            entries = services.journal.entries(tx, limit=1000)
        return [(entry.actor, entry.subject) for entry in entries if entry.action == action]


def come_back(url: str, login: str) -> httpx.Response:
    browser = Browser()
    try:
        return browser.come_back(url, login)
    finally:
        browser.close()


def led_back(url: str, login: str) -> str:
    browser = Browser()
    try:
        return browser.sign_in(url, login)
    finally:
        browser.close()


def page(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=30)


def provider_options(folder: Path, issuer: str, name: str, **changed: Any) -> ProviderOptions:
    secret = folder / "secret"
    secret.write_text(SECRET + "\n")
    told: dict[str, Any] = {
        "name": name,
        "issuer": issuer,
        "client_id": "muster",
        "client_secret_file": secret,
        "scopes": ("openid", "profile"),
        "claim": "preferred_username",
        "known_names": False,
        "groups_claim": "",
        "groups": (),
        "joins": {},
        "origins": (),
    }
    return ProviderOptions(**told | changed)


@contextmanager
def joined(template: Path, folder: Path, **options: Any) -> Iterator[Joined]:
    """A factory with one provider under several names, each set up in another way."""
    port = free_port()
    callback = f"http://127.0.0.1:{port}/api/v1/sign-in/oidc/callback"
    with running_oidc_provider(folder / "provider", [callback], names=NAMES, groups=GROUPS, **options) as provider:
        names: dict[str, dict[str, Any]] = {
            "corp": {},
            "open": {"known_names": True},
            "public": {"client_id": "public", "client_secret_file": None},
            "grouped": {"groups_claim": "groups", "groups": ("risk",)},
            "joining": {"groups_claim": "groups", "joins": {"risk": "risk-approvers", "sales": "sellers"}},
            "misspelt": {"groups_claim": "groups", "joins": {"risk": "nobodys"}},
            "by-mail": {"known_names": True, "claim": "email", "scopes": ("email",)},
            "away": {"issuer": f"http://127.0.0.1:{free_port()}"},
            "wrong-secret": {"client_secret_file": folder / "wrong"},
        }
        (folder / "wrong").write_text("wrong")
        providers = tuple(
            provider_options(folder, **{"issuer": provider.issuer, "name": name} | changed)
            for name, changed in names.items()
        )
        shutil.copyfile(template, folder / "muster.db")
        database = Database(f"sqlite:///{folder / 'muster.db'}")
        signing = SignInOptions(callback=callback, providers=providers)
        with running_control(database, folder, port=port, signing=signing) as control:
            yield Joined(control, provider, callback)
        database.close()


@pytest.fixture(scope="module", params=[False, True], ids=["claims-in-the-token", "claims-on-asking"])
def corp(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Joined]:
    """The same for both places in which providers tell about people."""
    with joined(sqlite_template, tmp_path_factory.mktemp("corp"), conform=request.param) as made:
        made.control.as_("admin").bind_identity("ana", made.provider.issuer, "s-1")
        yield made


@pytest.fixture
def fresh(sqlite_template: Path, tmp_path: Path) -> Iterator[Joined]:
    """A factory in which nobody is bound, and whose provider the test may stop."""
    with joined(sqlite_template, tmp_path) as made:
        yield made


@pytest.mark.parametrize("name", ["corp", "public", "grouped"])
def test_a_bound_person_gets_in(corp: Joined, name: str) -> None:
    """With a secret, without one, and as a member of a group; before the browser is back the answer is 202, before the code, too."""
    begun = corp.begin(name)
    waiting = corp.finish(begun)
    assert (waiting.status_code, waiting.json()) == (202, {"state": "waiting", "signed_in": None})
    shown = come_back(begun["url"], "s-1")
    assert shown.status_code == 200
    assert "no-store" in shown.headers["cache-control"]
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    confirmed = corp.finish(begun)
    assert (confirmed.status_code, confirmed.json()["state"]) == (202, "confirmed")
    done = corp.finish(begun, code_on(shown))
    assert (done.status_code, done.headers["cache-control"]) == (200, "no-store")
    assert corp.whoami(done) == "ana"
    assert corp.finish(begun, code_on(shown)).json()["code"] == "access.flow-over"
    assert corp.control.as_("admin").identities("ana").identities[0].subject == "s-1"


def test_what_the_browser_is_sent_with(corp: Joined) -> None:
    """State, nonce and a challenge of PKCE, each of 256 bits and never twice, and nothing of the handle; back to the settings' address."""
    asked = [
        {name: values[0] for name, values in parse_qs(urlsplit(corp.begin()["url"]).query).items()} for _ in range(2)
    ]
    assert asked[0].keys() == asked[1].keys()
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[0][name]) == 43
        assert asked[0][name] != asked[1][name]
    assert (asked[0]["redirect_uri"], asked[0]["code_challenge_method"]) == (corp.callback, "S256")
    assert asked[0]["response_type"] == "code"
    with corp.control.http() as http:  # neither the caller's Host nor what it says a proxy said changes the way back
        answer = http.post(
            "/api/v1/sign-in/oidc/begin",
            json={"provider": "corp"},
            headers={"Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https"},
        )
    assert parse_qs(urlsplit(answer.json()["url"]).query)["redirect_uri"] == [corp.callback]


def test_a_browser_comes_back_once(corp: Joined) -> None:
    """The address with its code is worth nothing the second time, and the first sign-in is not harmed by it."""
    begun = corp.begin()
    back = led_back(begun["url"], "s-1")
    first = page(back)
    again = page(back)
    assert (first.status_code, again.status_code) == (200, 404)
    assert "<code>" not in again.text
    assert corp.whoami(corp.finish(begun, code_on(first))) == "ana"


def test_a_code_of_another_sign_in_is_worth_nothing(corp: Joined) -> None:
    """Another's code under one's own state: the provider refuses it, for it belongs to another challenge (PKCE)."""
    mine, theirs = corp.begin(), corp.begin()
    stolen = parse_qs(urlsplit(led_back(theirs["url"], "s-1")).query)["code"][0]
    state = parse_qs(urlsplit(mine["url"]).query)["state"][0]
    shown = page(f"{corp.callback}?{urlencode({'state': state, 'code': stolen, 'iss': corp.provider.issuer})}")
    assert shown.status_code == 422
    assert corp.finish(mine, "AAAA-AAAA").json()["code"] == "access.provider-refused"
    assert corp.finish(mine, "AAAA-AAAA").json()["code"] == "access.flow-over"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"state": "x" * 43}, 404),
        ({"state": None}, 404),
        ({"code": None}, 422),
        ({"code": "x" * 43}, 422),
        ({"iss": "https://evil.example.com"}, 422),
        ({"iss": None}, 422),
        ({"error": "access_denied", "code": None}, 422),
        ({"error": "<script>alert(1)</script>", "code": None}, 422),
    ],
)
def test_a_changed_way_back_leads_nowhere(corp: Joined, changed: dict[str, str | None], status: int) -> None:
    """Another state, code or issuer, or a provider that says no: no code is shown, and nothing of what came is repeated."""
    begun = corp.begin()
    query = {name: values[0] for name, values in parse_qs(urlsplit(led_back(begun["url"], "s-1")).query).items()}
    query = {name: value for name, value in (query | changed).items() if value is not None}
    shown = page(f"{corp.callback}?{urlencode(query)}")
    assert shown.status_code == status
    assert shown.headers["content-type"].startswith("text/html")
    assert "<code>" not in shown.text
    assert "<script" not in shown.text
    finished = corp.finish(begun, "AAAA-AAAA")
    assert "signed_in" not in finished.json() or finished.json()["signed_in"] is None
    # A link with a made-up state harms nobody's sign-in; what was brought under its own state ends it.
    assert finished.status_code == (202 if status == 404 else 422)


def test_the_handle_alone_brings_nothing(corp: Joined) -> None:
    """Whoever began, and had somebody else open the link, lacks the code; five guesses end the sign-in, the right one after them, too."""
    begun = corp.begin()
    code = code_on(come_back(begun["url"], "s-1"))
    answers = [corp.finish(begun, "AAAA-AAAA") for _ in range(5)]
    assert [answer.json()["code"] for answer in answers] == ["access.code-wrong"] * 5
    assert corp.finish(begun, code).json()["code"] == "access.flow-over"


def test_the_code_alone_brings_nothing(corp: Joined) -> None:
    """Whoever sees the page, and has another handle, lacks this one."""
    begun, other = corp.begin(), corp.begin()
    code = code_on(come_back(begun["url"], "s-1"))
    come_back(other["url"], "s-1")
    assert corp.finish(other, code).json()["code"] == "access.code-wrong"
    assert corp.whoami(corp.finish(begun, code.lower().replace("-", " "))) == "ana"  # however it is typed


def test_two_finishes_at_once_give_one_token(corp: Joined) -> None:
    """Of ten at the same moment one is let in."""
    begun = corp.begin()
    code = code_on(come_back(begun["url"], "s-1"))
    before = len(corp.events("user.signed-in"))
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: corp.finish(begun, code), range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 9
    assert len(corp.events("user.signed-in")) == before + 1


def test_two_comings_back_at_once_exchange_one_code(corp: Joined) -> None:
    """Of ten at the same moment one is shown a code, and it is good."""
    begun = corp.begin()
    back = led_back(begun["url"], "s-1")
    with ThreadPoolExecutor(10) as pool:
        shown = list(pool.map(lambda _: page(back), range(10)))
    good = [one for one in shown if one.status_code == 200]
    assert len(good) == 1
    assert corp.whoami(corp.finish(begun, code_on(good[0]))) == "ana"


def test_whom_nobody_bound_is_told_what_to_have_bound(corp: Joined) -> None:
    """Who is no user is not let in, and is told issuer and subject; a user's name at the provider is not enough."""
    for login in ("s-3", "s-2", "s-4", "s-7"):
        told = corp.sign_in(login).json()
        assert told["code"] == "access.identity-unknown"
        assert told["facts"]["issuer"] == corp.provider.issuer
        assert told["facts"]["subject"] == login


def test_only_members_of_a_group_get_in(corp: Joined) -> None:
    """Where the settings ask for a group, who is in none of them is turned away at the provider's word already."""
    begun = corp.begin("grouped")
    assert come_back(begun["url"], "s-2").status_code == 403
    assert corp.finish(begun, "AAAA-AAAA").json()["code"] == "access.group-missing"


def test_a_wrong_secret_is_the_factorys_own_mistake(corp: Joined) -> None:
    """The provider takes the code from nobody but its client."""
    begun = corp.begin("wrong-secret")
    assert come_back(begun["url"], "s-1").status_code == 422
    told = corp.finish(begun, "AAAA-AAAA").json()
    assert (told["code"], "invalid_client" in told["detail"]) == ("access.provider-refused", True)


def test_a_provider_that_is_away_is_told_so(corp: Joined) -> None:
    """Beginning there is answered 503, again and again at once, and passwords go on."""
    with corp.control.http() as http:
        begun = time.monotonic()
        for _ in range(5):
            answer = http.post("/api/v1/sign-in/oidc/begin", json={"provider": "away"})
            assert (answer.status_code, answer.json()["code"]) == (503, "access.provider-away")
        assert time.monotonic() - begun < 5
        assert http.post("/api/v1/sign-in", json={"user": "ana", "password": "x"}).status_code == 401


def test_a_link_opens_nothing_after_ten_minutes(corp: Joined) -> None:
    """Neither coming back nor finishing."""
    begun, late = corp.begin(), corp.begin()
    code = code_on(come_back(begun["url"], "s-1"))
    back = led_back(late["url"], "s-1")
    services = corp.control.services
    with services.database.write() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE oidc_flows SET expires_at = '2026-01-01T00:00:00.000000Z' WHERE finished_at IS NULL"
        )
    assert page(back).status_code == 404
    assert corp.finish(begun, code).json()["code"] == "access.flow-over"


def test_keys_may_change(fresh: Joined) -> None:
    """A provider that signs with a new key, of another kind of padding even, is asked for its keys anew; codes of before the change end."""
    fresh.control.as_("admin").bind_identity("ana", fresh.provider.issuer, "s-1")
    assert fresh.whoami(fresh.sign_in("s-1")) == "ana"
    fresh.provider.stop()
    fresh.provider.start(kid="second", algorithm="PS256")
    for provider in fresh.control.services.oidc._providers.values():
        if provider._keys is not None:
            provider._keys = (provider._keys[0] - 60, provider._keys[1])
    assert fresh.whoami(fresh.sign_in("s-1")) == "ana"


def test_a_provider_that_goes_away_in_between(fresh: Joined) -> None:
    """The browser is told, whoever waits is told, and the next sign-in succeeds once the provider is back."""
    fresh.control.as_("admin").bind_identity("ana", fresh.provider.issuer, "s-1")
    begun = fresh.begin()
    back = led_back(begun["url"], "s-1")
    fresh.provider.stop()
    assert page(back).status_code == 503
    assert fresh.finish(begun, "AAAA-AAAA").json()["code"] == "access.provider-away"
    fresh.provider.start()
    assert fresh.whoami(fresh.sign_in("s-1")) == "ana"


def test_known_names_are_bound_at_the_first_sign_in(fresh: Joined) -> None:
    """Where the settings allow it: once, for people, and never for admins, applications or by an address of mail."""
    assert fresh.whoami(fresh.sign_in("s-6", "open")) == "olga"
    assert fresh.whoami(fresh.sign_in("s-1", "open")) == "ana"
    assert fresh.whoami(fresh.sign_in("s-1", "corp")) == "ana"  # bound for good, however one signs in
    assert fresh.events("identity.bound") == [("muster", "user olga"), ("muster", "user ana")]
    for login, name in (("s-7", "open"), ("s-4", "open"), ("s-5", "open"), ("s-3", "open"), ("s-2", "by-mail")):
        assert fresh.sign_in(login, name).json()["code"] == "access.identity-unknown", login


def test_an_identity_that_is_unbound_is_out(fresh: Joined) -> None:
    """What was got with it ends at once, and it opens nothing any more."""
    admin = fresh.control.as_("admin")
    admin.bind_identity("ana", fresh.provider.issuer, "s-1")
    first = fresh.sign_in("s-1")
    gone = admin.unbind_identity("ana", fresh.provider.issuer, "s-1")
    assert gone.ended_token_ids == (first.json()["signed_in"]["token_id"],)
    assert fresh.sign_in("s-1").json()["code"] == "access.identity-unknown"
    with pytest.raises(MusterError) as refused:
        admin.unbind_identity("ana", fresh.provider.issuer, "s-1")
    assert refused.value.code == "access.identity-not-found"


def test_a_removed_person_is_out(fresh: Joined) -> None:
    """Also one who is removed between the provider's word and the finish."""
    admin = fresh.control.as_("admin")
    admin.bind_identity("ana", fresh.provider.issuer, "s-1")
    begun = fresh.begin()
    code = code_on(come_back(begun["url"], "s-1"))
    admin.remove_user("ana")
    assert fresh.finish(begun, code).json()["code"] == "access.identity-unknown"
    assert fresh.sign_in("s-1", "open").json()["code"] == "access.identity-unknown"


@pytest.mark.parametrize(
    ("user", "issuer", "subject", "code"),
    [
        ("ana", None, "s-1", "access.identity-taken"),
        ("shop", None, "s-9", "access.no-person"),
        ("nobody", None, "s-9", "access.user-not-found"),
        ("ana", "https://evil.example.com", "s-9", "access.provider-unknown"),
    ],
)
def test_what_cannot_be_bound(fresh: Joined, user: str, issuer: str | None, subject: str, code: str) -> None:
    """An identity is one person's, a person's alone, and of a provider that the settings name."""
    admin = fresh.control.as_("admin")
    admin.bind_identity("olga", fresh.provider.issuer, "s-1")
    with pytest.raises(MusterError) as refused:
        admin.bind_identity(user, issuer or fresh.provider.issuer, subject)
    assert refused.value.code == code
    with pytest.raises(MusterError):
        fresh.control.as_("ana").bind_identity("ana", fresh.provider.issuer, "s-9")


def test_nobody_fills_the_factory_with_beginnings(fresh: Joined) -> None:
    """An address may begin fifty in a quarter of an hour."""
    with fresh.control.http() as http:
        codes = [http.post("/api/v1/sign-in/oidc/begin", json={"provider": "corp"}).status_code for _ in range(52)]
    assert codes == [200] * 50 + [429] * 2


def test_no_secret_of_a_sign_in_is_kept(fresh: Joined) -> None:
    """Neither handle, nor state, nor the code on the page, nor the client's secret, nor anything of the provider's tokens."""
    fresh.control.as_("admin").bind_identity("ana", fresh.provider.issuer, "s-1")
    begun = fresh.begin()
    back = led_back(begun["url"], "s-1")
    shown = page(back)
    token = fresh.finish(begun, code_on(shown)).json()["signed_in"]["token"]
    query = parse_qs(urlsplit(back).query)
    with fresh.control.services.database.read() as tx:
        names = [row[0] for row in tx.connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = repr([tx.connection.exec_driver_sql(f'SELECT * FROM "{name}"').fetchall() for name in names])
    secrets = (
        begun["handle"],
        query["state"][0],
        query["code"][0],
        code_on(shown),
        code_on(shown).replace("-", ""),
        SECRET,
        token,
    )
    assert [secret for secret in secrets if secret in kept] == []


def members(corp: Joined, *names: str) -> list[tuple[str, ...]]:
    with corp.control.as_("admin") as admin:
        return [admin.group(name).members for name in names]


def group_events(corp: Joined) -> list[tuple[str, str, str, str]]:
    services = corp.control.services
    with services.database.read() as tx:
        entries = services.journal.entries(tx, limit=1000)
    found = [(entry, json.loads(entry.details)) for entry in entries if entry.action in {"group.joined", "group.left"}]
    return [(entry.actor, entry.action, entry.subject, f"{told['user']} by {told.get('by')}") for entry, told in found]


def another_provider(corp: Joined, groups: dict[str, list[str]]) -> None:
    """Its administrators have changed who is in which group."""
    corp.provider.stop()
    corp.provider.groups = groups
    corp.provider.start(same_key=True)


def test_whoever_signs_in_is_in_the_groups_that_the_provider_says(fresh: Joined) -> None:
    """Joins and leaves what is mapped, and nothing else, on record; rights follow at once, for tokens given before as well."""
    with fresh.control.as_("admin") as admin:
        for name in ("risk-approvers", "sellers", "others"):
            admin.add_group(name)
        admin.grant_group("risk-approvers", "approver")
        admin.join_group("others", "olga")
        admin.join_group("sellers", "vera")
        admin.bind_identity("olga", fresh.provider.issuer, "s-6")
        admin.bind_identity("ana", fresh.provider.issuer, "s-1")
    by_hand = group_events(fresh)
    first = fresh.sign_in("s-6", "joining")
    assert fresh.whoami(first) == "olga"
    assert members(fresh, "risk-approvers", "sellers", "others") == [("olga",), ("olga", "vera"), ("olga",)]
    came = [
        ("muster", "group.joined", "group risk-approvers", "olga by oidc joining"),
        ("muster", "group.joined", "group sellers", "olga by oidc joining"),
    ]
    assert group_events(fresh)[len(by_hand) :] == came
    assert fresh.sign_in("s-6", "joining").status_code == 200
    assert group_events(fresh)[len(by_hand) :] == came, "nothing has changed, so nothing is on record"
    assert fresh.sign_in("s-6", "corp").status_code == 200
    assert len(members(fresh, "risk-approvers")[0]) == 1, "a provider without joins changes nothing"
    another_provider(fresh, {"s-6": ["sales"], "s-1": ["risk"]})
    assert fresh.sign_in("s-1", "joining").status_code == 200
    assert fresh.sign_in("s-6", "joining").status_code == 200
    assert members(fresh, "risk-approvers", "sellers", "others") == [("ana",), ("olga", "vera"), ("olga",)]
    assert group_events(fresh)[-1] == ("muster", "group.left", "group risk-approvers", "olga by oidc joining")
    token = first.json()["signed_in"]["token"]
    with fresh.control.http(Authorization=f"Bearer {token}") as http:
        assert "approver" not in str(http.get("/api/v1/whoami").json())
    with fresh.control.as_("admin") as admin:
        assert admin.audit_verify().valid


def test_who_is_in_a_project_through_groups_alone_goes_and_comes_back(fresh: Joined) -> None:
    """Out of the last group nobody is let in, though the leaving stands; back in the provider's group they are."""
    with fresh.control.as_("admin") as admin:
        for name in ("risk-approvers", "sellers"):
            admin.add_group(name)
            admin.grant_group(name, "viewer")
        admin.join_group("risk-approvers", "vera")
        admin.bind_identity("vera", fresh.provider.issuer, "s-1")
        admin.remove_group("sellers")
    services = fresh.control.services
    with services.database.write() as tx:
        access_store.remove_grant(tx, "vera", "default")
    another_provider(fresh, {})
    refused = fresh.sign_in("s-1", "joining")
    assert refused.json()["code"] == "access.identity-unknown", refused.text
    assert members(fresh, "risk-approvers") == [()]
    another_provider(fresh, {"s-1": ["risk"]})
    assert fresh.whoami(fresh.sign_in("s-1", "joining")) == "vera"
    assert members(fresh, "risk-approvers") == [("vera",)]


def test_a_group_that_is_not_there_is_told_with_its_name(fresh: Joined) -> None:
    """Whoever should be in it is refused, with nothing changed; others get in."""
    with fresh.control.as_("admin") as admin:
        for name, subject in (("ana", "s-1"), ("ben", "s-2")):
            admin.bind_identity(name, fresh.provider.issuer, subject)
    tokens = fresh.events("user.signed-in")
    refused = fresh.sign_in("s-1", "misspelt")
    assert (refused.status_code, refused.json()["code"]) == (422, "access.group-not-made"), refused.text
    assert "nobodys" in refused.json()["detail"]
    assert "risk" in refused.json()["detail"]
    assert fresh.events("user.signed-in") == tokens
    assert fresh.whoami(fresh.sign_in("s-2", "misspelt")) == "ben"


def test_the_last_admin_is_not_taken_out_by_the_provider(fresh: Joined) -> None:
    """A project keeps an admin whatever the provider says: the sign-in is refused, and nothing has changed."""
    with fresh.control.as_("admin") as admin:
        for name in ("risk-approvers", "sellers"):
            admin.add_group(name)
        admin.join_group("risk-approvers", "olga")
        admin.grant_group("risk-approvers", "admin")
        admin.bind_identity("olga", fresh.provider.issuer, "s-6")
    services = fresh.control.services
    with services.database.write() as tx:
        access_store.remove_grant(tx, "admin", "default")
    another_provider(fresh, {"s-6": ["sales"]})
    refused = fresh.sign_in("s-6", "joining")
    assert refused.json()["code"] == "access.last-admin", refused.text
    assert [name for name, *_ in group_events(fresh) if name == "muster"] == []
    another_provider(fresh, GROUPS)
    assert fresh.whoami(fresh.sign_in("s-6", "joining")) == "olga"


def test_a_person_who_was_removed_does_not_come_back_through_a_group(fresh: Joined) -> None:
    """The identity may still be there: it is nobody's."""
    with fresh.control.as_("admin") as admin:
        for name in ("risk-approvers", "sellers"):
            admin.add_group(name)
        admin.grant_group("risk-approvers", "approver")
        admin.bind_identity("ana", fresh.provider.issuer, "s-1")
        admin.remove_user("ana")
    assert fresh.sign_in("s-1", "joining").json()["code"] == "access.identity-unknown"
    assert members(fresh, "risk-approvers") == [()]
