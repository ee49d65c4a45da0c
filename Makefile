# make run      the demo shop, from nothing to push lists
# make test     types, style and every test, at everyday size
# make soak     the tests that have two sizes, at full size: before a submission
# make lineage  docs/lineage.png, drawn from Dagster's UI after a run; needs Chromium
# make tables   which tables keep history, written into the README
# make lock     the exact versions anew, after a change of pyproject.toml

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$name && break; done)
TESTS = $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header --no-annotate --no-strip-extras --extra build

.PHONY: run test soak lineage tables lock clean

run: $(VENV)/.runtime
	$(BIN)/siyu simulate
	$(BIN)/siyu run

test: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(TESTS)

# Every test is run by `make test`; the others would do here what they did there (tests/sizes.py).
soak: $(VENV)/.development
	SIYU_TEST_SIZE=full $(TESTS) -m sized

lineage: $(VENV)/.development
	$(BIN)/python -m docs.lineage

tables: $(VENV)/.development
	$(BIN)/python -m docs.tables

lock: $(VENV)/.development
	$(BIN)/pip install --quiet uv
	$(LOCK) --output-file requirements.txt
	$(LOCK) --extra dev --output-file requirements-dev.txt

clean:
	rm -rf $(VENV) .siyu

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Siyu needs Python 3.11 or newer; install it, or make PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) has no venv module; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
