"""What is installed in the lab: which distribution a module belongs to, where it came from, what it needs."""

import importlib.metadata
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal
from urllib.parse import unquote, urlparse

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Origin = Literal["index", "wheel", "editable", "directory", "repository", "address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One installed distribution."""

    name: str
    """Normalised, as locks write it."""
    version: str
    origin: Origin
    url: str | None
    """Where it came from, when that was no index; may hold credentials, so it is for messages only after cleaning."""
    requires: tuple[str, ...]

    @property
    def wheel(self) -> Path | None:
        """The local wheel it was installed from, if that file is still there."""
        if self.origin != "wheel" or self.url is None:
            return None
        path = Path(unquote(urlparse(self.url).path))
        return path if path.is_file() else None


class Installed:
    """Everything installed for the interpreter that runs this; looked at once, when made."""

    def __init__(self) -> None:
        self._by_name: dict[str, Distribution] = {}
        self._tops: defaultdict[str, set[str]] = defaultdict(set)
        self._files: dict[str, frozenset[str]] = {}
        self._editable_roots: dict[Path, str] = {}
        self._editable_tops: dict[str, str] = {}
        for found in importlib.metadata.distributions():
            self._add(found)
        self._add_editable_finders()

    def distribution(self, name: str) -> Distribution | None:
        """The distribution of that name, however it is spelt."""
        return self._by_name.get(canonicalize_name(name))

    def owner_of(self, module: str, file: str | None) -> Distribution | None:
        """The distribution that a module belongs to; None for the standard library and for the author's own files."""
        top = module.partition(".")[0]
        owners = self._tops.get(top, set())
        if len(owners) == 1:
            return self._by_name[next(iter(owners))]
        if owners and file is not None:
            # A namespace that several distributions share, like google: the one whose record lists the file.
            for name in sorted(owners):
                if any(file.endswith("/" + path) for path in self._files[name]):
                    return self._by_name[name]
        return self._editable_owner(top, file)

    def tops_of(self, names: Iterable[str]) -> set[str]:
        """The top-level packages and modules that the named distributions bring."""
        wanted = set(names)
        return {top for top, owners in self._tops.items() if owners & wanted}

    def closure(self, names: Iterable[str]) -> list[Distribution]:
        """The named distributions and all installed ones that they need on this machine, sorted by name."""
        found: dict[str, Distribution] = {}
        open_ends = [(canonicalize_name(name), frozenset[str]()) for name in names]
        seen = set(open_ends)
        while open_ends:
            name, extras = open_ends.pop()
            distribution = self._by_name.get(name)
            if distribution is None:
                continue
            found[name] = distribution
            for text in distribution.requires:
                need = Requirement(text)
                wanted = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (*extras, ""))
                end = (canonicalize_name(need.name), frozenset(need.extras))
                if wanted and end not in seen:
                    seen.add(end)
                    open_ends.append(end)
        return [found[name] for name in sorted(found)]

    def is_own(self, module: ModuleType) -> bool:
        """Whether a module is the author's own: a file of no distribution and not of Python itself.

        Muster's own modules count as the author's: a model must not need Muster where it runs.
        """
        name, file = module.__name__, getattr(module, "__file__", None)
        top = name.partition(".")[0]
        if top in {"__main__", "muster_host"} or file is None or top in sys.stdlib_module_names:
            return False
        if top == "muster":
            return True
        return self.owner_of(name, file) is None and "site-packages" not in file and "dist-packages" not in file

    def _add(self, found: importlib.metadata.Distribution) -> None:
        raw_name = found.metadata["Name"]
        if not raw_name:
            return
        name = canonicalize_name(raw_name)
        if name in self._by_name:
            return  # an earlier entry of sys.path hides this one
        origin, url = _origin(found.read_text("direct_url.json"))
        self._by_name[name] = Distribution(
            name=name, version=found.version, origin=origin, url=url, requires=tuple(found.requires or ())
        )
        record = found.read_text("RECORD") or ""
        paths = frozenset(line.split(",", 1)[0].strip('"') for line in record.splitlines() if line)
        self._files[name] = paths
        for path in paths:
            top, slash, _ = path.partition("/")
            if slash:
                if not top.endswith((".dist-info", ".data")) and top not in {"..", "__pycache__"}:
                    self._tops[top].add(name)
            elif path.endswith((".py", ".so", ".pyd")):
                self._tops[path.partition(".")[0]].add(name)
            elif path.endswith(".pth") and origin in {"editable", "directory"}:
                self._add_editable_roots(name, Path(str(found.locate_file(path))))
        for line in (found.read_text("top_level.txt") or "").split():
            self._tops[line].add(name)

    def _add_editable_roots(self, name: str, pth: Path) -> None:
        try:
            lines = pth.read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            if line.strip() and not line.startswith(("import ", "#")):
                self._editable_roots[Path(line.strip())] = name

    def _add_editable_finders(self) -> None:
        """Setuptools' editable installs put a finder with a mapping from package to folder into sys.modules."""
        for name, module in list(sys.modules.items()):
            if name.startswith("__editable__") and isinstance(getattr(module, "MAPPING", None), dict):
                for top in module.MAPPING:
                    owner = next((d.name for d in self._by_name.values() if d.name.replace("-", "_") in name), None)
                    if owner is not None:
                        self._editable_tops[top.partition(".")[0]] = owner

    def _editable_owner(self, top: str, file: str | None) -> Distribution | None:
        if top in self._editable_tops:
            return self._by_name[self._editable_tops[top]]
        if file is None:
            return None
        for root, name in self._editable_roots.items():
            if Path(file).is_relative_to(root):
                return self._by_name[name]
        return None


def _origin(direct_url: str | None) -> tuple[Origin, str | None]:
    """Where a distribution came from, by its direct_url.json (PEP 610); without one it came from an index."""
    if direct_url is None:
        return "index", None
    try:
        document = json.loads(direct_url)
        url = str(document["url"])
    except (ValueError, KeyError, TypeError):
        return "address", None
    if "vcs_info" in document:
        return "repository", url
    if "dir_info" in document:
        return ("editable" if document["dir_info"].get("editable") else "directory"), url
    if url.startswith("file:") and url.partition("#")[0].endswith(".whl"):
        return "wheel", url
    return "address", url
