"""What a machine brings: libraries by hash, looked up in one way for locks and for seals."""

import shutil
import sys
from pathlib import Path

from muster.environments.surroundings import linked_libraries, surroundings
from muster.vocabulary.digests import digest_of_file


def test_libraries_of_a_program_are_named_with_their_hashes(tmp_path: Path) -> None:
    """A lock and a seal say the same of one program, through a link as well; what is no program is linked with nothing."""
    program = Path(shutil.which("sh") or sys.executable)
    found = linked_libraries(program)
    (libc,) = (name for name in found if name.startswith(("libc.so", "libc.musl")))
    assert found[libc].startswith("sha256:")
    assert found.items() <= surroundings([program], tmp_path).items()
    (tmp_path / "link").symlink_to(program)
    assert linked_libraries(tmp_path / "link") == found
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert linked_libraries(tmp_path / "script") == linked_libraries(tmp_path / "none") == {}
    loaders = [Path(path) for path in ("/lib64/ld-linux-x86-64.so.2",) if Path(path).exists()]
    assert all(found[path.name] == digest_of_file(path) for path in loaders)
