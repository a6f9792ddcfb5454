#!/usr/bin/env bash
# Trains the churn model with scikit-learn, writes it as ONNX and makes the folder that is assembled: train.sh DATA OUT.
# DATA holds train.csv and rows.csv; beside OUT comes OUT.expected.csv, scikit-learn's own answers to rows.csv.
# PYTHON names an interpreter with uv; the exporter lives in an environment of its own, in the cache of the examples.
set -euo pipefail
data=$(realpath "$1") out=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
cache=${MUSTER_EXAMPLES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/muster/examples}/onnx
uv=("${PYTHON:-python3}" -m uv)

mkdir -p "$cache"
if ! cmp -s "$here/train.requirements.txt" "$cache/installed.txt"; then
  "${uv[@]}" venv --quiet --clear --python "${PYTHON:-python3}" "$cache/venv"
  "${uv[@]}" pip install --quiet --python "$cache/venv/bin/python" --requirement "$here/train.requirements.txt"
  cp "$here/train.requirements.txt" "$cache/installed.txt"
fi

mkdir -p "$out/model"
"$cache/venv/bin/python" -B "$here/train.py" "$data" "$out/model/churn.onnx" "$out.expected.csv"
cp "$here/muster.toml" "$out"
