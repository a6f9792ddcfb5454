#!/usr/bin/env bash
# Finds the programs that the tests need and no Python package brings: PostgreSQL's, of which the tests start a server of their
# own, Prometheus' promtool, which checks metrics and alerts, and the tools of each language that models are written in. What is
# missing comes by apt, where that may be used. A browser, too, in which pages are looked at. It starts no server and leaves existing installations alone.
#
# `tools/test_deps.sh languages` looks after the tools of languages alone.
set -euo pipefail
cd "$(dirname "$0")/.."
# Where tools lie that are put into .venv.
export PATH="$PATH:$PWD/.venv/bin"

# promtool is taken out of its package and put here, so that no machine gets a monitoring server that it did not ask for.
readonly PROMTOOL=.venv/bin/promtool

# The places in which tests/conftest.py looks as well.
postgresql_found() {
  local folder
  for folder in ${PATH//:/ } /usr/lib/postgresql/*/bin; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then return 0; fi
  done
  # Some systems link initdb alone into the PATH; its real folder holds the rest.
  local initdb
  initdb=$(command -v initdb) && [ -x "$(dirname "$(readlink -f "$initdb")")/postgres" ]
}

# The places in which tests/promtool_program.py looks as well.
promtool_found() {
  command -v promtool >/dev/null || [ -x "$PROMTOOL" ]
}

postgresql_missing() {
  echo "The tests need PostgreSQL's programs (initdb, postgres), and they are not here: $1" >&2
  echo "Install them (Debian and Ubuntu: apt install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), then try again." >&2
  exit 1
}

promtool_missing() {
  echo "The tests need Prometheus' promtool, and it is not here: $1" >&2
  echo "Put it on the PATH (Debian and Ubuntu: apt install prometheus; Fedora: dnf install golang-github-prometheus; macOS: brew install prometheus), then try again." >&2
  exit 1
}

may_be_root() {
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_postgresql() {
  command -v apt-get >/dev/null || postgresql_missing "this system has no apt-get to install them with."
  may_be_root || postgresql_missing "neither root nor a sudo without password is at hand to install them."
  echo "Installing PostgreSQL's programs by apt; the tests start a server of their own from them."
  as_root apt-get update -qq || postgresql_missing "apt-get update failed."
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null ||
    postgresql_missing "apt-get install postgresql failed."
  postgresql_found || postgresql_missing "apt-get install postgresql did not bring them."
}

fetch_promtool() {
  command -v apt-get >/dev/null || promtool_missing "this system has no apt-get to fetch it with."
  echo "Fetching promtool out of the package prometheus, into $PROMTOOL; nothing is installed."
  local folder
  folder=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder as it is called now
  trap "rm -rf '$folder'" EXIT
  if ! (cd "$folder" && apt-get download -qq prometheus >/dev/null 2>&1); then
    may_be_root || promtool_missing "apt-get download prometheus failed, and there are no rights to update the list of packages."
    as_root apt-get update -qq || promtool_missing "apt-get update failed."
    (cd "$folder" && apt-get download -qq prometheus >/dev/null 2>&1) || promtool_missing "apt-get download prometheus failed."
  fi
  dpkg-deb --extract "$folder"/prometheus_*.deb "$folder/package" || promtool_missing "the package cannot be unpacked."
  mkdir -p "$(dirname "$PROMTOOL")"
  install -m 0755 "$folder/package/usr/bin/promtool" "$PROMTOOL" || promtool_missing "the package does not hold it."
  "$PROMTOOL" --version >/dev/null 2>&1 || { rm -f "$PROMTOOL"; promtool_missing "what the package holds does not run here."; }
}

# The names under which tests/browser_program.py looks as well.
browser_found() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  return 1
}

browser_missing() {
  echo "The tests need Chromium, and it is not here: $1" >&2
  echo "Install it (Debian: apt install chromium; Fedora: dnf install chromium; macOS: brew install --cask google-chrome, and link it as google-chrome), then try again." >&2
  exit 1
}

install_browser() {
  command -v apt-get >/dev/null || browser_missing "this system has no apt-get to install it with."
  may_be_root || browser_missing "neither root nor a sudo without password is at hand to install it."
  echo "Installing Chromium by apt, in which the tests look at pages."
  as_root apt-get update -qq || browser_missing "apt-get update failed."
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null ||
    browser_missing "apt-get install chromium failed."
  browser_found || browser_missing "apt-get install chromium did not bring it."
}

# Which tools, from which version on, and what brings them: examples/languages/toolchains.py, which the tests ask as well.
python_with() {
  local python
  for python in .venv/bin/python python3; do
    if command -v "$python" >/dev/null; then echo "$python"; return; fi
  done
}

languages_missing() {
  echo "Tools of some languages are not here: $1" >&2
  echo "Tests of those languages are skipped with that reason; in CI (the variable CI is set) they fail." >&2
  "$(python_with)" examples/languages/toolchains.py >&2 || true
  [ -z "${CI:-}" ] || exit 1
}

install_languages() {
  local packages wheels
  if [ -n "$("$(python_with)" examples/languages/toolchains.py --missing --wheels)" ] && command -v apt-get >/dev/null && may_be_root; then
    as_root apt-get update -qq || { languages_missing "apt-get update failed."; return; }
  fi
  packages=$("$(python_with)" examples/languages/toolchains.py --missing)
  if [ -n "$packages" ]; then
    if ! command -v apt-get >/dev/null; then languages_missing "this system has no apt-get to install them with."; return; fi
    if ! may_be_root; then languages_missing "neither root nor a sudo without password is at hand to install them."; return; fi
    echo "Installing by apt, for models in other languages: $packages"
    # shellcheck disable=SC2086 # one word per package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null ||
      { languages_missing "apt-get install $packages failed."; return; }
  fi
  wheels=$("$(python_with)" examples/languages/toolchains.py --wheels)
  if [ -n "$wheels" ] && [ -x .venv/bin/python ]; then
    echo "Installing into .venv, as this system has them too old or not at all: $wheels"
    # shellcheck disable=SC2086 # one word per package
    .venv/bin/python -m pip install --quiet $wheels || { languages_missing "pip install $wheels failed."; return; }
  fi
  "$(python_with)" examples/languages/toolchains.py >/dev/null || languages_missing "too old, or still missing; see below."
}

if [ "${1:-}" != languages ]; then
  postgresql_found || install_postgresql
  promtool_found || fetch_promtool
  browser_found || install_browser
fi
install_languages
