"""Writes docs/reference/errors.md: every error that Muster can name, from the classes themselves.

.venv/bin/python tools/errors_reference.py
"""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import muster
from muster.api.statuses import LEAF_STATUSES, STATUSES
from muster.cli.exits import EXIT_CODES
from muster.vocabulary import errors

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "errors.md"
#: Modules that act when they are imported.
_ACTING = re.compile(r"muster\.(migrations|.*__main__)\b")

_HEAD = """\
# Errors

Generated from the code by `tools/errors_reference.py`; `make docs` writes it again.

Every error has a *code* that never changes and belongs to a *family* that says what to do about it. The control API answers
with a problem document (RFC 9457) that names both, the command line ends with the family's exit code, and the Python client raises the
family's exception from `muster.vocabulary.errors` with `code`, `advice` and `facts`. The scoring side answers
`{"error": "…"}`, as the Open Inference Protocol asks.

```json
{
  "type": "urn:muster:problem:registry.version-not-found",
  "title": "There is no such thing",
  "status": 404,
  "detail": "there is no version churn:9",
  "code": "registry.version-not-found",
  "family": "not-found",
  "advice": "`muster show MODEL` shows the versions there are.",
  "facts": {"version": "churn:9"},
  "instance": "/api/v1/projects/default/models/churn/versions/9"
}
```

| family | means | HTTP | exit code |
|---|---|---|---|
"""


def text() -> str:
    """The page."""
    for module in pkgutil.walk_packages(muster.__path__, "muster."):
        if _ACTING.match(module.name) is None:
            importlib.import_module(module.name)
    leaves = [leaf for leaf in errors.leaves() if leaf.__module__.startswith("muster.")]
    parts = [_HEAD]
    for family in (*errors.FAMILIES, errors.MusterError):
        name = family.__name__ if family is not errors.MusterError else "internal"
        meaning = _sentence(family) if family is not errors.MusterError else "A fault inside Muster."
        parts.append(f"| {name} | {meaning} | {STATUSES[family][0]} | {EXIT_CODES[family]} |\n")
    for family in (*errors.FAMILIES, errors.MusterError):
        own = [leaf for leaf in leaves if _family(leaf) is family and leaf is not family]
        if own:
            name = family.__name__ if family is not errors.MusterError else "Internal"
            parts.append(f"\n## {name}\n")
            parts.extend(_entry(leaf) for leaf in own)
    return "".join(parts)


def _family(leaf: type[errors.MusterError]) -> type[errors.MusterError]:
    return next((family for family in errors.FAMILIES if issubclass(leaf, family)), errors.MusterError)


def _entry(leaf: type[errors.MusterError]) -> str:
    explanation = inspect.cleandoc(leaf.__doc__ or "")
    status = f" HTTP {LEAF_STATUSES[leaf]}." if leaf in LEAF_STATUSES else ""
    advice = f"\n*What to do:* {leaf.advice}\n" if leaf.advice else ""
    return f"\n### `{leaf.code}`\n\n{explanation}{status}\n{advice}"


def _sentence(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").splitlines()[0]


def main() -> None:
    """Write the page."""
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
