# SEUSS: one entry point for set-up, build, tests and experiments. `make help` explains each target.

PYTHON ?= /usr/bin/python3.11
VENV   := .venv
BIN    := $(VENV)/bin
BUILD  := $(CURDIR)/build
JOBS   ?= $(shell nproc)
SCALE  ?=
RESULTS ?= $(lastword $(sort $(wildcard results/*)))

override SCALE := $(or $(strip $(SCALE)),default)
ifneq ($(SCALE),$(filter quick default full,$(firstword $(SCALE))))
  $(error SCALE is "$(SCALE)". Give quick, default or full)
endif

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup image micro peers experiments plots report test test-python test-unit test-host test-image \
        test-micro .results-there lint lint-python lint-cpp format clean distclean

help: ## Show this text
	@printf 'Targets:\n'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS="$$(printf '\t')" read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done
	@printf '\nJOBS=N sets the number of compilers at once (now $(JOBS)).\n'
	@printf 'First time: `make experiments` or `make test`. Each sets up what it needs; finished steps are not repeated.\n'

setup: $(VENV)/.ready ## Install the Debian packages (as root) and make .venv

image: setup ## Build the guest images build/ebbrt-*.elf and the boot tests' images
	@$(MAKE) --jobs=$(JOBS) -C ebbrt_image BUILD=$(BUILD) PYTHON=$(PYTHON) \
	  PIP='$(CURDIR)/$(BIN)/python -m pip' all boot-tests

micro: setup ## Build Micro's worker, load generator and checker (Rust)
	@$(MAKE) -C micro_worker BUILD=$(BUILD)/micro

peers: setup ## Install what the experiments' peers need (engines, a Linux kernel), as root
	@.ci/install-debian-packages peers-packages.txt
	@.ci/fetch-linux-kernel $(BUILD)/peers
	@.ci/fetch-firecracker $(BUILD)/peers $(BIN)/python || echo 'Firecracker could not be fetched: its rows will say so'
	@.ci/fetch-criu $(BUILD)/peers $(JOBS) || echo 'criu could not be built: its rows will say so'

experiments: image micro ## Run all experiments (SCALE=quick|default|full) into results/<time>/; goes on if cut off
	@$(MAKE) peers || echo 'Going on without: what cannot be compared with here becomes a row with the reason.'
	@$(BIN)/seuss experiments suite --scale $(SCALE)

plots: setup .results-there ## Draw the pictures of RESULTS (the newest results folder) again from its raw data
	@for raw in $(RESULTS)/*.json; do name=$$(basename "$$raw" .json | tr - _); \
	  if [ -f "experiments/plots/$$name.py" ]; then \
	    $(BIN)/python -m "experiments.plots.$$name" $(RESULTS) || exit 1; fi; done

report: setup .results-there ## Write report.md and report.html of RESULTS again from its raw data
	@$(BIN)/seuss experiments report $(RESULTS)

.results-there:
	@test -d '$(RESULTS)' || { echo 'There are no results in "$(RESULTS)". Run make experiments, or name a folder by RESULTS=.' >&2; exit 1; }

test: lint test-host test-micro test-python ## Run every test: lint, C++ and Rust on the host, bootable images, Python with real QEMU
	@echo 'make test: lint, C++, Rust and Python tests all passed'

test-python: image micro ## Run all that pytest runs: unit, bootable images, integration with real QEMU, faults
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-unit: setup ## Run the Python tests that need no QEMU and no image (seconds)
	@$(BIN)/pytest tests/unit

test-host: setup ## Run the C++ unit tests on the host
	@$(MAKE) --jobs=$(JOBS) -C ebbrt_image/host_tests BUILD=$(BUILD)/host_tests PYTHON=$(PYTHON) \
	  PIP='$(CURDIR)/$(BIN)/python -m pip' test

test-image: setup ## Boot the guest's test images in QEMU, on each machine type and number of cores
	@$(MAKE) --jobs=$(JOBS) -C ebbrt_image BUILD=$(BUILD) PYTHON=$(PYTHON) boot-tests
	@$(BIN)/pytest tests/integration/image

test-micro: setup ## Check format and lints of the Rust code and run its unit tests
	@$(MAKE) -C micro_worker BUILD=$(BUILD)/micro test

lint: lint-python lint-cpp ## Check format, style and types of the whole code

lint-python: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lint-cpp: setup
	@find ebbrt_image -name '*.cc' -o -name '*.h' | xargs -r clang-format --dry-run -Werror

format: setup ## Rewrite the code in the project's format
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	@find ebbrt_image -name '*.cc' -o -name '*.h' | xargs -r clang-format -i
	@$(MAKE) -C micro_worker BUILD=$(BUILD)/micro format

clean: ## Remove what the build made; keep .venv and results
	rm -rf $(BUILD) .mypy_cache .ruff_cache .pytest_cache .hypothesis

distclean: clean ## Remove .venv as well
	rm -rf $(VENV) seuss.egg-info

$(BUILD)/.debian-packages: .ci/debian-packages.txt .ci/install-debian-packages
	@.ci/install-debian-packages
	@mkdir -p $(@D) && touch $@

$(VENV)/.ready: setup.cfg pyproject.toml | $(BUILD)/.debian-packages
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --disable-pip-version-check --editable '.[test]' || \
	  { echo 'Could not install the Python packages of setup.cfg. Check the network and pip'"'"'s settings, then run make setup again.' >&2; exit 1; }
	@touch $@
