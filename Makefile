# A bare machine needs Python 3.11 to 3.13 and make. `make help` lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help up down reset test check check-long audit campaign clean

UV_VERSION := 0.13.9
DATA_DIR ?= .taskflow
SEED ?= 1
MINUTES ?= 3
LANES ?= 2
uv := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
bin := .venv/bin

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

up: $(uv) ## run everything here: PostgreSQL, Kafka, the API, the gateway and the workers
	@$(uv) sync --locked --inexact --no-dev --extra embedded
	@exec $(bin)/taskflow up

down: ## end the instance that runs from this folder
	@$(bin)/taskflow down

reset: ## delete the data of this folder's instance, after asking
	@$(bin)/taskflow reset

# A file's tests share a lane, which has a Kafka and a PostgreSQL of its own (about 500 MB). What
# measures runs behind them, with nothing beside it.
test: install ## every kind of test, in LANES=2 lanes, each with a real Kafka and PostgreSQL
	$(bin)/pytest -m "not long and not alone" -rs -n $(LANES) --dist loadfile
	$(bin)/pytest -m "alone and not long" -rs

check: install ## formatting, lint, types, imports, lock file
	$(uv) lock --check
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy .
	$(bin)/lint-imports --no-logo

check-long: install ## the campaigns and measurements at full length
	$(bin)/pytest -m long -s -rs

campaign: install ## attack a whole instance: SEED=1 MINUTES=3, and see what a checker finds
	$(bin)/python -m tests.campaign --seed $(SEED) --minutes $(MINUTES)

audit: $(uv) ## ask OSV for known weaknesses of the locked dependencies (needs the internet)
	$(uv) audit --locked

clean: ## remove what was installed and made here, but not the instance's data
	rm -rf .venv .tools .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.PHONY: install
install: $(uv)
	@$(uv) sync --locked

.tools/bin/uv:
	@echo "Getting uv $(UV_VERSION) ..."
	@python3 -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
