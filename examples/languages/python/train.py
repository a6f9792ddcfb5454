"""Trains the churn model with scikit-learn and saves it as a bundle: `train.py DATA BUNDLE`.

DATA holds train.csv and rows.csv, which become the golden rows. Contract, lock and environment follow from the model and the rows; nothing
of that is written by hand.
"""

import sys
from pathlib import Path

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import muster

TARGET = "left"
OUTPUT = "churn_probability"


def fit(inputs: pd.DataFrame, left: "pd.Series[int]") -> Pipeline:
    """A logistic regression over scaled numbers, missing ones taken for their median, and the values of texts."""
    texts = list(inputs.select_dtypes(exclude="number"))
    numbers = [name for name in inputs if name not in texts]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), texts),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(inputs, left)


def main() -> None:
    """Train and save."""
    data, target = Path(sys.argv[1]), Path(sys.argv[2])
    training, rows = pd.read_csv(data / "train.csv"), pd.read_csv(data / "rows.csv")
    left = training.pop(TARGET)
    muster.save(
        fit(training, left),
        target,
        name="churn",
        owner="ana",
        sample=training,
        golden=rows,
        output=OUTPUT,
        description="Probability that a customer leaves; a logistic regression in scikit-learn.",
    )


if __name__ == "__main__":
    main()
