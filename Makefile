# Everything runs in .venv, which scripts/setup makes and keeps up to date.

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check lock clean

help:           ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:          ## install what is missing into .venv
	@scripts/setup

demo: setup     ## train, export, quantize, verify, measure and package examples/digits
	$(BIN)/pipeline run -c examples/digits

test: check     ## every check, every test
	$(BIN)/python -m pytest -m "not slow"
	$(BIN)/python -m pytest -m slow

test-fast: setup ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow"

check: setup    ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lock: setup     ## write requirements.lock anew from pyproject.toml
	scripts/lock

clean:          ## remove what the tools left; .venv and runs/ stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
