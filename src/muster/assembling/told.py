"""What people are told about a model that is assembled: its card, its data, what changed, and how the author got there.

All of it may stand in the source's muster.toml, and all but the notes in a file beside it, the card file, which wins key by key:

    [card]
    intended_use = "Whom the call centre rings first."
    risk_tier = "medium"

    [[data]]                        # address, digest and rows come from `--data training=churn.csv`, or stand here
    name = "training"
    from = "2025-01-01"
    to = "2026-01-01"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from muster.assembling.errors import CardUnusable
from muster.packaging.data_sets import described_data
from muster.packaging.documents import Card, DataSource
from muster.packaging.notebooks import notebook_bytes
from muster.packaging.source import without_secrets

_TABLES = ("card", "data")
_MOST_NOTES_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the author gives beside the source folder."""

    notes: str = ""
    """What changed in this version; empty: what the source's NOTES.md says."""
    card: Path | None = None
    """A TOML file with `[card]` and `[[data]]`."""
    notebook: Path | None = None
    """How the author got there, as .ipynb."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Data sets by name, each a path or an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The same, read and put together with what muster.toml says."""

    card: Card
    data: Mapping[str, Mapping[str, Any]]
    """By name: what data.toml says of each."""
    notes: str
    notebook: bytes | None


def read_told(told: Told, declared: Mapping[str, Any], where: Path) -> Read:
    """What people are told about the model.

    Args:
        told: what was given beside the source.
        declared: what the source's muster.toml says.
        where: that muster.toml.

    Raises:
        CardUnusable: a table has an unknown key, or a value of the wrong type; a data set has no address.
        SampleUnusable: a data set or the notebook is not there, or cannot be read.
    """
    card, data = _tables(declared, where)
    if told.card is not None:
        more, sets = _tables(_read(told.card), told.card)
        card = {**card, **more}
        for name, one in sets.items():
            data[name] = {**data.get(name, {}), **one}
    file = told.card or where
    try:
        made = msgspec.convert(card, Card)
    except msgspec.ValidationError as error:
        raise CardUnusable(f"{file}: [card] {error}", path=str(file)) from error
    for name, one in described_data(told.data).items():
        said = data.get(name, {})
        data[name] = {**one, **{key: said[key] for key in said if key in {"from", "to"}}}
    for name, one in data.items():
        if not one.get("uri"):
            raise CardUnusable(
                f"{file}: [[data]] {name!r} has no uri; name it there, or give the file with --data {name}=PATH",
                path=str(file),
                name=name,
            )
    notebook = None if told.notebook is None else notebook_bytes(told.notebook)
    return Read(card=made, data=data, notes=told.notes, notebook=notebook)


def read_notes(path: Path) -> str:
    """The text of a file that says what changed.

    Raises:
        CardUnusable: it is missing, empty, too long or no text.
    """
    try:
        if path.stat().st_size > _MOST_NOTES_BYTES:
            raise CardUnusable(f"{path} is larger than 1 MiB", path=str(path))
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CardUnusable(f"the notes {path} cannot be read: {error}", path=str(path)) from error
    if not text.strip():
        raise CardUnusable(f"the notes {path} say nothing", path=str(path))
    return text


def _read(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise CardUnusable(f"the card {path} cannot be read: {error}", path=str(path)) from error
    unknown = sorted(found.keys() - set(_TABLES))
    if unknown:
        raise CardUnusable(f"{path} has the key {unknown[0]!r}; it holds [card] and [[data]]", path=str(path))
    if not found:
        raise CardUnusable(f"{path} holds neither [card] nor [[data]]", path=str(path))
    return found


def _tables(declared: Mapping[str, Any], where: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """`[card]` of a document, and its `[[data]]` by name."""
    card, data = declared.get("card", {}), declared.get("data", [])
    if not isinstance(card, dict):
        raise CardUnusable(f"{where}: card is no table; write [card]", path=str(where))
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise CardUnusable(f"{where}: data is no list of tables; write [[data]]", path=str(where))
    found: dict[str, dict[str, Any]] = {}
    for one in data:
        said = _checked(one, where)
        name = said.pop("name")
        if name in found:
            raise CardUnusable(f"{where}: two [[data]] are called {name!r}", path=str(where), name=name)
        found[name] = said
    return dict(card), found


def _checked(one: Mapping[str, Any], where: Path) -> dict[str, Any]:
    said = {key: value.isoformat() if isinstance(value, date) else value for key, value in one.items()}
    if isinstance(said.get("uri"), str):
        said["uri"] = without_secrets(said["uri"])
    try:
        msgspec.convert({"uri": "", **said}, DataSource)
    except msgspec.ValidationError as error:
        raise CardUnusable(f"{where}: [[data]] {error}", path=str(where)) from error
    return said
