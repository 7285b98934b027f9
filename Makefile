# `make help` lists the targets. Every target sets up what it needs, once.

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
OFFLOOP_SCALE_FACTOR ?= 0.1
SCALE ?= $(OFFLOOP_SCALE_FACTOR)
FAULTS ?= 200

.DEFAULT_GOAL := help
.PHONY: help setup bench live up down check test-fast test test-slow test-nightly compose-test chaos benchmarks verdicts readme lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# --- set-up: each step leaves a stamp, and is repeated when what it depends on changes ---
# Packages are compiled at once. Where Python may not write what it has compiled
# (PYTHONDONTWRITEBYTECODE), every process of the lab would compile them again: twice the start-up.

.venv/stamps/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Offloop needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	       "Name another one with 'make PYTHON=/path/to/python3.11'." >&2; exit 1; }
	@echo "== Creating .venv"
	@$(PYTHON) -m venv .venv \
	  || { echo "Python's venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@mkdir -p .venv/stamps && touch $@

.venv/stamps/lab: requirements/lab.lock pyproject.toml | .venv/stamps/venv
	@echo "== Installing the lab (requirements/lab.lock)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
	  -r requirements/lab.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.venv/stamps/dev: requirements/dev.lock .venv/stamps/lab
	@echo "== Installing the development tools (requirements/dev.lock)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
	  -r requirements/dev.lock
	@touch $@

.venv/stamps/data-%: reports/dataset.py .venv/stamps/lab
	@echo "== Building the data set: TPC-H line items at scale $*"
	@$(BIN)/python -m reports.dataset --scale-factor $*
	@touch $@

setup: .venv/stamps/lab .venv/stamps/data-$(SCALE) ## Install everything that `make bench` needs

# --- the lab ---

bench: export OFFLOOP_SCALE_FACTOR := $(SCALE)
bench: setup ## Run both apps under identical load and give a verdict: SCALE=0.1
	@$(BIN)/offloop bench

live: export OFFLOOP_SCALE_FACTOR := $(SCALE)
live: setup ## Watch a service stall: a page with both sides, and buttons
	@$(BIN)/offloop live --open

# --- the lab in containers: needs Docker with Compose, and Python ---

up: ## Start everything in containers, wait until healthy, say where it is: WITHOUT=grafana
	@$(PYTHON) offloop/containers.py up $(addprefix --without=,$(WITHOUT))

down: ## Stop the containers and delete what they kept
	@$(PYTHON) offloop/containers.py down

# --- the project ---

check: .venv/stamps/dev ## Lint, format, types, import rules, structure
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m dashboards --check
	$(BIN)/pytest -q tests/structure

test-fast: .venv/stamps/dev setup ## Tests that start no stack (under a minute)
	$(BIN)/pytest -q -m "not medium and not slow and not nightly"

test: .venv/stamps/dev setup ## Fast and medium tests (under ten minutes)
	$(BIN)/pytest -q -m "not slow and not nightly"

test-slow: .venv/stamps/dev setup ## What takes minutes
	$(BIN)/pytest -q -m slow

test-nightly: .venv/stamps/dev setup ## What takes hours: memory, 200 faults, every experiment, the suite again
	$(BIN)/pytest -q -m nightly
	$(BIN)/python -m tests.chaos --faults $(FAULTS)
	$(BIN)/offloop bench --all
	for again in 1 2 3; do $(BIN)/pytest -q -m "not slow and not nightly" || exit 1; done

compose-test: .venv/stamps/dev ## Start the containers for real and look at them (needs Docker): WITHOUT=grafana
	OFFLOOP_COMPOSE_TEST=1 OFFLOOP_COMPOSE_TEST_WITHOUT="$(WITHOUT)" $(BIN)/pytest -q -rs -s -m slow tests/compose

chaos: .venv/stamps/dev setup ## Break the job tier: SEED= FAULTS=200 TIER=workers.fixed REDIS=/path/to/redis-server
	@$(BIN)/python -m tests.chaos --faults $(FAULTS) $(if $(SEED),--seed $(SEED)) \
	  $(if $(TIER),--tier $(TIER)) $(if $(REDIS),--redis-server $(REDIS))

benchmarks: .venv/stamps/dev setup ## Absolute figures of this machine (needs wrk)
	$(BIN)/python -m benchmarks

verdicts: .venv/stamps/dev setup ## Repeat runs, quiet, noisy and with planted faults (two hours; it goes on where it was)
	$(BIN)/python -m benchmarks.verdicts

readme: .venv/stamps/dev ## Renew what is generated: README's tables, references, JSON Schemas
	$(BIN)/python -m offloop.pages.markdown README.md docs/measures.md
	$(BIN)/python -m offloop.pages.reference

lock: .venv/stamps/venv ## Pin the dependencies again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	  --custom-compile-command 'make lock' pyproject.toml --extra lab -o requirements/lab.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	  --custom-compile-command 'make lock' pyproject.toml --extra lab --group dev -c requirements/lab.lock \
	  -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	  --custom-compile-command 'make lock' pyproject.toml --extra lab --group workshop \
	  -c requirements/lab.lock -o requirements/workshop.lock

clean: ## Remove the environment, the data and the results
	rm -rf .venv .offloop runs
