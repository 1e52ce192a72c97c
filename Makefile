# What a person runs, and what CI runs: the same. Each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo ui test lint format bench check-deploy deploy clean

help: ## list every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(READY): pyproject.toml deployments/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "kombo-flows needs Python 3.11, 3.12 or 3.13; say which with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing into $(VENV), once; this takes about a minute ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c deployments/constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## the main job without an account: two nights of exports from a local stand-in for Kombo into ./lake
	@$(BIN)/python -m deployments.demo

ui: $(READY) ## a Prefect server, a worker and the local stand-in for Kombo, to click through in a browser; Ctrl-C ends it
	@$(BIN)/python -m deployments.ui

test: $(READY) ## lint, types, deployments and all tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m deployments.check
	@$(BIN)/python -m pytest -q --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: $(READY) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## let ruff format and fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

check-deploy: $(READY) ## read prefect.yaml strictly, load every flow, try every schedule's parameters
	@$(BIN)/python -m deployments.check

deploy: $(READY) ## onto the server that PREFECT_API_URL names: what bootstrap makes of the environment, and prefect.yaml
	@$(BIN)/python -m deployments.bootstrap
	@$(BIN)/python -m deployments.check --server
	@$(BIN)/prefect --no-prompt deploy --all
	@$(BIN)/python -m deployments.bootstrap

bench: $(READY) ## measure the export against its floor and its peers (needs the package registry; up to an hour, BENCH_RUNS=1 for a look)
	@$(BIN)/python -m deployments.demo.bench

clean: ## remove what the targets made: the environment, the demo's lake, caches
	@rm -rf $(VENV) lake .ui .bench .mypy_cache .ruff_cache .pytest_cache *.egg-info
