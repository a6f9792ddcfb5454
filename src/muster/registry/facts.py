"""What is said of models and versions beside their bytes: how it changes, and how the catalogue is told of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from muster.catalogue.records import Entry, Kind
from muster.packaging.documents import Bundle
from muster.registry.errors import ModelFactsMalformed
from muster.registry.records import Model, ModelChanges, ModelFacts, Version
from muster.vocabulary.names import checked_name

LONGEST_TEXT = 4000
LONGEST_TAG = 200
MOST_TAGS = 50
#: Files of a bundle whose words are searched.
_NOTES = ("README.md", "NOTES.md")
_MOST_NOTES_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a bundle tells to be found by, beyond what its version keeps."""

    text: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


def told_in(folder: Path, described: Bundle) -> Told:
    """What an unpacked bundle tells to be found by: its README and notes, and the figures that its author measured."""
    texts = []
    for name in _NOTES:
        path = folder / name
        if path.is_file():
            with path.open("rb") as stream:
                texts.append(stream.read(_MOST_NOTES_BYTES).decode("utf-8", errors="replace"))
    return Told(text="\n".join(texts), figures=described.metrics)


def version_entry(version: Version, told: Told) -> Entry:
    """A version, as the catalogue is told of it."""
    return Entry(
        project=version.project,
        kind=Kind.VERSION,
        name=str(version.name),
        state=str(version.state),
        owner=next(iter(version.owners), version.registered_by),
        at=version.registered_at,
        description=version.description,
        tags=version.tags,
        digest=version.digest,
        facts=(
            ("model", version.model),
            ("by", version.registered_by),
            *(("owner", name) for name in version.owners),
            *(("author", name) for name in version.authors),
        ),
        figures=told.figures,
        text=told.text,
    )


def model_entry(model: Model) -> Entry:
    """A model, as the catalogue is told of it."""
    facts = model.facts
    return Entry(
        project=model.project,
        kind=Kind.MODEL,
        name=model.name,
        owner=facts.owner,
        at=model.created_at,
        description=facts.description,
        tags=facts.tags,
        facts=(("model", model.name), ("by", model.created_by), ("deputy", facts.deputy or "")),
        text=facts.business_metric,
    )


def changed_facts(facts: ModelFacts, changes: ModelChanges) -> ModelFacts:
    """What a model carries after the changes.

    Raises:
        ModelFactsMalformed: something cannot be kept, or nothing is to change.
        NameMalformed: a person's name is none.
    """
    if changes == ModelChanges():
        raise ModelFactsMalformed("nothing is to change", fields=[])
    changed = facts
    if changes.owner is not None:
        changed = replace(changed, owner=checked_name(changes.owner, of="user"))
    if changes.deputy is not None:
        changed = replace(changed, deputy=checked_name(changes.deputy, of="user") if changes.deputy else None)
    if changes.description is not None:
        changed = replace(changed, description=_kept(changes.description, "description", LONGEST_TEXT))
    if changes.business_metric is not None:
        changed = replace(changed, business_metric=_kept(changes.business_metric, "business_metric", LONGEST_TEXT))
    return replace(changed, tags=_changed_tags(facts.tags, changes.tags))


def differing_facts(before: ModelFacts, after: ModelFacts) -> dict[str, object]:
    """What has become other, as an audit event tells it: by key, before and after."""
    names = ("owner", "deputy", "description", "business_metric", "tags")
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in names}
    return {
        name: {"before": _plain(old), "after": _plain(new)}
        for name, (old, new) in pairs.items()
        if _plain(old) != _plain(new)
    }


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def _changed_tags(tags: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    changed = dict(tags)
    for key, value in changes.items():
        name = _kept(key, "tags", LONGEST_TAG)
        if not name or name != key or "=" in name or any(one.isspace() for one in name):
            raise ModelFactsMalformed(f"{key!r} is no key of a tag: it holds space or =, or nothing", field="tags")
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = _kept(value, "tags", LONGEST_TAG)
    if len(changed) > MOST_TAGS:
        raise ModelFactsMalformed(f"a model has at most {MOST_TAGS} tags, not {len(changed)}", field="tags")
    return changed


def _kept(text: str, name: str, longest: int) -> str:
    told = text.strip()
    if len(told) > longest:
        raise ModelFactsMalformed(
            f"{name} has {len(told)} characters; {longest} can be kept", field=name, limit=longest
        )
    try:
        told.encode()
    except UnicodeEncodeError:
        told = "\0"
    if "\0" in told:
        raise ModelFactsMalformed(f"{name} holds characters that cannot be kept", field=name)
    return told
