#!/usr/bin/env bash
# Compiles the helper with every warning an error, and runs its tests: test.sh [FOLDER]; without one in a temporary folder.
set -euo pipefail
cd "$(dirname "$0")"
classes=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$classes"' EXIT
javac --release 17 -encoding UTF-8 -Xlint:all -Werror -d "$classes" src/main/java/muster/host/*.java src/test/java/muster/host/*.java
java -Dfile.encoding=UTF-8 -cp "$classes" muster.host.HostTest
