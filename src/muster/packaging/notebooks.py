"""The notebook that tells how an author got to a model."""

import json
from pathlib import Path

from muster.packaging.errors import SampleUnusable


def notebook_bytes(source: Path) -> bytes:
    """The bytes of a notebook, looked at.

    Raises:
        SampleUnusable: it is missing, or no JSON as every .ipynb is.
    """
    try:
        content = source.read_bytes()
        json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise SampleUnusable(f"the notebook {source} cannot be read as .ipynb: {error}") from error
    return content
