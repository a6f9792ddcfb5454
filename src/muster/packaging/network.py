"""No network for a program: cut by the kernel where that is allowed, and by settings that tools respect everywhere else."""

import functools
import shutil
import subprocess
from collections.abc import Mapping

_NOBODY = "http://127.0.0.1:9"

#: Environment variables that keep a tool from its network: a proxy nobody listens at, and the tools' own switches.
CUT: Mapping[str, str] = {
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), _NOBODY),
    "no_proxy": "",
    "NO_PROXY": "",
    "UV_OFFLINE": "1",
    "PIP_NO_INDEX": "1",
    "GOPROXY": "off",
    "CARGO_NET_OFFLINE": "true",
    "npm_config_offline": "true",
}


@functools.cache
def network_cut() -> tuple[str, ...]:
    """The words before a command that give it a network of its own without a way out; none where this user may not have one."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    # Root needs no user namespace for it, and tools then see the owners of files as they are.
    for words in ((unshare, "--net"), (unshare, "--net", "--map-current-user"), (unshare, "--net", "--map-root-user")):
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            return words
    return ()
