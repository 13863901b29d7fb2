# Everything on a fresh machine with Python 3.11 or later and make:
#   make serve   the service on port 8000
#   make test    all tests
# Each target makes the environment that it needs in .venv, from the versions in constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: serve test test-slow lint format constraints size clean

serve: $(VENV)/.serve
	$(BIN)/voxgender serve

test: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow"
	$(BIN)/coverage report --skip-covered
	$(BIN)/coverage report --include='src/voxgender/core/*' --fail-under=100 --skip-covered

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The versions that constraints.txt pins: the newest that fit together, in an environment of their own.
constraints:
	$(PYTHON) tools/pin_versions.py > constraints.txt.new
	mv constraints.txt.new constraints.txt

# What an installation for running the service takes up on disk.
size:
	$(PYTHON) tools/installed_size.py

clean:
	rm -rf $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[media]'
	touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[media,train,dev,tools]'
	touch $@ $(VENV)/.serve
