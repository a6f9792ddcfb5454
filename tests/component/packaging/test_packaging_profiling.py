"""`muster.save(…, profile=rows)`: the profile of what was trained on travels in the bundle, without a row of it."""

from pathlib import Path
from typing import Any

import pandas as pd

from muster.packaging.bundle import check_bundle
from muster.packaging.documents import PROFILE_NAME, read_description
from muster.packaging.save import save
from muster.profiles.whole import read_profile
from muster.wire.profiles import Categories


class Doubles:
    """Answers twice x."""

    def predict(self, columns: dict[str, Any]) -> dict[str, list[float]]:
        return {"score": [2 * float(x) for x in columns["x"]]}


def test_a_profile_of_the_training_rows_is_in_the_bundle(tmp_path: Path) -> None:
    """Counts of all rows, no value of personal fields or of columns that are no inputs; a profile that was spoilt is a finding."""
    rows = pd.DataFrame({"x": [float(at) for at in range(100)], "who": [f"Ana-{at}" for at in range(100)]})
    folder = save(
        Doubles(), tmp_path / "doubles", name="doubles", sample=rows, owner="ana", method="predict", output="score",
        description="twice", personal=["who"], profile=rows.assign(email=rows["who"] + "@x.nl"),
        data={"training": "source:lake/x.parquet"},
    )  # fmt: skip
    content = (folder / PROFILE_NAME).read_bytes()
    profile = read_profile(content)
    x, who = profile.field("x"), profile.field("who")
    assert x is not None
    assert who is not None
    assert (profile.rows, x.minimum, x.maximum) == (100, 0, 99)
    assert x.bins is not None
    assert sum(x.bins.counts) == 100
    assert who.personal
    email = profile.field("email")
    assert email is not None
    assert email.categories == Categories(counts=(), others=100, distinct=100)
    assert b"Ana" not in content
    assert read_description(folder).data[0].uri == "source:lake/x.parquet"
    assert not [one for one in check_bundle(folder) if one.level == "error"]
    (folder / PROFILE_NAME).write_text("{}")
    assert [one.path for one in check_bundle(folder) if one.level == "error"] == [PROFILE_NAME]
