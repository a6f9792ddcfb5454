"""Trains the churn model and saves it as an MLflow model: `train.py DATA FOLDER EXPECTED.csv`.

DATA holds train.csv and rows.csv. The folder gets signature, requirements and an input example, as MLflow writes them; EXPECTED.csv
what the model itself answers to rows.csv.
"""

import sys
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TARGET = "left"
OUTPUT = "churn_probability"


class Churn(mlflow.pyfunc.PythonModel):
    """Gives the probability of one class under a name, which a bare scikit-learn model would not."""

    def __init__(self, inputs: pd.DataFrame, left: "pd.Series[int]") -> None:
        texts = list(inputs.select_dtypes(exclude="number"))
        numbers = [name for name in inputs if name not in texts]
        columns = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), texts),
        )
        self._model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(inputs, left)

    def predict(self, context, model_input, params=None):  # noqa: ARG002 - MLflow reads types as a signature
        """One column of probabilities."""
        return pd.DataFrame({OUTPUT: self._model.predict_proba(model_input)[:, 1]})


def main() -> None:
    """Train and write."""
    data, target, expected = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    training, rows = pd.read_csv(data / "train.csv"), pd.read_csv(data / "rows.csv")
    left = training.pop(TARGET)
    model = Churn(training, left)
    answers = model.predict(None, rows)
    here = Path(__file__).parent
    mlflow.pyfunc.save_model(
        target,
        python_model=model,
        signature=infer_signature(training, answers),  # columns with missing values are optional ones in it
        input_example=rows.head(5),
        pip_requirements=(here / "train.requirements.txt").read_text(encoding="utf-8").split(),
    )
    answers.to_csv(expected, index=False, float_format="%.17g")


if __name__ == "__main__":
    main()
