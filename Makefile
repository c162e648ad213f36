# Everything runs in .venv, which scripts/setup makes and keeps up to date.

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests runner demo test test-fast test-runner check lock clean

help:           ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:          ## install what is missing into .venv
	@scripts/setup

setup-tests:
	@scripts/setup --tests

runner: setup   ## build the C++ runner
	@$(BIN)/pipeline runner build

demo: runner    ## train, export, quantize, verify, measure and package examples/digits
	$(BIN)/pipeline run -c examples/digits

test: setup-tests check test-runner ## every check, every test
	$(BIN)/python -m pytest -m "not slow"
	$(BIN)/python -m pytest -m slow

test-fast: setup-tests runner ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow"

test-runner: setup-tests runner ## the C++ tests under the sanitizers, and each parser fuzzed
	cd cpp_runner && cmake --preset asan -DEDGE_RUNNER_FUZZ_SECONDS=$(FUZZ_SECONDS) \
		-DEDGE_RUNNER_PYTHON=$(CURDIR)/$(BIN)/python >/dev/null
	cd cpp_runner && cmake --build --preset asan && ctest --preset asan --quiet

check: setup    ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lock: setup     ## write requirements.lock anew from pyproject.toml
	scripts/lock

clean:          ## remove what the tools left; .venv and runs/ stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
