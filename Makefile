# Kronos: `make run` from a fresh clone needs Python 3.11+ and make, nothing else.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
LOCKED := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: run test prove lint bench lock clean

run: $(READY)
	@exec $(BIN)/kronos up $(if $(ONCE),--once)

test: $(READY)
	$(BIN)/python -m pytest -n 2

prove: $(READY)
	$(BIN)/python -m kronos_tests.prove

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) $(PEERS)
	$(BIN)/python -m benchmarks

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Kronos needs Python 3.11, 3.12 or 3.13 on PATH (or make PYTHON=/path/to/python)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV)"
	@$(PIP) --no-deps --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# what benchmarks alone compare with: some 300 MB that nothing else needs
$(PEERS): benchmarks/requirements.lock | $(READY)
	@$(PIP) --no-deps --require-hashes -r benchmarks/requirements.lock
	@touch $@

# Refresh the locks: names, versions and hashes for every supported Python, no addresses.
lock: $(READY)
	$(BIN)/uv --version >/dev/null 2>&1 || $(PIP) uv
	$(BIN)/uv pip compile $(LOCKED) --extra sandbox --extra dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile $(LOCKED) --all-extras -c requirements.lock pyproject.toml -o benchmarks/requirements.lock

clean:
	@test ! -f .kronos/postgres/location || rm -rf "$$(cat .kronos/postgres/location)"
	rm -rf $(VENV) .kronos
