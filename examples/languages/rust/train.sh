#!/usr/bin/env bash
# Trains the churn model with cargo and makes the folder that is assembled: train.sh DATA OUT.
# DATA holds train.csv and rows.csv; beside OUT comes OUT.expected.csv, the trainer's own answers to rows.csv.
set -euo pipefail
data=$(realpath "$1") out=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
cache=${MUSTER_EXAMPLES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/muster/examples}/rust
mkdir -p "$out/model" "$cache"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

cp -r "$here/Cargo.toml" "$here/src" "$here/train" "$work"
mkdir "$work/muster_host"
cp -r "$here/../../../hosts/rust/Cargo.toml" "$here/../../../hosts/rust/src" "$work/muster_host"

export CARGO_HOME=${CARGO_HOME:-$cache/cargo} CARGO_TARGET_DIR="$cache/target"
cd "$work/train"
# The lock is kept without addresses. cargo wants to see from where each crate comes, and writes that itself into a lock of its own.
rm -f Cargo.lock
cargo generate-lockfile --quiet
awk -v source="$(grep -m1 '^source = ' Cargo.lock)" '/^checksum = /{print source} {print}' "$here/train/Cargo.lock" >lock
mv lock Cargo.lock
cargo run --quiet --release --locked -- "$data/train.csv" "$data/rows.csv" "$out/model/churn.json" "$out.expected.csv"

cp -r "$here/Cargo.toml" "$here/Cargo.lock" "$here/muster.toml" "$here/src" "$out"
