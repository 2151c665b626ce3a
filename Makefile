# Everything runs in a virtual environment of its own. Needed: Python 3.11 or newer, git, make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Stamps of the environment, one for each group of dependencies: a group is installed again when pyproject.toml is newer.
INSTALLED := $(VENV)/.installed

# One more than there are processors, because many tests wait for a process, a browser or a deadline.
WORKERS = $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')

# Without the fuzzed contracts as a whole, because their cases are generated while the tests are collected, and without the
# plugin that generates them.
FAST_TESTS := -m "not browser and not processes and not long" --ignore-glob="*_fuzzed.py" -p no:schemathesis

# The longest tests run in CI, if ARGS names them, and with SENDCLOUD_EXHAUSTIVE=1.
SOME_TESTS = $(if $(FAST),$(FAST_TESTS),$(if $(or $(ARGS),$(SENDCLOUD_EXHAUSTIVE)),,-m "not exhaustive"))

# Workers and the processes of tests share their bytecode, also where the caller's environment says not to write any.
test coverage: export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo sandbox test coverage matrix build docs chaos bench screenshots lint format clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

demo: $(INSTALLED)-example ## Run the whole cycle, then serve shop, admin and sandbox (API=v3: by API v3; ONCE=1: end instead of serving)
	$(BIN)/python example_project/demo.py $(if $(API),--api $(API)) $(if $(ONCE),--once)

sandbox: $(INSTALLED)-example ## Start a local Sendcloud with its panel
	$(BIN)/python -m django_sendcloud.sandbox

test: $(INSTALLED)-test ## Run the tests (FAST=1: none with a browser or processes; ARGS="tests/sync -x": some; SENDCLOUD_EXHAUSTIVE=1: all)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(SOME_TESTS) $(ARGS)

coverage: $(INSTALLED)-coverage ## Run the tests (or FAST=1) and show which lines and branches of the package they missed
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest -n $(WORKERS) --dist worksteal $(SOME_TESTS) $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

matrix: $(INSTALLED)-matrix ## Run the tests of FAST=1 on each Python, Django and database that is here (ARGS="--list": show them; SENDCLOUD_EXHAUSTIVE=1: add the long ones)
	$(BIN)/python -m nox $(if $(ARGS),$(ARGS),-s tests)

build: $(INSTALLED)-matrix ## Build sdist and wheel into dist/, and check both in clean environments
	$(BIN)/python -m nox -s package

docs: $(INSTALLED)-docs ## Build the documentation site into docs/_build; a warning is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build

chaos: $(INSTALLED)-test ## Run the chaos test for a minute and check the result (ARGS="--seed 7 --runs 3")
	$(BIN)/python -m tests.chaos $(ARGS)

bench: $(INSTALLED)-test ## Run the benchmarks (ARGS="black_friday --orders 10000 --seconds 90": one, of another size)
	$(BIN)/python -m tests.benchmarks $(ARGS)

screenshots: $(INSTALLED)-test ## Take the pictures of the documentation again (needs Chromium)
	$(BIN)/python example_project/screenshots.py

lint: $(INSTALLED)-dev ## Check style, types, the direction of imports, dependencies and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy django_sendcloud
	$(BIN)/lint-imports
	$(BIN)/deptry django_sendcloud
	$(BIN)/python -W ignore -m django makemigrations --check --dry-run --settings tests.settings
	$(BIN)/python -W ignore example_project/manage.py makemigrations --check --dry-run

format: $(INSTALLED)-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the environment and all generated files
	rm -rf $(VENV) .nox dist docs/_build docs/reference/python .coverage .coverage.* .mypy_cache .ruff_cache .hypothesis .import_linter_cache example_project/.data

# Dependency groups need pip 25.1, and the pip that comes with Python 3.11 is older.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(INSTALLED)-%: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group $*
	@touch $@
