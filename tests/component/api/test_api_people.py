"""Users, tokens and idempotency keys over HTTP."""

from concurrent.futures import ThreadPoolExecutor

from running_control import Control

USERS = "/api/v1/projects/default/users"


def test_a_new_user_is_given_a_token_that_works_at_once(control: Control) -> None:
    """The token in the answer identifies its user from that moment on, and is nowhere to be read again."""
    with control.http("admin") as http:
        made = http.post(USERS, json={"name": "ada", "role": "scientist"})
        listed = http.get(USERS)
    assert made.status_code == 201
    token = made.json()["token"]
    with control.http(Authorization=f"Bearer {token}") as http:
        assert http.get("/api/v1/whoami").json()["name"] == "ada"
    assert token not in listed.text
    ada = next(user for user in listed.json()["users"] if user["name"] == "ada")
    assert [held["token_id"] for held in ada["tokens"]] == [made.json()["token_id"]]


def test_a_revoked_token_opens_nothing(control: Control) -> None:
    """From the answer to the revocation on, the token is refused."""
    with control.http("admin") as http:
        made = http.post(USERS, json={"name": "eve", "role": "viewer"}).json()
        with control.http(Authorization=f"Bearer {made['token']}") as eves:
            assert eves.get("/api/v1/whoami").status_code == 200
            gone = http.post(f"/api/v1/projects/default/tokens/{made['token_id']}/revoke")
            assert gone.json() == {"user": "eve", "token_ids": [made["token_id"]]}
            assert eves.get("/api/v1/whoami").json()["code"] == "access.token-revoked"


def test_only_admins_manage_users(control: Control) -> None:
    """Nobody else may add, change, list or remove users."""
    for name in ("ana", "ben", "olga", "vera", "shop", "front"):
        with control.http(name) as http:
            assert http.post(USERS, json={"name": "mallory", "role": "admin"}).status_code == 403
            assert http.get(USERS).status_code == 403
            assert http.delete(f"{USERS}/vera").status_code == 403
            assert http.post(f"{USERS}/{name}/role", json={"role": "admin"}).status_code == 403


def test_a_role_can_be_changed_and_a_user_removed(control: Control) -> None:
    """The new role holds at once; a removed user's tokens end."""
    with control.http("admin") as http:
        made = http.post(USERS, json={"name": "kim", "role": "viewer"}).json()
        with control.http(Authorization=f"Bearer {made['token']}") as kims:
            assert kims.get("/api/v1/audit").status_code == 403
            changed = http.post(f"{USERS}/kim/role", json={"role": "operator"})
            assert changed.json() == {"name": "kim", "role": "operator", "endpoints": ["*"]}
            assert kims.get("/api/v1/audit").status_code == 200
            assert http.delete(f"{USERS}/kim").json()["user"] == "kim"
            assert kims.get("/api/v1/audit").status_code == 401


def test_an_expiry_is_a_moment_in_the_future(control: Control) -> None:
    """Moments that are none, or past, are refused; a good one is kept."""
    with control.http("admin") as http:
        for expires in ("tomorrow", "2027-13-45T00:00:00Z", "2027-01-01", "2020-01-01T00:00:00Z"):
            answer = http.post(USERS, json={"name": "lou", "role": "viewer", "expires": expires})
            assert answer.status_code == 400, expires
        made = http.post(USERS, json={"name": "lou", "role": "viewer", "expires": "2099-01-01T00:00:00+02:00"})
        listed = http.get(USERS).json()["users"]
    assert made.status_code == 201
    lou = next(user for user in listed if user["name"] == "lou")
    assert lou["tokens"][0]["expires_at"] == "2098-12-31T22:00:00.000000Z"


def test_a_repeated_order_is_carried_out_once(control: Control) -> None:
    """With the same key and body, an order changes something once, however often it is given."""
    with control.http("admin", **{"Idempotency-Key": "add-zed"}) as http:
        first = http.post(USERS, json={"name": "zed", "role": "viewer"})
        again = http.post(USERS, json={"name": "zed", "role": "viewer"})
        other = http.post(USERS, json={"name": "zed", "role": "admin"})
        elsewhere = http.post(f"{USERS}/zed/role", json={"name": "zed", "role": "viewer"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert other.status_code == 409
    assert other.json()["code"] == "audit.idempotency-key-reused"
    assert elsewhere.status_code in {400, 409}
    with control.http("admin") as http:
        added = http.get("/api/v1/audit", params={"limit": 1000}).json()["events"]
    assert [event["action"] for event in added if event["subject"] == "user zed"].count("user.added") == 1


def test_two_equal_orders_at_once_are_one(control: Control) -> None:
    """Repeats that overlap are recognised, too."""
    with control.http("admin", **{"Idempotency-Key": "add-twin"}) as http, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: http.post(USERS, json={"name": "twin", "role": "viewer"}), range(4)))
    assert {answer.status_code for answer in answers} == {201}
    with control.http("admin") as http:
        events = http.get("/api/v1/audit", params={"subject": "user twin"}).json()["events"]
    assert [event["action"] for event in events].count("user.added") == 1


def test_users_and_tokens_are_listed_page_by_page(control: Control) -> None:
    """A page has the `next` with which the list goes on; the client gives all, unless it is told how many."""
    with control.as_("admin") as factory, control.http("admin") as http:
        every, tokens = factory.users(), factory.tokens()
        assert every.next is None
        assert tokens.next is None
        first = factory.users(limit=2)
        assert (len(first.users), first.next) == (2, first.users[1].name)
        assert factory.users(limit=1000, after=first.next).users == every.users[2:]
        some = factory.tokens(limit=3)
        assert (len(some.tokens), some.next) == (3, some.tokens[2].token_id)
        assert factory.tokens(limit=1000, after=some.next).tokens == tokens.tokens[3:]
        assert (
            http.get("/api/v1/projects/default/tokens", params={"after": "tok_nothing"}).json()["code"]
            == "access.token-not-found"
        )
        for bad in ({"limit": 0}, {"after": "No Name"}):
            assert http.get(USERS, params=bad).status_code == 400
            assert http.get("/api/v1/projects/default/tokens", params=bad).status_code == 400
