# Every target is one thing a person wants to do. Needs Python 3.11+, make and git; everything else comes from requirements.lock.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help install run test test-all test-fast lint format lock bench airflow notebooks focus-validator kafka soak clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

install: $(READY)  ## the environment in .venv, from the pinned and hashed requirements

$(READY): requirements.lock pyproject.toml scripts/install
	PYTHON=$(PYTHON) scripts/install $(VENV)
	@touch $@

run: $(READY)  ## the demo estate through the whole vertical, and where the report is
	$(BIN)/costlake run

test: $(READY) focus-validator kafka  ## the test suite, but for the long ones
	$(BIN)/python -m pytest -m "not long"

test-all: $(READY) focus-validator kafka  ## every test, the long ones too (real scheduler, fuzz, benchmark): what CI runs
	$(BIN)/python -m pytest

test-fast: $(READY)  ## the tests that take less than 20 seconds each
	$(BIN)/python -m pytest -m "not slow and not long"

lint: $(READY)  ## ruff, mypy, import-linter, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint dbt/models --disable-progress-bar

format: $(READY)  ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY)  ## resolve the pins anew (needs a package index)
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra demo --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements.lock

bench: $(READY)  ## the figures of docs/benchmarks.md, measured on this machine
	scripts/focus-converter || echo "focus-converter could not be installed: its comparison is left out"
	$(BIN)/python -m bench

airflow: $(READY)  ## a local Airflow with our DAGs, all its state in .airflow/
	scripts/airflow

notebooks: $(READY)  ## run the notebooks on the published tables, with their outputs, into lake/reports
	mkdir -p lake/reports/notebooks && cp notebooks/*.ipynb lake/reports/notebooks/
	$(BIN)/jupyter-execute --inplace lake/reports/notebooks/*.ipynb

focus-validator: $(READY)  ## the FOCUS validator's own environment (needs Python 3.12+; says so where it is missing)
	scripts/focus-validator

kafka:  ## Apache Kafka's own broker for the tests (needs Java 17+ and Maven; says so where they are missing)
	scripts/kafka

soak: $(READY) kafka  ## 200 kill -9s over consumers, broker and housekeeping while telemetry is produced; takes about half an hour
	COSTLAKE_TEST_KILLS=200 $(BIN)/python -m pytest tests/streams/test_killed_stream.py --timeout 5400

clean:  ## remove what was built here: environment, lake, demo, Airflow's state
	rm -rf $(VENV) lake demo .airflow .focus-validator .kafka
