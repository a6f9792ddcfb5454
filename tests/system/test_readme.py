"""What the README shows, done: its Python is run, its commands are typed by the people it names."""

import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
from running_factory import RunningFactory
from sklearn.linear_model import LogisticRegression

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, flags=re.DOTALL)


def test_the_readme_works_as_written(factory: RunningFactory, tmp_path: Path, monkeypatch: Any) -> None:
    """Save, then every `muster` command in order, then the client."""
    monkeypatch.chdir(tmp_path)
    X = pd.DataFrame({"tenure": [1.0, 20.0, 40.0, 3.0] * 10, "charges": [90.0, 50.0, 20.0, 80.0] * 10})  # noqa: N806
    pipeline = LogisticRegression().fit(X, [1, 0, 0, 1] * 10)
    in_the_lab, in_the_factory = blocks("python")
    exec(in_the_lab, {"pipeline": pipeline, "X": X, "X_golden": X.head(8)})
    (tmp_path / "rows.json").write_text('[{"tenure": 2.0, "charges": 85.0}]')
    commands = [line for block in blocks("console") for line in block.splitlines() if line.startswith("$ muster ")]
    assert len(commands) >= 9
    for line in commands:
        arguments = shlex.split(line.removeprefix("$ muster "), comments=True)
        person = line.rsplit("# ", 1)[1].strip()
        factory.muster(*arguments, token=factory.tokens[person], url=True)
    in_the_factory = in_the_factory.replace("http://localhost:8600", factory.control)
    in_the_factory = in_the_factory.replace("http://localhost:8601", factory.scoring)
    tokens = {"token": factory.tokens["ana"], "token_of_shop": factory.tokens["shop"]}
    exec(in_the_factory, {**tokens, "rows": [{"tenure": 2.0, "charges": 85.0}]})
