#!/usr/bin/env bash
# Trains the churn model with scikit-learn and saves it as a bundle: train.sh DATA OUT [numpy1].
# DATA holds train.csv and rows.csv. PYTHON names an interpreter that has Muster, pandas, scikit-learn and skops; with the word `numpy1` the model
# is trained in an environment of its own, in the cache of the examples, that holds NumPy 1.26 and packages of its time.
set -euo pipefail
data=$(realpath "$1") out=$(realpath -m "$2") which=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
python=${PYTHON:-python3}

if [ "$which" = numpy1 ]; then
  cache=${MUSTER_EXAMPLES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/muster/examples}/python-numpy1
  mkdir -p "$cache"
  if ! cmp -s "$here/numpy1.requirements.txt" "$cache/installed.txt"; then
    "$python" -m uv venv --quiet --clear --python "$python" "$cache/venv"
    "$python" -m uv pip install --quiet --python "$cache/venv/bin/python" --requirement "$here/numpy1.requirements.txt" "$root"
    cp "$here/numpy1.requirements.txt" "$cache/installed.txt"
  fi
  python=$cache/venv/bin/python
elif [ -n "$which" ]; then
  echo "train.sh: I know the word numpy1, not $which" >&2
  exit 2
fi

mkdir -p "$(dirname "$out")"
"$python" -B "$here/train.py" "$data" "$out"
