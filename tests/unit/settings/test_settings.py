"""Settings: one frozen tree out of a file and variables, wrong ones named."""

from pathlib import Path

import msgspec
import pytest

from muster.settings import Settings, SettingsMalformed, read_settings

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def names(kind: type[msgspec.Struct], prefix: str = "") -> list[str]:
    found = []
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found += names(field.type, f"{field.name}.")
        else:
            found.append(prefix + field.name)
    return found


@pytest.mark.parametrize("name", names(Settings))
def test_every_setting_is_documented_with_its_variable(name: str) -> None:
    """The page names each setting and its variable."""
    page = PAGE.read_text()
    assert f"`{name}`" in page
    assert f"`MUSTER_{name.replace('.', '_').upper()}`" in page


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    """MUSTER_… is stronger than settings.toml."""
    file = tmp_path / "settings.toml"
    file.write_text('database = "sqlite:///a.db"\n[serving]\nfronts = 2\nhost_memory_mib = 100\n')
    settings = read_settings(file, {"MUSTER_SERVING_FRONTS": "4", "MUSTER_HOME": "/x", "HOME": "/y"})
    assert settings.serving.fronts == 4
    assert settings.serving.host_memory_mib == 100
    assert settings.database == "sqlite:///a.db"


@pytest.mark.parametrize(
    ("text", "variables", "named"),
    [
        ("fronts = 2\n", {}, "fronts"),
        ("[serving]\nfronts = 'many'\n", {}, "fronts"),
        ("[serving]\nfronts = 0\n", {}, "fronts"),
        ("not toml", {}, "settings.toml"),
        ("", {"MUSTER_SERVING_FRONT": "2"}, "MUSTER_SERVING_FRONT"),
        ("", {"MUSTER_COLOUR": "red"}, "MUSTER_COLOUR"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, variables: dict[str, str], named: str) -> None:
    """Whatever is wrong stands in the message."""
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsMalformed, match=named):
        read_settings(file, variables)


def test_a_variable_may_hold_a_list(tmp_path: Path) -> None:
    """Texts with commas between them, or JSON; an empty one is an empty list."""
    file = tmp_path / "settings.toml"
    provider = '[{"name": "corp", "issuer": "https://id.example.com", "client_id": "muster"}]'
    told = {"MUSTER_ACCESS_TRUSTED_PROXIES": "10.0.0.5, 10.1.0.0/16", "MUSTER_ACCESS_OIDC": provider}
    access = read_settings(file, {**told, "MUSTER_ACCESS_PUBLIC_URL": "https://muster.example.com"}).access
    assert access.trusted_proxies == ("10.0.0.5", "10.1.0.0/16")
    assert [(one.name, one.allow, one.scopes) for one in access.oidc] == [("corp", "bound", ("openid", "profile"))]
    assert read_settings(file, {"MUSTER_ACCESS_TRUSTED_PROXIES": ""}).access.trusted_proxies == ()
    with pytest.raises(SettingsMalformed, match="MUSTER_ACCESS_OIDC"):
        read_settings(file, {"MUSTER_ACCESS_OIDC": "[{"})


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"issuer": "http://id.example.com"}, "https"),
        ({"issuer": "https://user@id.example.com"}, "https"),
        ({"issuer": "https://id.example.com/?a=b"}, "https"),
        ({"issuer": "https://id.example.com#x"}, "https"),
        ({"issuer": "https://id.example.com:0"}, "https"),
        ({"issuer": "ftp://id.example.com"}, "https"),
        ({"issuer": "https://id.example .com"}, "https"),
        ({"origins": ["https://id.example.com/path"]}, "origin"),
        ({"origins": ["http://169.254.169.254"]}, "origin"),
        ({"allow": "known-names", "claim": "email"}, "email"),
        ({"allow": "anybody"}, "allow"),
        ({"groups": ["risk"]}, "groups"),
        ({"groups_claim": "groups"}, "groups"),
        ({"joins": {"risk": "approvers"}}, "groups_claim"),
        ({"joins": {"risk": "Approvers"}, "groups_claim": "groups"}, "joins"),
        ({"joins": {"": "approvers"}, "groups_claim": "groups"}, "joins"),
        ({"joins": ["approvers"], "groups_claim": "groups"}, "joins"),
        ({"scopes": ["a b"]}, "scopes"),
        ({"name": "Corp"}, "name"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_a_provider_that_cannot_be_meant_is_refused(tmp_path: Path, changed: dict[str, object], named: str) -> None:
    """Secrets go over https alone, people are known by what they cannot choose, and options that belong together come together."""
    provider = {"name": "corp", "issuer": "https://id.example.com/realm", "client_id": "muster"}
    given = {"MUSTER_ACCESS_PUBLIC_URL": "http://127.0.0.1:8600"}
    text = msgspec.json.encode([provider | changed]).decode()
    with pytest.raises(SettingsMalformed, match=named):
        read_settings(tmp_path / "settings.toml", {**given, "MUSTER_ACCESS_OIDC": text})
    sound = {**given, "MUSTER_ACCESS_OIDC": msgspec.json.encode([provider]).decode()}
    assert read_settings(tmp_path / "settings.toml", sound).access.oidc[0].name == "corp"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"MUSTER_ACCESS_PUBLIC_URL": "http://muster.example.com"}, "public_url"),
        ({"MUSTER_ACCESS_TRUSTED_PROXIES": "10.0.0.1/8"}, "trusted_proxies"),
        ({"MUSTER_ACCESS_TRUSTED_PROXIES": "proxy.example.com"}, "trusted_proxies"),
        ({"MUSTER_ACCESS_SIGN_IN_HOURS": "0"}, "sign_in_hours"),
        ({"MUSTER_ACCESS_OIDC": '[{"name": "c", "issuer": "https://i", "client_id": "m"}]'}, "public_url"),
        (
            {
                "MUSTER_ACCESS_PUBLIC_URL": "https://m",
                "MUSTER_ACCESS_OIDC": '[{"name": "c", "issuer": "https://i", "client_id": "m"}, {"name": "c", "issuer": "https://j", "client_id": "m"}]',
            },
            "one name",
        ),
    ],
)
def test_signing_in_is_set_up_as_a_whole(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    """What would fail at the first sign-in is said at the start."""
    with pytest.raises(SettingsMalformed, match=named):
        read_settings(tmp_path / "settings.toml", settings)
