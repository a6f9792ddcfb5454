"""Files that commands write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muster.cli.errors import FileUnwritable


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong with the file is told as that.

    Raises:
        FileUnwritable: its folder is not there, it is a folder itself, it may not be written, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise FileUnwritable(f"{path} cannot be written: {error.strerror}", path=str(path)) from error
