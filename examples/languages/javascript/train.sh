#!/usr/bin/env bash
# Trains the churn model with Node: train.sh DATA OUT
#
# DATA holds train.csv and rows.csv; OUT is made and holds what `muster assemble` takes. Beside it, OUT.expected.csv holds the
# answers of the training program to rows.csv. Packages come from package-lock.json and are kept between runs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "$1" && pwd)
out=$2
cache=${MUSTER_EXAMPLES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/muster/examples}/javascript

mkdir -p "$cache" "$out"
out=$(cd "$out" && pwd)
sources=(package.json package-lock.json features.mjs model.mjs)
cp "${sources[@]/#/$here/}" "$here/train.mjs" "$cache/"
if ! cmp -s "$cache/package-lock.json" "$cache/installed.json"; then
  (cd "$cache" && npm ci --ignore-scripts --no-audit --no-fund --silent)
  cp "$cache/package-lock.json" "$cache/installed.json"
fi
(cd "$cache" && node train.mjs "$data" "$out")
cp "${sources[@]/#/$here/}" "$here/muster.toml" "$out/"
