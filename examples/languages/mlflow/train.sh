#!/usr/bin/env bash
# Trains the churn model and logs it with MLflow: train.sh DATA OUT. OUT is the folder that is imported, with its MLmodel.
# DATA holds train.csv and rows.csv; beside OUT comes OUT.expected.csv, the model's own answers to rows.csv.
# PYTHON names an interpreter with uv; MLflow lives in an environment of its own, in the cache of the examples.
set -euo pipefail
data=$(realpath "$1") out=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
cache=${MUSTER_EXAMPLES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/muster/examples}/mlflow
uv=("${PYTHON:-python3}" -m uv)

mkdir -p "$cache" "$(dirname "$out")"
if ! cmp -s "$here/train.requirements.txt" "$cache/installed.txt"; then
  "${uv[@]}" venv --quiet --clear --python "${PYTHON:-python3}" "$cache/venv"
  "${uv[@]}" pip install --quiet --python "$cache/venv/bin/python" --requirement "$here/train.requirements.txt"
  cp "$here/train.requirements.txt" "$cache/installed.txt"
fi

MLFLOW_DISABLE_TELEMETRY=true "$cache/venv/bin/python" -B "$here/train.py" "$data" "$out" "$out.expected.csv"
