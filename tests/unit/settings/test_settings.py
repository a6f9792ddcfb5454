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
