# Countersign. `make help` prints what there is to run.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
READY := .venv/.complete
PYTEST := $(BIN)/python -m pytest -p tests.tally

.PHONY: help setup demo up test test-unit test-deep test-release simulate simulate-sending mutants check format browser migrate assets snapshot lock

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
	@TIER=test $(PYTEST) -q -n 3 --dist loadgroup -m "not deep" tests
	@$(BIN)/python -m tests.faults --quick --only 1,11,24

test-unit: setup ## Run the tests that need no server (seconds).
	@TIER=test $(PYTEST) -q tests/unit tests/architecture

test-deep: setup browser ## Run all tests with many more examples, all faults, the n-th failure loop, mutants (at most 60 minutes).
	@TIER=test-deep $(PYTEST) -q -n 3 --dist loadgroup tests
	@$(BIN)/python -m tests.faults
	@$(BIN)/python -m tests.faults.nth
	@$(MAKE) mutants

test-release: setup browser ## Run what a release needs: 5,000 lives of sending and of flows, every fault three times in a row, 30 kills over 200,000 people (hours).
	@TIER=test-release $(PYTEST) -q -n 3 --dist loadgroup tests
	@for round in 1 2 3; do $(BIN)/python -m tests.faults --seed $$round || exit 1; done
	@$(BIN)/python -m tests.faults.nth
	@$(BIN)/python -m tests.faults.kills
	@$(MAKE) mutants

simulate: setup ## Live simulated lives of flows against the reference: make simulate SEEDS=100 FIRST=0.
	@$(BIN)/python -m tests.lives.flows --seeds $(or $(SEEDS),100) --first $(or $(FIRST),0)

simulate-sending: setup ## Live simulated lives of sending against the reference: SEEDS=100 FIRST=0.
	@TIER=test LIVES=$(or $(SEEDS),100) FIRST=$(or $(FIRST),0) $(PYTEST) -q -n 3 tests/lives/test_lives.py

mutants: setup ## Check that the tests catch the known-bad engines; the last line is `23/23 caught`.
	@$(BIN)/python -u -m tests.mutants

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

bench-quick: setup ## Measure the main ratios with small sizes (about a minute; needs Debian's postfix).
	@$(BIN)/python -m bench --quick
