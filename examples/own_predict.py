"""A model that is no scikit-learn estimator: any object with `predict(columns)` becomes a bundle.

`columns` is a dict from field name to NumPy array; what comes back is a dict from output name to array.
"""

import tempfile
from pathlib import Path

import numpy as np

import muster
from muster.packaging.bundle import check_bundle


class HouseRules:
    """Rules that somebody has written down, with two outputs."""

    def __init__(self, price_per_metre: float) -> None:
        self.price_per_metre = price_per_metre

    def predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Price and comment of each flat."""
        price = columns["metres"] * self.price_per_metre * np.where(columns["lift"], 1.1, 1.0)
        return {"price": price, "comment": np.where(price > 500_000, "ask the boss", "fine")}


sample = {"metres": np.array([41.0, 87.5, 120.0]), "lift": np.array([True, False, True])}
folder = Path(tempfile.mkdtemp()) / "flat-price"
muster.save(
    HouseRules(5000.0), folder, name="flat-price", sample=sample, owner="ana", description="What is this flat worth?"
)

print("findings:", check_bundle(folder))
print(*sorted(path.name for path in folder.iterdir()))
print((folder / "muster.toml").read_text())
