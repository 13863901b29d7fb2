# Everything on a fresh machine with Python 3.11 or later and make:
#   make serve   the service on port 8000
#   make test    all tests
#   make docs    the documentation site, in build/site
# Each target makes the environment that it needs in .venv, from the versions in constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: serve test docs test-slow chaos fuzz soak audit sbom lint format constraints model size bench screenshots clean

serve: $(VENV)/.serve
	$(BIN)/voxgender serve

test: $(VENV)/.dev $(VENV)/.clients
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests/core src/voxgender/core
	$(BIN)/coverage report --include='src/voxgender/core/*' --fail-under=100 --skip-covered
	$(BIN)/python -m pytest --ignore=tests/core --ignore=src/voxgender/core -n 2 --dist loadfile --no-loadscope-reorder

# Warnings are errors: a broken link, a page that is in no table of contents, a docstring that cannot be read.
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet -d build/site-cache docs build/site
	@echo build/site/index.html

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

# Rebuilds the shipped model from a folder of labelled recordings, as docs/accuracy.md tells: make model DATA=FOLDER
# It needs PyTorch (a download of gigabytes) and about an hour.
MODEL := src/voxgender/models/ge2e-2
model: $(VENV)/.dev
	@test -f "$(DATA)/manifest.csv" || { echo "make model DATA=FOLDER, where FOLDER holds manifest.csv"; exit 1; }
	$(PIP) install --constraint constraints.txt torch==2.13.0
	$(PIP) download --no-deps --dest build resemblyzer==0.1.4 silero-vad==6.2.3
	$(BIN)/python tools/train_gender_network.py --data $(DATA) --out build/gender.onnx
	$(BIN)/python tools/build_extractor.py --resemblyzer build/[Rr]esemblyzer-0.1.4-py3-none-any.whl \
		--silero build/silero_vad-6.2.3-py3-none-any.whl --gender build/gender.onnx
	$(BIN)/voxgender train --data $(DATA) --output $(MODEL) --head-version 2
	$(BIN)/voxgender evaluate --data $(DATA) --model $(MODEL) --stress --output build/report
	$(BIN)/voxgender card --model $(MODEL) --report build/report/report.json --output $(MODEL)/CARD.md
	cp $(MODEL)/CARD.md docs/model-card.md

# Speed, against the usual way to build such a service and against bare sockets, and over gRPC; rewrites
# docs/performance.md and docs/grpc-performance.md.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.rpc --write

# Long trials of what the service promises; they rewrite the rows of docs/reliability.md.
chaos: $(VENV)/.dev
	$(BIN)/python -m reliability.kills --store sqlite --times 100 --write
	$(BIN)/python -m reliability.kills --store postgresql --times 100 --write

fuzz: $(VENV)/.dev
	$(BIN)/python -m reliability.fuzz --minutes 10 --write
	$(BIN)/python -m reliability.damaged_media --files 1000 --http 100 --write

soak: $(VENV)/.dev
	$(BIN)/python -m reliability.soak --minutes 30 --write

# Pictures of the web page for docs/, from the real page with real results; needs the Debian package chromium.
screenshots: $(VENV)/.dev
	SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/web -k pictured

# What an installation for running the service takes up on disk.
size:
	$(PYTHON) tools/installed_size.py

# The product's own gRPC clients, as their users have them: in an environment of their own, because they hold NumPy back.
$(VENV)/.clients: $(BIN)/python tests/rpc/clients.txt
	$(PYTHON) -m venv $(VENV)/clients
	$(VENV)/clients/bin/python -m pip --disable-pip-version-check --quiet install --requirement tests/rpc/clients.txt
	touch $@

clean:
	rm -rf $(VENV) build

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[media]'
	touch $@

$(VENV)/.docs: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[docs]'
	touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[media,otel,postgres,train,docs,dev,tools]'
	touch $@ $(VENV)/.serve $(VENV)/.docs
