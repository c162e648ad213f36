# make demo and make test work in a fresh clone: git, make and Python 3.11+ are enough.

BIN := .venv/bin
DIGITS := examples/digits/runs/digits/package/digits.bundle
# How long each parser of the C++ runner is fuzzed.
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests setup-arm64 runner demo arm64 test test-full test-fast test-python \
	test-runner check lock clean

help:           ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:          ## install what is missing into .venv
	@scripts/setup

setup-tests:
	@scripts/setup --tests

setup-arm64:
	@scripts/setup --arm64

runner: setup   ## build the C++ runner
	@$(BIN)/pipeline runner build

demo: runner    ## train, export, quantize, verify, measure and package examples/digits
	$(BIN)/pipeline run -c examples/digits

arm64: setup-arm64 demo ## build the C++ runner for ARM64 and verify the digits with it under QEMU
	@$(BIN)/pipeline runner build --arm64
	$$($(BIN)/pipeline runner path --arm64) verify $(DIGITS)

# Both halves wait a good deal on one core, so they share two; each is printed when it is done.
test: check setup-tests runner ## the checks and tests
	$(MAKE) --jobs=2 --output-sync=target test-runner test-python

test-full: setup-tests arm64 test ## all tests, ThreadSanitizer, ARM64
	$(BIN)/python -m pytest -m full
	cd cpp_runner && cmake --preset tsan >/dev/null
	cd cpp_runner && cmake --build --preset tsan && ctest --preset tsan --quiet

test-fast: setup-tests runner ## the tests in Python that take seconds
	$(BIN)/python -m pytest -m "not slow"

test-python: setup-tests runner
	$(BIN)/python -m pytest -m "not slow"
	$(BIN)/python -m pytest -m "slow and not full"

test-runner: setup-tests runner ## the tests in C++, under the sanitizers, and the parsers fuzzed
	cd cpp_runner && cmake --preset asan -DEDGE_RUNNER_FUZZ_SECONDS=$(FUZZ_SECONDS) \
		-DEDGE_RUNNER_PYTHON=$(CURDIR)/$(BIN)/python >/dev/null
	cd cpp_runner && cmake --build --preset asan && ctest --preset asan --quiet

check: setup    ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lock: setup     ## write requirements.lock anew from pyproject.toml
	scripts/lock

clean:          ## remove what the tools left and the C++ builds; .venv and runs/ stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist cpp_runner/build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
