"""remotes.toml: where other servers are, and how long they are waited for."""

from pathlib import Path

import msgspec
import pytest

from muster.environments.errors import RemotesMalformed
from muster.environments.remotes import Remote, remote_called
from muster_host.remote_model import TIMEOUT_MS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "bring-a-model" / "remote.md"


def written(folder: Path, text: str) -> Path:
    file = folder / "remotes.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_the_time_for_an_answer_has_one_default(tmp_path: Path) -> None:
    """What the file leaves out is what the host takes and what the page says."""
    entry = remote_called("partner", written(tmp_path, '[partner]\nurl = "http://127.0.0.1:1"\n'))
    assert entry == Remote(url="http://127.0.0.1:1", timeout_ms=TIMEOUT_MS)
    assert msgspec.structs.asdict(entry)["timeout_ms"] == TIMEOUT_MS
    assert f"for a whole answer, default {TIMEOUT_MS}\n" in PAGE.read_text()


@pytest.mark.parametrize("said", ["0", "-5", '"soon"'])
def test_no_time_at_all_is_refused(tmp_path: Path, said: str) -> None:
    """Instead of being taken for the default."""
    with pytest.raises(RemotesMalformed, match="timeout_ms"):
        remote_called("partner", written(tmp_path, f'[partner]\nurl = "http://127.0.0.1:1"\ntimeout_ms = {said}\n'))
