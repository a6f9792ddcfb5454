#!/usr/bin/env bash
# Trains the churn model with a JDK and Maven: train.sh DATA OUT
#
# DATA holds train.csv and rows.csv; OUT is made and holds what `muster assemble` takes. Beside it, OUT.expected.csv holds the
# answers of the training program to rows.csv. Jars are kept between runs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
cache=${MUSTER_EXAMPLES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/muster/examples}/java
classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT

mkdir -p "$cache"
if ! cmp -s "$here/pom.xml" "$cache/pom.xml"; then
  rm -rf "$cache/jars"
  mvn -B -q -f "$here/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies \
    -Dmaven.repo.local="$cache/repository" -DincludeScope=runtime -DoutputDirectory="$cache/jars"
  cp "$here/pom.xml" "$cache/pom.xml"
fi
javac -encoding UTF-8 -cp "$cache/jars/*" -d "$classes" "$here/src/main/java/churn/Features.java" "$here/train/Train.java"
java -Xmx512m -cp "$classes:$cache/jars/*" churn.Train "$data" "$out" 2>"$cache/train.log" || { cat "$cache/train.log" >&2; exit 1; }
cp -r "$here/pom.xml" "$here/maven.lock" "$here/src" "$here/muster.toml" "$out/"
