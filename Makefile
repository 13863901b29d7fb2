# Everything on a fresh machine with Python 3.11 or later and make:
#   make serve   the service on port 8000
#   make test    all tests
#   make docs    the documentation site, in build/site
# Each target makes the environment that it needs in .venv, from pinned versions, each file checked by its SHA-256.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: serve test docs test-slow chaos fuzz soak audit sbom licences wheel lint format constraints model size bench screenshots clean

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
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Renews the lists of pinned versions, with the SHA-256 of every file of each, for all platforms and versions of Python. A
# version that still fits stays; make constraints UPGRADE=--upgrade takes the newest that fit together.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-package pip --custom-compile-command "make constraints" $(UPGRADE)
constraints: $(VENV)/.dev
	$(COMPILE) --all-extras --output-file constraints.txt pyproject.toml >/dev/null
	$(COMPILE) --constraint constraints.txt --output-file requirements/build.txt requirements/build.in >/dev/null
	$(COMPILE) --constraint constraints.txt --output-file requirements/serve.txt --extra media --extra otel \
		--extra postgres pyproject.toml >/dev/null
	$(COMPILE) --constraint constraints.txt --output-file requirements/docs.txt --extra docs pyproject.toml >/dev/null
	$(COMPILE) --output-file tests/rpc/clients.txt tests/rpc/clients.in >/dev/null

# Rebuilds the shipped model from a folder of labelled recordings, as docs/accuracy.md tells: make model DATA=FOLDER
# It needs PyTorch (a download of gigabytes) and about an hour. These three packages alone are not in the hashed lists.
MODEL := src/voxgender/models/ge2e-2
model: $(VENV)/.dev
	@test -f "$(DATA)/manifest.csv" || { echo "make model DATA=FOLDER, where FOLDER holds manifest.csv"; exit 1; }
	$(PIP) install torch==2.13.0
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
	$(BIN)/python -m reliability.task_life --examples 40 --write
	$(BIN)/python -m reliability.crowds --write

fuzz: $(VENV)/.dev
	$(BIN)/python -m reliability.fuzz --minutes 10 --write
	$(BIN)/python -m reliability.contract --examples 40 --write
	$(BIN)/python -m reliability.damaged_media --files 1000 --http 100 --write

soak: $(VENV)/.dev
	$(BIN)/python -m reliability.soak --minutes 30 --write

# Pictures of the web page for docs/, from the real page with real results; needs the Debian package chromium.
screenshots: $(VENV)/.dev
	SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/web -k pictured

# What make serve installs, and what the wheel carries of others, with hashes and licences, as CycloneDX JSON.
sbom: $(VENV)/.dev
	mkdir -p build
	$(BIN)/python tools/sbom.py > build/sbom.json.new
	mv build/sbom.json.new build/sbom.json
	@echo build/sbom.json

licences: $(VENV)/.dev
	$(BIN)/python tools/licences.py > docs/reference/licences.md.new
	mv docs/reference/licences.md.new docs/reference/licences.md

# Asks a database of vulnerabilities over the network about the pinned versions. A package that it cannot ask about fails, too.
audit: $(VENV)/.dev
	@$(BIN)/pip-audit --strict --disable-pip --requirement constraints.txt || { echo "Not passed: a vulnerability stands above, or \
	the database of vulnerabilities could not be asked."; exit 1; }

# The wheel and the source archive, in dist/: the same commit gives the same bytes, and nothing is fetched.
wheel: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1580601600)
wheel: $(VENV)/.dev
	umask 022; $(BIN)/python -m build --no-isolation --outdir dist .

# What an installation for running the service takes up on disk.
size:
	$(PYTHON) tools/installed_size.py

# The product's own gRPC clients, as their users have them: in an environment of their own, because they hold NumPy back.
$(VENV)/.clients: $(BIN)/python requirements/build.txt tests/rpc/clients.txt
	$(PYTHON) -m venv $(VENV)/clients
	$(VENV)/clients/bin/$(CHECKED) --requirement requirements/build.txt
	$(VENV)/clients/bin/$(CHECKED) --requirement tests/rpc/clients.txt
	touch $@

clean:
	rm -rf $(VENV) build

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# pip checks each file against its list's hashes, and takes wheels alone, so that nothing of others runs while it is installed;
# two packages of the tests have none. What builds them and voxgender comes first. pip can check no folder: voxgender itself
# comes last, and nothing is fetched for it.
CHECKED := python -m pip --disable-pip-version-check --quiet install --require-hashes --no-build-isolation \
	--only-binary :all: --no-binary pyspark,py-ubjson
define install
$(BIN)/$(CHECKED) --requirement requirements/build.txt
$(BIN)/$(CHECKED) --requirement $(1)
$(PIP) install --no-index --no-deps --no-build-isolation --editable .
endef

$(VENV)/.serve: $(BIN)/python pyproject.toml requirements/build.txt requirements/serve.txt
	$(call install,requirements/serve.txt)
	touch $@

$(VENV)/.docs: $(BIN)/python pyproject.toml requirements/build.txt requirements/docs.txt
	$(call install,requirements/docs.txt)
	touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml requirements/build.txt constraints.txt
	$(call install,constraints.txt)
	touch $@ $(VENV)/.serve $(VENV)/.docs
