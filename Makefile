# The only door to this project: `make` lists what it does.
#
# Needs Python 3.11 or newer, pip and make. Everything is installed into .venv, nothing outside it, and the
# only network address used is the package index that pip is configured for.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin

# Arguments for the command behind a target: make demo ARGS=--once, make test ARGS="-k door".
ARGS ?=
# Processes that share the tests. Seven keep two cores busy: the end-to-end tests wait much.
# In the order of their folders: those that wait begin beside the others (tests/conftest.py).
TEST_PROCESSES ?= 7
# A Python to use instead of the first suitable one: make setup PYTHON=/opt/python3.12/bin/python3
PYTHON ?=

# Files of these trees are formatted, linted and typed.
CODE := schemas service workers migrations tests bench examples

##@ Use it
.PHONY: demo
demo: setup ## See it work: signed webhooks in, healed runs, comments and alerts out (ARGS=--once to end by itself)
	@$(BIN)/python -m examples.demo $(ARGS)

.PHONY: run
run: setup ## Serve with ./hookwright.yaml, which is generated when there is none
	@if [ -z "$$HOOKWRIGHT_CONFIG" ] && [ ! -f hookwright.yaml ]; then $(BIN)/hookwright init; fi
	@exec $(BIN)/hookwright up $(ARGS)

##@ Change it
# Byte code is kept, whatever the shell says: these tests start the product again and again.
.PHONY: test
test: export PYTHONDONTWRITEBYTECODE :=
test: setup-dev ## Every test, with a real PostgreSQL and a real Redis that it starts and stops by itself
	@# Once and by all processors, not by every process of the tests for itself.
	@$(BIN)/python -m compileall -q -j 0 $(CODE)
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder $(ARGS)

.PHONY: unit
unit: setup-dev ## The quick tests: no database, no sockets
	@$(BIN)/python -m pytest tests/unit tests/house $(ARGS)

.PHONY: faults
faults: export PYTHONDONTWRITEBYTECODE :=
faults: setup-dev ## Break everything under load, balance the books (ARGS="--seed 7 --scenario flushall")
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: check
check: format-check lint types imports test ## All that must be right before a change is merged; .ci/run runs this

.PHONY: fmt
fmt: setup-dev ## Format the code and mend what the linter can mend by itself
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

.PHONY: format-check
format-check: setup-dev
	@$(BIN)/ruff format --check $(CODE)

.PHONY: lint
lint: setup-dev ## Ruff, all rules
	@$(BIN)/ruff check $(CODE)

.PHONY: types
types: setup-dev ## Mypy, strict
	@$(BIN)/mypy

.PHONY: imports
imports: setup-dev ## Who may import whom (docs/architecture.md)
	@$(BIN)/lint-imports --no-logo

.PHONY: docs
docs: setup-dev ## Write the pages that are made from the code: a page for each vendor, actions, coverage
	@$(BIN)/python -m service.vendor_pages docs
	@$(BIN)/python -m tests.vendors.coverage docs/vendors/coverage.md

.PHONY: bench
bench: setup-dev ## The benchmark with its baselines, as ratios in one run
	@$(BIN)/python -m bench $(ARGS)

##@ Keep it
.PHONY: setup
setup: $(VENV)/.installed ## Only the installation the others begin with
	@:

.PHONY: setup-dev
setup-dev: $(VENV)/.installed-dev ## The same, with what the tests and checks need
	@:

# uv reads its own settings for another index, not pip's. What it writes names no index at all.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
.PHONY: lock
lock: setup-dev ## Write the requirement files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(LOCK) $(ARGS) --group build pyproject.toml --output-file requirements.txt
	@$(LOCK) $(ARGS) --constraint requirements.txt --group build --group dev pyproject.toml \
		--output-file requirements-dev.txt

.PHONY: clean
clean: ## Remove .venv and every cache; data in .hookwright stays
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:
	@if [ -t 1 ]; then bold=$$(printf '\033[1m') name=$$(printf '\033[36m') end=$$(printf '\033[0m'); fi; \
	awk -v bold="$$bold" -v name="$$name" -v end="$$end" 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s%s%s\n", bold, substr($$0, 5), end } \
		/^[a-z-]+:.*## / { printf "  %s%-12s%s %s\n", name, $$1, end, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo

# --- Installation --------------------------------------------------------------------------------------------
# Each stamp is newer than what it was made from, so a second run costs nothing. A .venv that was copied or
# whose Python has gone is made again: its scripts would start something else.

VENV_STATE := $(shell \
	if ! [ -d $(VENV) ]; then echo absent; \
	elif ! $(BIN)/python -c '' 2>/dev/null; then echo broken; \
	elif [ -f $(VENV)/.made-in ] && [ "$$(cat $(VENV)/.made-in)" != "$(CURDIR)" ]; then echo moved; \
	else echo good; fi)
# 3.12 first: the newest for which every wheel exists.
CANDIDATES := $(or $(PYTHON),python3.12 python3.11 python3.13 python3 python)

ifneq ($(VENV_STATE),good)
.PHONY: $(VENV)/.made-in
endif

$(VENV)/.made-in:
	@if [ "$(VENV_STATE)" = good ]; then printf '%s' "$(CURDIR)" > $@; exit 0; fi; \
	for python in $(CANDIDATES); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Hookwright needs Python 3.11 or newer, and none was found (tried: $(CANDIDATES))." >&2; \
		echo "  Debian 12, Ubuntu 24.04 or newer:  apt install python3 python3-venv" >&2; \
		echo "  Fedora:                            dnf install python3" >&2; \
		echo "  macOS with Homebrew:               brew install python@3.12" >&2; \
		echo "  It stands elsewhere:               make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	rm -rf $(VENV); \
	if ! "$$found" -m venv $(VENV) >/dev/null 2>&1; then \
		: "Debian ships venv without ensurepip. The interpreter's own pip can fill a .venv that has none."; \
		if ! "$$found" -m pip --version >/dev/null 2>&1 || ! "$$found" -m venv --clear --without-pip $(VENV); then \
			rm -rf $(VENV); \
			echo "$$("$$found" --version) cannot make a virtual environment: venv, ensurepip or pip is missing." >&2; \
			echo "  Debian, Ubuntu:  apt install python3-venv" >&2; \
			echo "  without root:    install pip for this Python (its ensurepip module or your distribution's" >&2; \
			echo "                   package), or point to another Python with PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
	fi; \
	printf '%s' "$(CURDIR)" > $@

# Hashes pin every file; pip's own notices would bury an error.
INSTALL = "$$(if [ -x $(BIN)/pip ]; then echo $(BIN)/python; else sed -n 's/^executable = //p' $(VENV)/pyvenv.cfg; fi)" \
	-m pip --disable-pip-version-check --python $(BIN)/python install -qq

$(VENV)/.requirements: requirements.txt $(VENV)/.made-in
	@echo "Installing what Hookwright needs into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements.txt
	@touch $@

# "compat" puts this directory itself on the path: a package added later is found without installing again.
$(VENV)/.installed: pyproject.toml $(VENV)/.requirements
	@$(INSTALL) --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@
