"""What a bundle meets of all that a standard can ask, read from a folder in the lab or from the factory's store."""

from collections.abc import Callable
from pathlib import Path

from muster.packaging.documents import NOTEBOOK_NAME, NOTES_NAME, Bundle
from muster.packaging.manifest import Manifest, files_of
from muster.packaging.readme import NO_NOTES
from muster.standards.evaluation import BundleFacts
from muster.vocabulary.digests import Digest
from muster.vocabulary.errors import Damaged, NotFound

#: Of release notes so much is looked at.
_MOST_NOTES = 1 << 20


def facts_of_folder(folder: Path, bundle: Bundle) -> BundleFacts:
    """What the bundle in a folder meets."""
    there = dict(files_of(folder))

    def size(path: str) -> int | None:
        return there[path].stat().st_size if path in there else None

    return _facts(bundle, size, lambda path: there[path].read_bytes())


def facts_of_manifest(manifest: Manifest, bundle: Bundle, read: Callable[[Digest], bytes]) -> BundleFacts:
    """What a registered bundle meets.

    Args:
        manifest: its files.
        bundle: what it says of itself.
        read: gives the bytes of a digest from the store.
    """

    def size(path: str) -> int | None:
        entry = manifest.file(path)
        return None if entry is None else entry.size

    def content(path: str) -> bytes:
        entry = manifest.file(path)
        assert entry is not None
        try:
            return read(Digest(entry.digest))
        except (Damaged, NotFound):  # whoever asks for the file is told; here it says nothing
            return b""

    return _facts(bundle, size, content)


def _facts(bundle: Bundle, size: Callable[[str], int | None], content: Callable[[str], bytes]) -> BundleFacts:
    card, data = bundle.card, bundle.data
    notes, notebook = bundle.notes or NOTES_NAME, bundle.notebook or NOTEBOOK_NAME
    notes_bytes = size(notes)
    met = {
        "release-notes": notes_bytes is not None and _says_something(content(notes), notes_bytes),
        "notebook": bool(size(notebook)),
        "intended-use": bool(card.intended_use.strip()),
        "limitations": bool(card.limitations.strip()),
        "risk-tier": bool(card.risk_tier),
        "data-sources": bool(data) and all(source.uri for source in data),
        "data-spans": bool(data) and all(source.from_ and source.to for source in data),
        "licences": bool(card.licences),
        "owner": bool(bundle.owners),
        "deputy": bool(card.deputy),
        "business-metric": bool(card.business_metric.strip()),
    }
    return BundleFacts(
        tier=card.risk_tier or None,
        has=frozenset(name for name, is_met in met.items() if is_met),
        deputy=card.deputy or None,
    )


def _says_something(content: bytes, size: int) -> bool:
    """Whether notes hold more than a heading and the words that stand where none were given."""
    if size > _MOST_NOTES:
        return True
    lines = content.decode("utf-8", "replace").splitlines()
    return any(line.strip() not in {"", NO_NOTES} and not line.lstrip().startswith("#") for line in lines)
