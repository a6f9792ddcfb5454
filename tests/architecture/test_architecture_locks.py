"""The lock files say exactly what is installed, and nothing about where it comes from."""

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
COPYLEFT = re.compile(r"\b(A|L)?GPL|\bBUSL|Business Source|GNU (Lesser|Affero|General)", re.IGNORECASE)


def pins(lock: Path) -> dict[str, set[str]]:
    """Name to versions; a name has several where platforms or interpreters differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def wanted(group: str) -> list[Requirement]:
    """What the package needs, with a dependency group and the extras that the group asks for."""
    found: list[Requirement] = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
    for item in PROJECT["dependency-groups"][group]:
        if isinstance(item, dict):
            found.extend(wanted(item["include-group"]))
            continue
        requirement = Requirement(item)
        if requirement.name == PROJECT["project"]["name"]:
            extras = PROJECT["project"]["optional-dependencies"]
            found.extend(Requirement(text) for extra in requirement.extras for text in extras[extra])
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_hashes_and_no_address(lock: Path) -> None:
    """Every pinned line is followed by a SHA-256, and no line names an address or an option."""
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
    for entry in re.split(r"\n(?=\S)", text):
        assert entry.startswith("#") or "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("group", ["demo", "dev"])
def test_a_lock_fits_the_project(group: str) -> None:
    """A lock pins everything that pyproject.toml asks for, in a version that pyproject.toml allows."""
    found = pins(ROOT / "requirements" / f"{group}.lock")
    missing = [
        str(requirement)
        for requirement in wanted(group)
        if not any(
            requirement.specifier.contains(version) for version in found.get(canonicalize_name(requirement.name), ())
        )
    ]
    assert missing == [], "run `make lock`"


def test_the_locks_agree() -> None:
    """What is in two locks is there in the same version."""
    demo, dev, tools = (pins(ROOT / "requirements" / f"{name}.lock") for name in ("demo", "dev", "tools"))
    assert {name: versions for name, versions in demo.items() if dev.get(name) != versions} == {}
    assert tools["uv"] == dev["uv"]


def installed_with_muster() -> set[str]:
    """Every distribution that comes along when Muster is installed with all its extras; present platform only."""
    project = PROJECT["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    ahead, found = [Requirement(text) for text in texts], set[str]()
    while ahead:
        requirement = ahead.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        key = f"{name}[{','.join(sorted(requirement.extras))}]"
        if key in found:
            continue
        found.add(key)
        for text in metadata.requires(name) or []:
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                inner.marker = None
                ahead.append(inner)
    return {key.partition("[")[0] for key in found}


def test_what_is_installed_with_muster_has_a_permissive_licence() -> None:
    """Nothing that comes along with Muster is under a licence of the GPL family or a business source licence.

    The demo's data and the checkers of the development set-up are programs and data beside Muster, not parts of it.
    """
    found = {}
    for name in sorted(installed_with_muster()):
        about = metadata.metadata(name)
        # The whole text of a licence may stand under "License"; its first line names it.
        said = [
            str(text).split("\n")[0] for key in ("License-Expression", "License") for text in about.get_all(key) or []
        ]
        said += [text for text in about.get_all("Classifier") or [] if text.startswith("License ::")]
        if any(COPYLEFT.search(text) for text in said):
            found[name] = said
    assert found == {}
