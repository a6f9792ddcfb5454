"""requirements.lock: exact pins with hashes and nothing else."""

import pytest

from muster.packaging.errors import BundleMalformed
from muster.packaging.lock_file import read_lock

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
LOCK = f"""# a comment
Numpy==2.4.6 \\
    --hash={ONE} \\
    --hash={TWO}
tzdata==2026.6 ; sys_platform == 'win32' \\
    --hash={ONE}
torch==2.9.0+cpu --hash={TWO}
"""


def test_a_lock_is_read() -> None:
    """Names are normalised; versions, markers and hashes are as they stand."""
    numpy, tzdata, torch = read_lock(LOCK.encode())
    assert (numpy.name, numpy.version, numpy.marker, numpy.hashes) == ("numpy", "2.4.6", None, frozenset({ONE, TWO}))
    assert tzdata.marker == 'sys_platform == "win32"'
    assert torch.version == "2.9.0+cpu"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no package"),
        ("# nothing\n", "names no package"),
        ("numpy==1.0\n", "has no SHA-256"),
        (f"numpy>=1.0 --hash={ONE}", "does not pin"),
        (f"numpy==1.* --hash={ONE}", "does not pin"),
        (f"numpy --hash={ONE}", "does not pin"),
        (f"numpy==1.0,!=2.0 --hash={ONE}", "does not pin"),
        (f"numpy @ https://example.org/numpy.whl --hash={ONE}", "names an address"),
        (f"numpy @ file:///numpy.whl --hash={ONE}", "names an address"),
        ("--index-url https://example.org/simple", "holds an option"),
        ("-e .", "holds an option"),
        ("./numpy.whl", "no requirement"),
        ("numpy==1.0 --hash=md5:1234", "no requirement"),
    ],
)
def test_what_a_lock_may_not_hold(text: str, said: str) -> None:
    """Ranges, addresses, options and missing hashes are refused."""
    with pytest.raises(BundleMalformed, match=said):
        read_lock(text.encode())


def test_no_text() -> None:
    """Bytes that are no UTF-8 are no lock."""
    with pytest.raises(BundleMalformed, match="UTF-8"):
        read_lock(b"\xff")
