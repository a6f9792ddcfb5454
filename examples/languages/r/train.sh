#!/usr/bin/env bash
# Trains the churn model with R: train.sh DATA OUT
#
# DATA holds train.csv and rows.csv; OUT is made and holds what `muster assemble` takes. Beside it, OUT.expected.csv holds the
# answers of the training program to rows.csv.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
export LC_ALL=C.UTF-8
(cd "$here" && Rscript --vanilla train.R "$data" "$out")
cp "$here/features.R" "$here/model.R" "$here/muster.toml" "$out/"
