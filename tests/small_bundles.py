"""Bundles for tests of the doors: one model that adds a number, saved once, and copies of it that differ in a word."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from muster.packaging.save import save

SAMPLE = pd.DataFrame({"x": [0.0, 1.0, 2.5, -3.0]})


class Adds:
    """Answers x + `step`."""

    def __init__(self, step: float) -> None:
        self.step = step

    def predict(self, columns: dict[str, Any]) -> dict[str, list[float]]:
        return {"score": [float(x) + self.step for x in columns["x"]]}


class SmallBundles:
    """Makes bundles in a folder, each different bytes.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self._saved = save(
            Adds(1.0), folder / "saved", name="adds", sample=SAMPLE, method="predict", output="score", owner="ana",
            description="adds one", notes="first",
        )  # fmt: skip

    def new(self, *, name: str = "adds", description: str | None = None, spoilt: bool = False) -> Path:
        """A bundle that is like no other.

        Args:
            name: of the model.
            description: what its muster.toml says.
            spoilt: its golden answers are those of another model.
        """
        self._made += 1
        folder = self._folder / f"bundle-{self._made}"
        if spoilt:
            save(
                Adds(2.0), folder, name=name, sample=SAMPLE, method="predict", output="score", owner="ana",
                description="adds two", notes="first",
            )  # fmt: skip
            shutil.copyfile(self._saved / "golden.parquet", folder / "golden.parquet")
            return folder
        shutil.copytree(self._saved, folder)
        toml = folder / "muster.toml"
        text = toml.read_text()
        text = text.replace('name = "adds"', f'name = "{name}"', 1)
        toml.write_text(text.replace('"adds one"', f'"{description or f"adds one, take {self._made}"}"', 1))
        return folder
