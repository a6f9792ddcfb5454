"""Writes docs/reference/scoring-openapi.json: the scoring door as an OpenAPI document, for whoever generates clients.

.venv/bin/python tools/scoring_openapi_reference.py
"""

from pathlib import Path

import msgspec

from muster.serving.front.openapi import document

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "scoring-openapi.json"


def text() -> str:
    """The document as every front serves it, for the eye."""
    return msgspec.json.format(document(), indent=2).decode() + "\n"


def main() -> None:
    """Write the document."""
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
