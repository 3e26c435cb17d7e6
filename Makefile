# Everything a developer types. The environment is made on first use and remade when the lock changes.
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TOOLS  := $(VENV)/.tools
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
PYTHON ?= python3
LOCK   := uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate
PROTOS := $(shell find proto/tiendo -name '*.proto')

# Where this is set, each of the many processes that start here would compile all of our code anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up test pytest check proto bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.made: requirements.lock requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Tiendo needs Python 3.11 or newer: install it, or set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tiendo needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python lacks venv: install it (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "Making the environment in $(VENV) (once; about half a minute)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# The locks name every package, and none is in both, so the two may be installed at once.
$(READY): $(VENV)/.made
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(TOOLS): $(VENV)/.made
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

up: $(READY) $(if $(filter production,$(ENGINE)),$(TOOLS)) ## Start everything on this machine, with the real data; ENGINE=production: as it runs in production
	@exec $(BIN)/tiendo up $(if $(ENGINE),--engine $(ENGINE))

test: ## Prove it: every check and, beside them, every test
	@$(MAKE) --no-print-directory --jobs 2 $(READY) $(TOOLS)
	@$(MAKE) --no-print-directory --jobs 2 check pytest

pytest: $(READY) $(TOOLS)
	$(BIN)/python -m pytest

check: $(READY) $(TOOLS) ## Style, types, import rules, contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	$(BIN)/buf format proto --diff --exit-code
	$(BIN)/buf breaking proto --against proto/released.binpb

proto: $(READY) $(TOOLS) ## Make the Python code and the pages of proto/docs from proto/
	rm -rf proto/gen && mkdir proto/gen
	$(BIN)/python -m grpc_tools.protoc -I proto --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
		--python_out=proto/gen --mypy_out=quiet:proto/gen $(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -I proto --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		--grpc_python_out=proto/gen --mypy_grpc_out=quiet:proto/gen $(filter %_service.proto,$(PROTOS))
	$(BIN)/python proto/docs/make.py

bench: $(READY) $(TOOLS) ## Measure, each figure beside its floor
	$(BIN)/python -m benchmarks

lock: ## Choose the versions of all packages anew (needs uv)
	$(LOCK) --group install -o requirements.lock
	$(LOCK) --group install --group dev --constraint requirements.lock -o requirements-dev.lock \
		$$(sed -nE 's/^([A-Za-z0-9._-]+)==.*/--no-emit-package \1/p' requirements.lock)

clean: ## Remove the environment and caches; the data in .tiendo stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
