"""Trains the churn model with scikit-learn and writes it as ONNX: `train.py DATA MODEL.onnx EXPECTED.csv`.

DATA holds train.csv and rows.csv. Each column is a tensor of its own name, numbers as floats and texts as strings, so nothing has to be
mapped in muster.toml but the output. EXPECTED.csv gets what scikit-learn itself answers to rows.csv.
"""

import sys
from pathlib import Path

import pandas as pd
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TARGET = "left"
OUTPUT = "churn_probability"


def texts_of(inputs: pd.DataFrame) -> list[str]:
    """The columns that hold text."""
    return list(inputs.select_dtypes(exclude="number"))


def fit(inputs: pd.DataFrame, left: "pd.Series[int]") -> Pipeline:
    """A logistic regression over scaled numbers, missing ones taken for their median, and the values of texts."""
    texts = texts_of(inputs)
    numbers = [name for name in inputs if name not in texts]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), texts),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(inputs, left)


def graph_of(model: Pipeline, inputs: pd.DataFrame) -> bytes:
    """The model as an ONNX graph; without ZipMap, so that probabilities come as a tensor."""
    texts = texts_of(inputs)
    types = [(name, (StringTensorType if name in texts else FloatTensorType)([None, 1])) for name in inputs]
    options = {id(model): {"zipmap": False}}
    graph = skl2onnx.to_onnx(model, initial_types=types, options=options, target_opset={"": 18, "ai.onnx.ml": 3})
    return graph.SerializeToString()


def main() -> None:
    """Train and write."""
    data, target, expected = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    training, rows = pd.read_csv(data / "train.csv"), pd.read_csv(data / "rows.csv")
    left = training.pop(TARGET)
    model = fit(training, left)
    target.write_bytes(graph_of(model, training))
    answers = pd.DataFrame({OUTPUT: model.predict_proba(rows[list(training)])[:, 1]})
    answers.to_csv(expected, index=False, float_format="%.17g")


if __name__ == "__main__":
    main()
