"""A model fitted on a NumPy array: one input of a fixed shape, and one output with a probability per class."""

import tempfile
import tomllib
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import muster

X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=1000).fit(X, y)

folder = muster.save(
    model,
    Path(tempfile.mkdtemp()) / "iris",
    name="iris",
    sample=X,
    output="species",
    owner="ana",
    description="Which iris is this?",
)

contract = tomllib.loads((folder / "muster.toml").read_text())["contract"]
for field in contract["inputs"] + contract["outputs"]:
    print(field["name"], field["datatype"], field.get("shape"), field.get("labels", ""))
