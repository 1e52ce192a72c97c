# What a person runs, and what CI runs: the same. Each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench check-deploy clean

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

test: $(READY) ## lint, types, deployments and all tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m deployments.check
	@$(BIN)/python -m pytest -q

lint: $(READY) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## let ruff format and fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

check-deploy: $(READY) ## read prefect.yaml strictly, load every flow, try every schedule's parameters
	@$(BIN)/python -m deployments.check

bench: $(READY) ## measure the export against its floor and its peers (needs the package registry; up to an hour, BENCH_RUNS=1 for a look)
	@$(BIN)/python -m deployments.demo.bench

clean: ## remove what the targets made: the environment, the demo's lake, caches
	@rm -rf $(VENV) lake .bench .mypy_cache .ruff_cache .pytest_cache *.egg-info
