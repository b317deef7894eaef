# Countersign. `make help` prints what there is to run.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
READY := .venv/.complete
PYTEST := $(BIN)/python -m pytest -p tests.tally

.PHONY: help setup demo up test test-unit test-deep check format browser migrate assets snapshot lock

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv from the lock files (done once, and again when they change).

$(READY): requirements/build.lock requirements/all.lock pyproject.toml .ci/setup
	@.ci/setup

demo: setup ## Start everything and run a whole campaign through the public API, to a mail inbox on this machine.
	@$(BIN)/saas demo

up: setup ## Serve the product with the demo's data on http://127.0.0.1:8000 until Ctrl-C.
	@$(BIN)/saas up

test: setup browser ## Run all tests but the deep ones, on real PostgreSQL, Valkey and Chromium (at most 8 minutes).
	@TIER=test $(PYTEST) -q -n 2 --dist loadgroup -m "not deep" tests

test-unit: setup ## Run the tests that need no server (seconds).
	@TIER=test $(PYTEST) -q tests/unit tests/architecture

test-deep: setup browser ## Run all tests with many more examples (at most 60 minutes).
	@TIER=test-deep $(PYTEST) -q -n 2 --dist loadgroup tests

check: setup ## Check form, types, imports, spelling, migrations, API snapshot, built assets and locks.
	@$(BIN)/python .ci/check.py

format: setup ## Bring the code into its form.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

browser: ## See that Chromium is there for the page tests (root on Debian and Ubuntu: install it).
	@tests/web/ensure_chromium.sh

migrate: setup ## Bring the database of this environment to the newest schema.
	@$(BIN)/saas db migrate

assets: ## Build style sheet and scripts from frontend/ into saas/web/static/dist (needs Node 20.11 or newer).
	@cd frontend && npm ci --ignore-scripts && npm run build

snapshot: setup ## Rewrite docs/openapi.json from the application.
	@$(BIN)/python .ci/snapshot.py write

lock: ## Resolve requirements/*.lock anew, with hashes for every platform and no index address.
	@.ci/lock

.PHONY: faults faults-quick
faults: setup ## Do the forty faults of the reliability design with real processes (up to an hour).
	@$(BIN)/python -m tests.faults

faults-quick: setup ## Ten of the faults, with fewer people (three minutes).
	@$(BIN)/python -m tests.faults --quick

.PHONY: bench bench-quick
bench: setup ## Measure everything against references and print one table (up to 40 minutes; needs Debian's postfix).
	@$(BIN)/python -m bench

bench-quick: setup ## Measure the five main ratios with small sizes (under a minute; needs Debian's postfix).
	@$(BIN)/python -m bench --quick
