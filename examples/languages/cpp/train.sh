#!/usr/bin/env bash
# Trains the churn model with g++ and makes the folder that is assembled: train.sh DATA OUT.
# DATA holds train.csv and rows.csv; beside OUT comes OUT.expected.csv, the trainer's own answers to rows.csv.
set -euo pipefail
data=$(realpath "$1") out=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out/model"

g++ -std=c++17 -O2 -ffp-contract=off -Wall -Wextra "$here/train.cpp" -o "$work/train"
"$work/train" "$data/train.csv" "$data/rows.csv" "$out/model/churn.txt" "$out.expected.csv"
cp "$here/muster.toml" "$here/model.cpp" "$here/churn.hpp" "$out"
