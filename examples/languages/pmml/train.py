"""Trains the churn model with scikit-learn and writes it as PMML 4.4: `train.py DATA MODEL.pmml EXPECTED.csv`.

DATA holds train.csv and rows.csv. EXPECTED.csv gets what scikit-learn itself answers to rows.csv, so that the document can be held against
the model that it was written from.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TARGET = "left"
OUTPUT = "churn_probability"


def fit(inputs: pd.DataFrame, left: "pd.Series[int]") -> Pipeline:
    """A logistic regression over scaled numbers, missing ones taken for 0, and the values of texts."""
    texts = list(inputs.select_dtypes(exclude="number"))
    numbers = [name for name in inputs if name not in texts]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="constant", fill_value=0), StandardScaler()), numbers),
            ("texts", OneHotEncoder(sparse_output=False), texts),
        ]
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(inputs, left)


def document_of(model: Pipeline, inputs: pd.DataFrame) -> ET.Element:
    """The model as PMML: a RegressionModel with the scaling folded into its coefficients."""
    columns, regression = model.named_steps["columntransformer"], model.named_steps["logisticregression"]
    scaler, encoder = columns.named_transformers_["numbers"][-1], columns.named_transformers_["texts"]
    numbers, texts = columns.transformers_[0][2], columns.transformers_[1][2]
    weights, intercept = list(regression.coef_[0]), float(regression.intercept_[0])

    root = ET.Element("PMML", {"version": "4.4", "xmlns": "http://www.dmg.org/PMML-4_4"})
    ET.SubElement(ET.SubElement(root, "Header"), "Application", name="churn example")
    dictionary = ET.SubElement(root, "DataDictionary")
    body = ET.SubElement(
        root, "RegressionModel", modelName="churn", functionName="classification", normalizationMethod="logit"
    )
    schema = ET.SubElement(body, "MiningSchema")
    output = ET.SubElement(body, "Output")
    ET.SubElement(
        output, "OutputField", name=OUTPUT, feature="probability", value="1", optype="continuous", dataType="double"
    )
    leaving = ET.SubElement(body, "RegressionTable", targetCategory="1")
    ET.SubElement(body, "RegressionTable", targetCategory="0", intercept="0")

    for name, mean, deviation in zip(numbers, scaler.mean_, scaler.scale_, strict=True):
        weight = weights.pop(0) / deviation
        intercept -= weight * mean
        ET.SubElement(dictionary, "DataField", name=name, optype="continuous", dataType="double")
        ET.SubElement(schema, "MiningField", name=name, missingValueReplacement="0", missingValueTreatment="asValue")
        ET.SubElement(leaving, "NumericPredictor", name=name, coefficient=repr(float(weight)))
    for name, values in zip(texts, encoder.categories_, strict=True):
        field = ET.SubElement(dictionary, "DataField", name=name, optype="categorical", dataType="string")
        ET.SubElement(schema, "MiningField", name=name, invalidValueTreatment="asIs")
        for value in values:
            ET.SubElement(field, "Value", value=value)
            weight = weights.pop(0)
            ET.SubElement(leaving, "CategoricalPredictor", name=name, value=value, coefficient=repr(float(weight)))
    target = ET.SubElement(dictionary, "DataField", name=TARGET, optype="categorical", dataType="string")
    for value in ("1", "0"):
        ET.SubElement(target, "Value", value=value)
    ET.SubElement(schema, "MiningField", name=TARGET, usageType="target")
    leaving.set("intercept", repr(float(intercept)))
    dictionary.set("numberOfFields", str(len(inputs.columns) + 1))
    ET.indent(root)
    return root


def main() -> None:
    """Train and write."""
    if len(sys.argv) != 4:
        sys.exit("usage: train.py DATA MODEL.pmml EXPECTED.csv")
    data, target, expected = map(Path, sys.argv[1:])
    training = pd.read_csv(data / "train.csv")
    left = training.pop(TARGET)
    model = fit(training, left)
    ET.ElementTree(document_of(model, training)).write(target, encoding="utf-8", xml_declaration=True)
    answers = model.predict_proba(pd.read_csv(data / "rows.csv"))[:, 1]
    pd.DataFrame({OUTPUT: answers}).to_csv(expected, index=False, float_format="%.17g", lineterminator="\n")


if __name__ == "__main__":
    main()
