# Every target sets up what it needs. `make` alone lists them.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
PY := .venv/bin/python
CONSTRAINTS := .ci/constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint check bench clients docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{ printf "make %-8s %s\n", $$1, $$2 }'

demo: .venv/run.stamp ## run the headline scenarios and show the exposure matrix
	@$(PY) -m tlslab demo

test: .venv/dev.stamp ## run the tests on all cores
	$(PY) -m pytest -n auto

lint: .venv/dev.stamp ## check format, lint and types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

check: lint ## the gate: format, lint, types, tests with branch coverage
	$(PY) -m pytest -n auto --cov --cov-report=term:skip-covered

bench: .venv/dev.stamp .venv/peers.stamp ## measure beside the peers; prints ratios of one run
	$(PY) tests/bench/tls_relay.py
	$(PY) -m tests.bench.kms
	$(PY) -m tests.bench.store

clients: .venv/clients.stamp ## install the AWS encryption clients that interoperability is tested with

docs: .venv/run.stamp ## generate the pages that are drawn from data
	$(PY) -m tlslab catalogue --markdown > docs/catalogue.md

clean: ## remove what the other targets made
	rm -rf .venv build dist tlslab-runs .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/pip.stamp:
	@test -n "$(PYTHON)" || { echo 'tlslab needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3' >&2; exit 2; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/run.stamp: .venv/pip.stamp pyproject.toml $(CONSTRAINTS)
	@echo 'installing tlslab into .venv …'
	@$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp
	@echo 'installing the development tools into .venv …'
	@$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	@touch $@

# They want an older cryptography than tlslab does, hence an environment of their own.
.venv/clients.stamp: .venv/pip.stamp .ci/clients.txt
	@echo 'installing the AWS encryption clients into .venv/clients …'
	@$(PY) -m venv --clear .venv/clients
	@.venv/clients/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/clients.txt
	@touch $@

.venv/peers.stamp: .venv/pip.stamp .ci/peers.txt
	@echo 'installing the peers that are measured beside tlslab into .venv/peers …'
	@$(PY) -m venv --clear .venv/peers
	@.venv/peers/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/peers.txt
	@touch $@
