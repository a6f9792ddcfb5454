# Every job of the project, by name. `make help` lists them; .ci/run runs the same ones.
#
# Everything lives in .venv inside the checkout. What goes into it is fixed by the files in requirements/: exact versions
# with hashes. Nothing is installed outside the checkout, except PostgreSQL, Chromium and the tools of other languages for the tests
# (`make test-deps`), and those only where they are missing; promtool, which checks the alert rules, is put into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python on the PATH that is new enough; `make setup PYTHON=/path/to/python3.12` takes another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)

VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := $(RUN) -m pytest
# More for pytest on the command line: `make test TESTS=tests/unit ARGS="-x -k manifest"`.
TESTS ?= tests
ARGS ?=

# pip would complain about options and files that are meant for whoever called make.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
# Last on the PATH: tools that `make test-deps` has put into .venv because the system has them too old or not at all.
export PATH := $(PATH):$(CURDIR)/$(VENV)/bin

##@ Use

demo: $(VENV)/.demo  ## play the whole story on real data, in a factory of its own
	$(VENV)/bin/muster demo $(ARGS)

demo-languages: $(VENV)/.demo  ## the same model in every language that this machine has tools for, behind one endpoint
	$(VENV)/bin/muster demo --languages $(ARGS)

up: $(VENV)/.demo  ## start a factory to stay (its home: MUSTER_HOME, or ./.muster)
	$(VENV)/bin/muster up $(ARGS)

setup: $(VENV)/.dev  ## make .venv with all that development needs

##@ Check

check: format-check lint types imports docs-check examples  ## format, lint, types, imports, docs, examples

format: $(VENV)/.dev  ## rewrite the Python files in the one format
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix --exit-zero --quiet .

format-check: $(VENV)/.dev  ## see whether `make format` would change something
	$(RUN) -m ruff format --check .

lint: $(VENV)/.dev  ## ruff with every rule but the listed ones, and the spelling of every text
	$(RUN) -m ruff check .
	$(VENV)/bin/codespell

# Test folders are no packages, so every conftest.py is a module of the same name: mypy takes them one at a time.
types: $(VENV)/.dev  ## mypy, strict, on source and tests
	$(RUN) -m mypy --exclude '/conftest\.py$$'
	@for conftest in $$(find tests -name conftest.py | sort); do \
		MYPYPATH=$$(find tests -type d ! -name __pycache__ | paste -sd:) $(RUN) -m mypy $$conftest; done

# Without its cache: that has been seen to lose imports between the top-level package and the rooms.
imports: $(VENV)/.dev  ## the direction of imports between rooms
	$(VENV)/bin/lint-imports --no-cache

##@ Test

# Two processes share them, see tests/conftest.py; ARGS="-n 0" runs them in one.
test: $(VENV)/.dev test-deps  ## all tests but the long counts
	$(PYTEST) -m "not soak" -n 2 $(TESTS) $(ARGS)

test-unit: $(VENV)/.dev  ## the quick and pure ones
	$(PYTEST) -m "not soak" tests/unit tests/architecture $(ARGS)

test-component: $(VENV)/.dev test-deps  ## one room at a time, against real databases, processes and servers
	$(PYTEST) -m "not soak" tests/component $(ARGS)

test-system: $(VENV)/.dev test-deps  ## the factory started as users start it
	$(PYTEST) -m "not soak" tests/system $(ARGS)

soak: $(VENV)/.dev test-deps  ## the fault tests with their long counts; takes hours
	$(PYTEST) -m soak --timeout 0 $(TESTS) $(ARGS)
	SOAK_KILLS=500 SOAK_SWAPS=1000 $(PYTEST) --timeout 0 tests/system/test_faults.py tests/system/test_fault_surroundings.py $(ARGS)

test-deps:  ## the programs that the tests need: PostgreSQL's, Chromium and compilers by apt, promtool into .venv/bin
	@tools/test_deps.sh

examples: $(VENV)/.dev  ## run every example
	@for example in $(wildcard examples/*.py); do echo "== $$example"; $(RUN) $$example; done

# Only the first of them takes options; the servers it compares with are installed from requirements/bench*.lock into .bench/.
bench: $(VENV)/.dev  ## Muster beside FastAPI, MLServer and an echo server (15 minutes; ARGS=--quick: 6), then what else is timed
	$(RUN) benchmarks/serving.py $(ARGS)
	@for benchmark in $(filter-out benchmarks/serving.py,$(wildcard benchmarks/*.py)); do echo "== $$benchmark"; $(RUN) $$benchmark; done

##@ Keep

docs: $(VENV)/.dev  ## write the generated reference pages, then check every page
	@for tool in $(wildcard tools/*_reference.py); do echo "== $$tool"; $(RUN) $$tool; done
	$(PYTEST) tests/docs $(ARGS)

docs-check: $(VENV)/.dev  ## every page against the code
	$(PYTEST) -q tests/docs tests/architecture

lock: $(VENV)/.tools  ## choose the newest fitting versions of everything and write requirements/*.lock
	$(RUN) tools/lock.py
	$(RUN) tools/bench_locks.py

dist: $(VENV)/.tools  ## build the source archive and the wheel into dist/
	$(RUN) -m uv build --quiet --no-build-isolation --python $(RUN) --out-dir dist .
	@ls -1 dist

clean:  ## remove .venv, caches and build results; never a factory's home
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- how .venv comes about: uv and the build backend by pip, everything else by uv; every file by its hash ---------------

$(VENV)/.tools: requirements/tools.lock
	@if [ ! -x $(VENV)/bin/uv ] && [ ! -x $(VENV)/bin/pip ]; then \
		if [ -z "$(PYTHON)" ]; then echo "Muster needs Python 3.11 or newer, and none is on the PATH. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; fi; \
		echo "Making $(VENV) with $(PYTHON)"; \
		$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); echo "Python's venv module does not work here; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@if [ ! -x $(VENV)/bin/uv ]; then \
		$(RUN) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: -r requirements/tools.lock; \
	else \
		$(VENV)/bin/uv pip install --quiet --python $(RUN) --require-hashes -r requirements/tools.lock; \
	fi
	@touch $@

$(VENV)/.demo: $(VENV)/.tools requirements/demo.lock pyproject.toml
	@if [ ! -e $(VENV)/.dev ]; then $(MAKE) --no-print-directory -s install-locked LOCK=requirements/demo.lock; \
	else $(MAKE) --no-print-directory -s $(VENV)/.dev; fi
	@touch $@

$(VENV)/.dev: $(VENV)/.tools requirements/dev.lock pyproject.toml
	@$(MAKE) --no-print-directory -s install-locked LOCK=requirements/dev.lock
	@touch $@

# Compiled once here, or every process would do it again where PYTHONDONTWRITEBYTECODE is set.
# Without isolation the package is built by the locked backend, not by whatever is newest today.
install-locked:
	@echo "Installing what $(LOCK) names"
	@$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(RUN) --require-hashes -r $(LOCK)
	@$(VENV)/bin/uv pip install --quiet --python $(RUN) --no-deps --no-build-isolation --editable .

.PHONY: demo demo-languages up setup check docs-check format format-check lint types imports test test-unit test-component test-system soak test-deps \
	examples bench docs lock dist clean help install-locked
