#!/usr/bin/env bash
# Trains the churn model with Go: train.sh DATA OUT
#
# DATA holds train.csv and rows.csv; OUT is made and holds what `muster assemble` takes. Beside it, OUT.expected.csv holds the
# answers of the training program to rows.csv. Modules are kept between runs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "$1" && pwd)
out=$2
cache=${MUSTER_EXAMPLES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/muster/examples}/go

mkdir -p "$cache" "$out"
out=$(cd "$out" && pwd)
export GOMODCACHE=$cache/modules GOTOOLCHAIN=local GOWORK=off GOFLAGS="-mod=readonly -modcacherw"
(cd "$here" && go build -trimpath -buildvcs=false -o "$cache/train" ./train)
"$cache/train" "$data" "$out"
cp -r "$here/go.mod" "$here/go.sum" "$here/main.go" "$here/features" "$here/muster.toml" "$out/"
