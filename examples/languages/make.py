"""Trains the churn model in every language, with the language's own tools, and makes a bundle of each.

    python examples/languages/make.py FOLDER                 all for which this machine has the tools
    python examples/languages/make.py FOLDER go rust         these
    python examples/languages/make.py FOLDER --json          one document on stdout

    FOLDER/data/                train.csv, rows.csv, new.csv
    FOLDER/sources/NAME/        what the training program left: muster.toml, model, code
    FOLDER/sources/NAME.expected.csv   its own answers to rows.csv
    FOLDER/bundles/NAME/        the bundle

A bundle that is there already is kept. What an example needs is in its own folder: `train.sh DATA OUT` trains.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import data

import toolchains

HERE = Path(__file__).resolve().parent
#: Example → its folder, the language whose tools it needs, and a word for its training program where there are several.
EXAMPLES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "python": ("python", "python", ()),
    "python-numpy1": ("python", "python", ("numpy1",)),
    "r": ("r", "r", ()),
    "java": ("java", "java", ()),
    "javascript": ("javascript", "node", ()),
    "go": ("go", "go", ()),
    "rust": ("rust", "rust", ()),
    "cpp": ("cpp", "cpp", ()),
    "onnx": ("onnx", "onnx", ()),
    "pmml": ("pmml", "pmml", ()),
    "mlflow": ("mlflow", "mlflow", ()),
}
MUSTER = (sys.executable, "-m", "muster")
_LAST_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of one example."""

    name: str
    bundle: Path | None
    """None: it could not be made."""
    reason: str
    """Why not: tools that are missing, or the last lines of what failed."""
    is_missing: bool
    """It needs tools that are not here."""
    seconds: float


def examples() -> list[str]:
    """Every example that has a training program."""
    return [name for name, (folder, _, _) in EXAMPLES.items() if (HERE / folder / "train.sh").is_file()]


def make(name: str, folder: Path) -> Made:
    """Train and assemble one example, unless its bundle is there already."""
    began = time.monotonic()
    bundle = folder / "bundles" / name
    lacking = toolchains.missing(EXAMPLES[name][1])
    reason = ""
    if lacking:
        reason = "; ".join(lacking)
    elif not (bundle / "muster.toml").is_file():
        reason = _train_and_assemble(name, folder, bundle)
    return Made(
        name=name,
        bundle=None if reason else bundle,
        reason=reason,
        is_missing=bool(lacking),
        seconds=round(time.monotonic() - began, 1),
    )


def _train_and_assemble(name: str, folder: Path, bundle: Path) -> str:
    """Why it failed; empty when it did not."""
    source = folder / "sources" / name
    rows, expected = folder / "data" / "rows.csv", source.with_name(f"{name}.expected.csv")
    if not source.is_dir():
        source.parent.mkdir(parents=True, exist_ok=True)
        inside, _, words = EXAMPLES[name]
        # Half of it would be taken for the whole next time, so it gets its name at the end.
        training = source.parent / ".training" / name
        shutil.rmtree(training.parent, ignore_errors=True)
        training.parent.mkdir()
        failed = _run([str(HERE / inside / "train.sh"), str(folder / "data"), str(training), *words])
        if failed:
            return f"train.sh: {failed}"
        for path in training.parent.iterdir():
            if path != training:
                path.replace(source.parent / path.name)
        training.rename(source)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    if (source / "golden.parquet").is_file():  # muster.save has made a bundle already
        source.rename(bundle)
        return ""
    common = ["--rows", str(rows), "-o", str(bundle)]
    if (source / "MLmodel").is_file():
        return _run([*MUSTER, "import", "mlflow", str(source), "--name", "churn", "--owner", "ana", *common])
    return _run(
        [*MUSTER, "assemble", str(source), "--expected", str(expected), "--notes", f"Trained in {name}.", *common]
    )


def _run(command: list[str]) -> str:
    """The last lines of what a command said, if it failed."""
    own = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=own, check=False
    )  # fmt: skip
    return (
        "" if done.returncode == 0 else "\n".join(done.stdout.splitlines()[-_LAST_LINES:]) or f"exit {done.returncode}"
    )


def main() -> int:
    """Make what is asked for; exit code 1 says that something failed for another reason than missing tools."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXAMPLES))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in examples()]
    if unknown:
        parser.error(f"there is no example {unknown[0]}; there are {', '.join(examples())}")
    folder = asked.folder.absolute()
    data.write(folder / "data")
    made = []
    for name in asked.names or examples():
        one = make(name, folder)
        made.append(one)
        told = str(one.bundle) if one.bundle else f"NOT MADE: {one.reason}"
        print(f"{name:14}{one.seconds:6.1f} s  {told}", file=sys.stderr, flush=True)
    if asked.json:
        print(
            json.dumps(
                [
                    {
                        "name": one.name,
                        "bundle": str(one.bundle) if one.bundle else None,
                        "reason": one.reason,
                        "is_missing": one.is_missing,
                        "seconds": one.seconds,
                    }
                    for one in made
                ]
            )
        )
    return 1 if any(one.bundle is None and not one.is_missing for one in made) else 0


if __name__ == "__main__":
    sys.exit(main())
