"""Role by action by whose work it is, over HTTP: every state-changing operation, every role, every way to have part in something."""

from pathlib import Path

import httpx
import pytest

from muster.access.roles import Right
from muster.api.app import openapi
from rights_matrix import (
    API,
    ASKERS,
    DEFAULT,
    OTHERS,
    ROWS,
    WITHOUT_A_RIGHT,
    Own,
    Row,
    World,
    acknowledgement,
    documented_rights,
)

#: The roles of the page and those who have them here; robot is a service account, an approver.
DOCUMENTED = documented_rights()
#: Rights that no role of a project's own holds.
_NOT_IN_ROLES = {"follow", "manage-projects"}


@pytest.fixture(scope="module", autouse=True)
def _own_roles(world: World) -> None:
    """Two people whose roles are the project's own, and are set anew for each line."""
    with world.control.http("admin") as http:
        for role in ("just", "rest"):
            assert http.post(f"{DEFAULT}/roles/{role}", json={"rights": ["read"]}).is_success
            answer = http.post(f"{DEFAULT}/users", json={"name": f"u-{role}", "role": role})
            world.control.tokens[f"u-{role}"] = answer.json()["token"]


def may(name: str, row: Row) -> bool:
    """What the page says of somebody."""
    return any(ASKERS[name] in DOCUMENTED[right] for right in row.rights)


def is_done(answer: httpx.Response, row: Row) -> bool:
    """The right was there."""
    return answer.is_success or answer.json().get("code") in row.passes


def refused(answer: httpx.Response, codes: tuple[str, ...]) -> tuple[int, str] | None:
    """None, if it was refused with one of these codes; else what was answered."""
    code = str(answer.json().get("code")) if answer.status_code >= 400 else ""
    known = {"archive.request-not-found": 404}
    return None if code in codes and answer.status_code == known.get(code, 403) else (answer.status_code, answer.text)


def test_every_state_changing_operation_has_its_line() -> None:
    """A new route without a line in the table fails here."""
    changing = {
        operation["operationId"]
        for item in openapi()["paths"].values()
        for method, operation in item.items()
        if method != "get"
    }
    assert {name.partition(":")[0] for name in ROWS} | set(WITHOUT_A_RIGHT) == changing
    for place in WITHOUT_A_RIGHT.values():
        assert (Path(__file__).parent / place).is_file()


def test_every_right_of_the_page_is_one_and_the_other_way_round() -> None:
    """So that what is expected here is what is documented."""
    assert set(DOCUMENTED) == {str(right) for right in Right}
    assert {right for row in ROWS.values() for right in row.rights} <= set(DOCUMENTED)


@pytest.mark.parametrize("name", ROWS)
def test_each_role_may_do_what_the_page_says(world: World, name: str) -> None:
    """Of others' work: done, or 403; 404 for another project's admin, 401 for nobody. What is refused leaves nothing on record."""
    row, control = ROWS[name], world.control
    ask = row.make(world, "vera", OTHERS)
    before = world.events()
    wrong: list[object] = []
    for asker in ASKERS:
        if not may(asker, row):
            with control.http(asker) as http:
                found = refused(ask.by(http), row.refusals)
            wrong += [] if found is None else [(asker, found)]
    with control.http() as http:
        assert ask.by(http).status_code == 401
    with control.http(Authorization="Bearer mst_" + "A" * 43) as http:
        assert ask.by(http).status_code == 401
    with control.http("rita") as http:
        answer = ask.by(http)
    expected = (404, "access.project-not-found") if row.inside else (403, "access.right-missing")
    assert (answer.status_code, answer.json()["code"]) == expected
    assert world.events() == before, "what was refused is on record as done"
    for asker in ASKERS:
        if may(asker, row):
            # Where nothing is passed, an admin does it with one's own as with others': to ban, to turn down, to propose. A
            # vote on one's own work is never there, so it is not taken back either.
            mine = asker == "ada" and not row.own and not name.endswith("Vote")
            with control.http(asker) as http:
                answer = row.make(world, asker, Own((asker,)) if mine else OTHERS).by(http)
            wrong += [] if is_done(answer, row) else [(asker, answer.text)]
    assert not wrong


@pytest.mark.parametrize("name", ROWS)
def test_it_takes_that_right_and_no_other(world: World, name: str) -> None:
    """A token that is limited to the right does it, one with all others does not; and so a role of the project's own."""
    row, control = ROWS[name], world.control
    just = sorted({row.rights[0], "read", *row.also})
    rest = sorted({str(right) for right in Right} - set(row.rights))
    holder = "front" if row.rights == ("follow",) else "ada"
    clients = {}
    for label, rights in (("just", just), ("rest", rest)):
        with control.http("admin") as http:
            answer = http.post(f"{DEFAULT}/users/{holder}/tokens", json={"label": label, "rights": rights})
        assert answer.is_success, answer.text
        clients[f"token {label}"] = (holder, answer.json()["token"])
    if not set(row.rights) & _NOT_IN_ROLES:
        for label, rights in (("just", just), ("rest", sorted(set(rest) - _NOT_IN_ROLES))):
            with control.http("admin") as http:
                assert http.post(f"{DEFAULT}/roles/{label}", json={"rights": rights}).is_success
            clients[f"role {label}"] = (f"u-{label}", control.tokens[f"u-{label}"])
    refused_one = row.make(world, "vera", OTHERS)
    for label, (asker, token) in clients.items():
        ask = row.make(world, asker, OTHERS) if label.endswith("just") else refused_one
        with control.http(Authorization=f"Bearer {token}") as http:
            answer = ask.by(http)
        if label.endswith("just"):
            assert is_done(answer, row), (label, answer.text)
        else:
            assert refused(answer, row.refusals) is None, (label, answer.text)


OWN_WORK = [(name, how) for name, row in ROWS.items() for how in row.own]


@pytest.mark.parametrize(("name", "how"), OWN_WORK)
def test_nobody_passes_their_own_work(world: World, name: str, how: str) -> None:
    """Whoever has part in it in any way, an admin who has every right: refused as one's own, and nothing is on record."""
    row = ROWS[name]
    ask = row.make(world, "ada", Own(("ada",), how))
    before = world.events()
    with world.control.http("ada") as http:
        assert refused(ask.by(http), row.own_codes) is None, ask.by(http).text
    assert world.events() == before


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "owner" in row.own])
def test_no_role_passes_what_it_owns(world: World, name: str) -> None:
    """Everybody owns it together: the roles with the right are refused as owners, the others as ever."""
    row = ROWS[name]
    ask = row.make(world, "vera", Own(tuple(ASKERS)))
    before = world.events()
    for asker in ASKERS:
        with world.control.http(asker) as http:
            answer = ask.by(http)
        codes = row.own_codes if may(asker, row) else row.refusals
        assert refused(answer, codes) is None, (asker, answer.text)
    assert world.events() == before


def test_what_is_ones_own_takes_no_right(world: World) -> None:
    """One's model, proposal, profile, token, delegation, and a consumer's own word: without the right that others need."""
    control = world.control
    with control.http("sara") as sara:
        assert ROWS["setModel"].make(world, "sara", Own(("sara",), "model-owner")).by(sara).is_success
        assert ROWS["withdrawRelease"].make(world, "sara", Own(("sara",), "proposed")).by(sara).is_success
        assert sara.post(f"{DEFAULT}/users/sara/profile", json={"title": "me"}).is_success
    with control.http("anton") as anton:
        assert ROWS["endDelegation"].make(world, "anton", Own(("anton",))).by(anton).is_success
    made = world.user("viewer")
    with control.http(Authorization=f"Bearer {made['token']}") as http:
        again = http.post(f"{DEFAULT}/tokens/{made['token_id']}/rotate", json={"grace_s": 60}).json()
        assert http.post(f"{DEFAULT}/tokens/{made['token_id']}/revoke").is_success
    with control.http(Authorization=f"Bearer {again['token']}") as http:
        assert http.get(f"{API}/whoami").is_success
    ask, consumer = acknowledgement(world, OTHERS, on_behalf=False)
    for name in ("vera", "sara", "shop"):
        with control.http(name) as http:
            assert ask.by(http).status_code == 403
    with control.http(Authorization=f"Bearer {consumer['token']}") as http:
        assert ask.by(http).is_success
