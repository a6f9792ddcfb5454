"""Writes requirements/*.lock: exact versions with hashes, for every platform, without any index address.

One resolution of `pyproject.toml` serves all files, so that a checkout set up for the demo and one set up for
development hold the same versions. uv's own lock file names the address of every file it found; it is made in a
temporary folder and left there, and what is kept is exported from it. Run by `make lock`.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
HEADER = "# Written by `make lock` from pyproject.toml; do not edit. {what}\n"

#: Which dependency group goes into which file, beside what the package itself needs.
GROUPS = {
    "demo": "What `make demo` and `make up` install.",
    "dev": "What `make setup` installs: the demo's packages, the tests' and the checkers'.",
}
#: What has to be there before uv can do the rest, and what builds the package.
TOOLS = "uv\nhatchling\neditables\n"


def uv(*arguments: str, cwd: Path) -> str:
    """The standard output of a uv command."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def exported(folder: Path, group: str) -> str:
    """One dependency group with all that it pulls in, from the resolution in `folder`."""
    options = ("--frozen", "--no-emit-project", "--no-annotate", "--no-header", "--no-default-groups")
    return uv("export", "--quiet", *options, "--group", group, cwd=folder)


def tools_lock(folder: Path, constraints: str) -> str:
    """The versions of uv and of the build backend, with the version of uv that the other files name."""
    (folder / "tools.in").write_text(TOOLS)
    (folder / "constraints.txt").write_text(constraints)
    options = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header")
    no_addresses = ("--no-emit-index-url", "--no-emit-find-links")
    return uv("pip", "compile", "--quiet", *options, *no_addresses, "-c", "constraints.txt", "tools.in", cwd=folder)


def main() -> None:
    """Resolve once, write every file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for needed in ("pyproject.toml", "README.md", "LICENSE", "src/muster/__init__.py"):
            (folder / needed).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / needed, folder / needed)
        uv("lock", "--quiet", cwd=folder)
        locks = {group: exported(folder, group) for group in GROUPS}
        tools = tools_lock(folder, locks["dev"])
    for text in (*locks.values(), tools):
        if "://" in text:
            sys.exit("uv wrote an address into a lock; see which of its settings asks for that, and take it away")
    LOCKS.mkdir(exist_ok=True)
    for group, what in GROUPS.items():
        (LOCKS / f"{group}.lock").write_text(HEADER.format(what=what) + locks[group])
    (LOCKS / "tools.lock").write_text(
        HEADER.format(what="What pip installs first, so that uv can do the rest.") + tools
    )
    for path in sorted(LOCKS.glob("*.lock")):
        print(f"{path.relative_to(ROOT)}: {path.read_text().count('==')} pinned lines")


if __name__ == "__main__":
    main()
