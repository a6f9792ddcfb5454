"""Which factory is meant and who asks."""

import json
import stat
from pathlib import Path

import pytest

from muster.client.errors import AddressMalformed, LoginUnreadable, TokenMalformed
from muster.client.login import DEFAULT_URL, SavedLogin, find_login, forget_login, login_file, save_login


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of a factory and nothing else."""
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    (home / "admin.token").write_text("mst_admin\n")
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "MUSTER_HOME": str(home)}


def runs(variables: dict[str, str], control: str, scoring: str = "") -> None:
    """A factory runs in the home, at these addresses."""
    file = Path(variables["MUSTER_HOME"]) / "run" / "supervisor.json"
    file.write_text(json.dumps({"processes": [], "control": control, "scoring": scoring}))


def test_the_argument_comes_first(variables: dict[str, str]) -> None:
    """What is given by hand wins over everything that could be found."""
    variables |= {"MUSTER_URL": "http://elsewhere:1", "MUSTER_TOKEN": "mst_variable"}
    found = find_login("http://here:2/", "mst_argument", environment=variables)
    assert (found.url, found.token) == ("http://here:2", "mst_argument")


def test_variables_come_before_the_saved_login(variables: dict[str, str]) -> None:
    """MUSTER_URL and MUSTER_TOKEN win over what `muster login` kept."""
    save_login(SavedLogin(url="http://saved:1", token="mst_saved"), variables)
    found = find_login(environment=variables | {"MUSTER_URL": "http://elsewhere:1", "MUSTER_TOKEN": "mst_variable"})
    assert (found.url, found.token) == ("http://elsewhere:1", "mst_variable")


def test_the_saved_login_is_for_its_own_address_alone(variables: dict[str, str]) -> None:
    """A saved token is never sent to another address than the one it was saved for."""
    save_login(SavedLogin(url="http://saved:1", token="mst_saved"), variables)
    assert find_login(environment=variables).token == "mst_saved"
    assert find_login("http://saved:1/", environment=variables).token == "mst_saved"
    assert find_login("http://other:1", environment=variables).token is None


def test_who_can_read_the_home_is_its_admin(variables: dict[str, str]) -> None:
    """Without a login, the admin token of the home is used for the factory that runs there, wherever it listens."""
    assert find_login(environment=variables).url == DEFAULT_URL
    runs(variables, "http://127.0.0.1:4711", "http://127.0.0.1:4712")
    found = find_login(environment=variables)
    assert (found.url, found.token, found.scoring_url) == (
        "http://127.0.0.1:4711",
        "mst_admin",
        "http://127.0.0.1:4712",
    )
    assert find_login("http://localhost:4711", environment=variables).token == "mst_admin"


def test_the_admin_token_never_leaves_the_machine(variables: dict[str, str]) -> None:
    """An address elsewhere, or of another factory on this machine, is not given the home's token."""
    runs(variables, "http://127.0.0.1:4711")
    for url in ("http://factory.example.org:4711", "http://127.0.0.1:9999"):
        assert find_login(url, environment=variables).token is None


def test_a_login_is_kept_for_its_owner_alone(variables: dict[str, str]) -> None:
    """The file is readable by nobody else, and can be forgotten."""
    file = save_login(SavedLogin(url="http://saved:1", token="mst_saved", name="ana"), variables)
    assert file == Path(variables["XDG_CONFIG_HOME"]) / "muster" / "login.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["format"] == 1
    assert forget_login(variables)
    assert not forget_login(variables)
    assert find_login(environment=variables).token == "mst_admin"


def test_a_login_that_cannot_be_read_is_said(variables: dict[str, str]) -> None:
    """A broken file is an error with its path, not a login as somebody else."""
    file = login_file(variables)
    file.parent.mkdir(parents=True)
    file.write_text("{")
    with pytest.raises(LoginUnreadable, match=r"login\.json"):
        find_login(environment=variables)


@pytest.mark.parametrize("url", ["localhost:8600", "ftp://x", "http://", "http://x:99999", "", "http://[::1"])
def test_an_address_is_a_url(variables: dict[str, str], url: str) -> None:
    """What is no http address is refused, by whatever way it came."""
    if url:
        with pytest.raises(AddressMalformed):
            find_login(url, environment=variables)
        with pytest.raises(AddressMalformed):
            find_login(environment=variables | {"MUSTER_URL": url})


@pytest.mark.parametrize("token", ["", " ", "two words", "tür", "a\nb"])
def test_a_token_is_one_word(variables: dict[str, str], token: str) -> None:
    """A token that no header can carry is refused before it is sent."""
    with pytest.raises(TokenMalformed):
        find_login(token=token, environment=variables)
