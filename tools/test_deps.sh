#!/usr/bin/env bash
# Finds the programs of PostgreSQL that the tests start a server of their own from, and installs them by apt where they are
# missing and where it may. It starts no server and leaves an existing installation alone.
set -euo pipefail

# The places in which tests/conftest.py looks as well.
found() {
  local folder
  for folder in ${PATH//:/ } /usr/lib/postgresql/*/bin; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then return 0; fi
  done
  # Some systems link initdb alone into the PATH; its real folder holds the rest.
  local initdb
  initdb=$(command -v initdb) && [ -x "$(dirname "$(readlink -f "$initdb")")/postgres" ]
}

missing() {
  echo "The tests need PostgreSQL's programs (initdb, postgres), and they are not here: $1" >&2
  echo "Install them (Debian and Ubuntu: apt install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), then try again." >&2
  exit 1
}

if found; then exit 0; fi
command -v apt-get >/dev/null || missing "this system has no apt-get to install them with."
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null && sudo -n true 2>/dev/null || missing "neither root nor a sudo without password is at hand to install them."
  as_root=(sudo -n)
fi
echo "Installing PostgreSQL's programs by apt; the tests start a server of their own from them."
"${as_root[@]}" apt-get update -qq || missing "apt-get update failed."
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null ||
  missing "apt-get install postgresql failed."
found || missing "apt-get install postgresql did not bring them."
