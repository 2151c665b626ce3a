# Everything runs in a virtual environment of its own. Needed: Python 3.11 or newer, git, make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the environment was made from: it is brought up to date when one of these changes.
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test
INSTALLED_DEV := $(VENV)/.installed-dev

.PHONY: help demo sandbox test chaos bench screenshots lint format types clean

help: ## Show what there is
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

demo: $(INSTALLED) ## Play the main job end to end, then serve shop, admin and sandbox (ONCE=1: end after the story)
	$(BIN)/python example_project/demo.py $(if $(ONCE),--once)

sandbox: $(INSTALLED) ## Start a local Sendcloud with its panel
	$(BIN)/python -m django_sendcloud.sandbox

test: $(INSTALLED_TEST) ## Run all tests (ARGS="tests/engine -x" for some)
	$(BIN)/python -m pytest $(ARGS)

chaos: $(INSTALLED_TEST) ## Let it storm for a minute, and prove what came of it (ARGS="--seed 7 --runs 3")
	$(BIN)/python -m chaos $(ARGS)

bench: $(INSTALLED_TEST) ## Run the benchmarks
	$(BIN)/python -m benchmarks

screenshots: $(INSTALLED_TEST) ## Take the documentation's pictures anew (needs Chromium)
	$(BIN)/python example_project/screenshots.py

lint: $(INSTALLED_DEV) ## Check style, types, the direction of imports, dependencies and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy django_sendcloud
	$(BIN)/lint-imports
	$(BIN)/deptry django_sendcloud
	$(BIN)/python -W ignore -m django makemigrations --check --dry-run --settings tests.settings
	$(BIN)/python -W ignore example_project/manage.py makemigrations --check --dry-run

format: $(INSTALLED_DEV) ## Bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the environment and what runs have left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache example_project/.data

# Dependency groups need pip 25.1, and the pip that comes with Python 3.11 is older.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(INSTALLED): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group example
	@touch $@

$(INSTALLED_TEST): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group test
	@touch $@ $(INSTALLED)

$(INSTALLED_DEV): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@ $(INSTALLED_TEST) $(INSTALLED)
