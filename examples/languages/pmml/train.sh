#!/usr/bin/env bash
# Trains the churn model with scikit-learn, writes it as PMML and makes the folder that is assembled: train.sh DATA OUT.
# DATA holds train.csv and rows.csv; beside OUT comes OUT.expected.csv, scikit-learn's own answers to rows.csv.
# PYTHON names an interpreter that has pandas and scikit-learn.
set -euo pipefail
data=$(realpath "$1") out=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out/model"

"${PYTHON:-python3}" -B "$here/train.py" "$data" "$out/model/churn.pmml" "$out.expected.csv"
cp "$here/muster.toml" "$here/maven.lock" "$out"
