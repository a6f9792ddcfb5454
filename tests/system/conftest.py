"""A real factory per module: `muster up` in a home of its own, people with their tokens, small bundles."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import models
import pandas as pd
import pytest
from running_factory import SAMPLE, RunningFactory

from muster.packaging.save import save


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves a model of `models` as a bundle, once for the test run."""
    folder = tmp_path_factory.mktemp("bundles")
    made: dict[str, Path] = {}

    def bundle(key: str, model: Any, *, name: str = "adds", sample: pd.DataFrame = SAMPLE, **options: Any) -> Path:
        if key not in made:
            made[key] = save(
                model, folder / key, name=name, sample=sample, golden=sample.head(5), method="predict", output="score",
                owner="ana", description="adds", notes=key, **options,
            )  # fmt: skip
        return made[key]

    return bundle


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFactory]:
    """A running factory for the tests of a module."""
    started = RunningFactory(tmp_path_factory.mktemp("factory") / "home")
    yield started
    started.close()


@pytest.fixture(scope="module")
def adds(factory: RunningFactory, bundles: Callable[..., Path]) -> list[str]:
    """Three accepted versions of `adds`: x + 1, x + 2, x + 3."""
    return [factory.accepted(bundles(f"adds-{step}", models.Adds(step))) for step in (1, 2, 3)]
