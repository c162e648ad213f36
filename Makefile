# make demo and make test work in a fresh clone: git, make and Python 3.11+ are enough.

BIN := .venv/bin
DIGITS := examples/digits/runs/digits/package/digits.bundle
APK := examples/digits/runs/digits/digits.apk
# Their tests take about as long as all others.
STAGES := tests/train tests/quantize tests/verify tests/bench
# Without the backends: what includes torch takes half a minute a file.
TIDIED = $(filter-out %/libtorch.cpp %/libtorch_guards.cpp %/onnxruntime.cpp, \
	$(shell git ls-files 'cpp_runner/bundle/*.cpp' 'cpp_runner/runner/*.cpp' 'cpp_runner/tool/*.cpp'))
# What tests need; nothing where `make test` has made it, so that they start in the order given there.
PREPARED = $(if $(READY),,setup-tests runner jvm)
# How long each parser of the C++ runner is fuzzed; make test-full does it longer, and tries four times
# as many changes of bundles.
FUZZ_SECONDS ?= 20

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests setup-arm64 setup-android runner jvm demo arm64 apk test test-full test-oldest \
	test-fast test-fast-stages test-fast-others test-slow-stages test-slow-others test-runner \
	test-android coverage check lock clean

help:           ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:          ## install what is missing into .venv
	@scripts/setup

setup-tests:
	@scripts/setup --tests --android

setup-android:
	@scripts/setup --android

setup-arm64:
	@scripts/setup --arm64

runner: setup   ## build the C++ runner
	@$(BIN)/pipeline runner build

jvm: setup-android
	@$(BIN)/pipeline android jvm

demo: runner    ## train, export, quantize, verify, measure and package examples/digits
	$(BIN)/pipeline run -c examples/digits

arm64: setup-arm64 demo ## build the C++ runner for ARM64 and verify the digits with it under QEMU
	@$(BIN)/pipeline runner build --arm64
	$$($(BIN)/pipeline runner path --arm64) verify $(DIGITS)

apk: setup-android demo ## the Android app with the digits in it, signed with a debug key, without an SDK
	$(BIN)/pipeline android build $(DIGITS) -o $(APK)

# Each waits a good deal on one core, so two share two, the longest from the start; each is printed
# when it is done.
test: check setup-tests runner jvm ## the checks and tests
	$(MAKE) READY=1 --jobs=2 --output-sync=target \
		test-slow-others test-runner test-slow-stages test-fast-stages test-android test-fast-others
	$(MAKE) coverage

test-full: export FUZZ_SECONDS = 300
test-full: export EDGE_RUNNER_THOROUGH = 1
test-full: setup-tests arm64 test test-oldest ## all tests, ThreadSanitizer, ARM64, the oldest versions
	$(BIN)/python -m pytest -m full
	cd cpp_runner && cmake --preset tsan >/dev/null
	cd cpp_runner && cmake --build --preset tsan && ctest --preset tsan --quiet

# Of what is committed, in a clone: the C++ runner is built for one torch at a time.
test-oldest:    ## the tests in Python with the oldest versions that pyproject.toml allows
	rm -rf build/oldest
	git clone -q . build/oldest
	LOCK=requirements.oldest.lock $(MAKE) -C build/oldest test-fast test-slow-stages
	rm -rf build/oldest

test-fast: test-fast-stages test-fast-others ## the tests in Python that take seconds

test-fast-stages: $(PREPARED)
	$(BIN)/coverage run --data-file=.coverage.stages -m pytest -m "not slow and not full" $(STAGES)

test-fast-others: $(PREPARED)
	$(BIN)/coverage run --data-file=.coverage.others -m pytest -m "not slow and not full" \
		$(STAGES:%=--ignore=%)

coverage:       ## what the fast tests reach, by branch; fails below the floor in pyproject.toml
	$(BIN)/coverage combine --keep --quiet .coverage.stages .coverage.others
	@echo "Branch coverage of the fast tests, in percent:"
	@$(BIN)/coverage report --format=total

test-slow-others: $(PREPARED)
	$(BIN)/python -m pytest -m "slow and not full" $(STAGES:%=--ignore=%)

test-slow-stages: $(PREPARED)
	$(BIN)/python -m pytest -m "slow and not full" $(STAGES)

test-runner: $(PREPARED) ## the tests in C++, under the sanitizers, and the parsers fuzzed
	cd cpp_runner && cmake --preset asan -DEDGE_RUNNER_FUZZ_SECONDS=$(FUZZ_SECONDS) \
		-DEDGE_RUNNER_PYTHON=$(CURDIR)/$(BIN)/python >/dev/null
	cd cpp_runner && cmake --build --preset asan && ctest --preset asan --quiet
	echo $(TIDIED) | xargs -n4 $(BIN)/clang-tidy --quiet --extra-arg=-Wno-error -p cpp_runner/build/asan

# The app in Kotlin: its core on the JVM, its screens in Robolectric, with the digits in it.
test-android: setup-tests demo ## the tests of the Android app, without an SDK or a phone
	mvn -B -q -Dstyle.color=never -f android/pom.xml verify

check: setup    ## format, lint, types, and the schemas in docs/json
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	git ls-files '*.c' '*.cpp' '*.hpp' '*.h' \
		| xargs $(BIN)/clang-format --style=file:cpp_runner/.clang-format --dry-run -Werror
	$(BIN)/mypy
	$(BIN)/python scripts/json_schemas.py --check
	$(BIN)/python scripts/versions.py --check

lock: setup     ## write the lock files anew from pyproject.toml
	scripts/lock

clean:          ## remove what the tools left and the C++ builds; .venv and runs/ stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist cpp_runner/build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
