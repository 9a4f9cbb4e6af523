# Everything a person needs: `make serve` and `make test` work on a fresh machine with Python 3.11+.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DATA   ?= samples/eval
# Servers and commands are started by the hundred: what Python makes of a module is kept, whatever the caller set.
unexport PYTHONDONTWRITEBYTECODE
# On two cores a third process was no gain: 536 s and 16 minutes of processor time, with two 504 s and 12.
TEST_WORKERS ?= 2
# AGAIN=1 runs what failed the last time.
LAST_FAILED := $(if $(AGAIN),--lf)

.PHONY: help setup serve page test test-slow lint format docs eval eval-structure bench types web lint-web test-web test-browser bench-web test-jobs bench-jobs soak attacks test-vllm test-clients bench-gpu verify-model wheel bundle image test-image mutants coverage clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/.serve: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.serve
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.dev ## make the virtual environment with everything for development

serve: $(VENV)/.serve page ## set up and start the server on port 8000
	$(BIN)/python serve_ocr.py

# The page is built once where Node is there; without it the API runs, and `/` says how to build the page.
page:
	@test -f web/dist/index.html || ! command -v npm >/dev/null || $(MAKE) --no-print-directory web || echo "The page was not built; the API runs without it."

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

types: $(VENV)/.dev ## write web/openapi.json, which the page's types are made from
	$(BIN)/python -m tests.page_api > web/openapi.json

web: web/node_modules/.package-lock.json ## build the page under /ui/ (Node 20.19 or later)
	cd web && npm run --silent build

test-web: web/node_modules/.package-lock.json ## the page's unit tests
	cd web && npm test --silent

test: $(VENV)/.dev ## set up and run the tests
	$(BIN)/python -m pytest -q $(or $(LAST_FAILED),-n $(TEST_WORKERS) --dist loadfile)

test-slow: $(VENV)/.dev ## the tests that take many seconds or much memory each
	$(BIN)/python -m pytest -q -m slow $(or $(LAST_FAILED),-n $(TEST_WORKERS) --dist loadfile)

$(VENV)/.browser: requirements-browser.txt $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-browser.txt
	@touch $@

test-browser: $(VENV)/.browser web ## the page in a real Chromium (Debian's chromium-headless-shell)
	$(BIN)/python -m pytest -q -m browser $(LAST_FAILED) tests/browser

bench-web: $(VENV)/.browser web ## how smoothly a document of 1,000 pages scrolls and searches
	$(BIN)/python -m benchmarks.long_document

test-jobs: $(VENV)/.dev ## jobs of 300 pages whose server is killed twenty times, over four runs
	JOBS_PAGES=300 JOBS_KILLS=5 JOBS_RUNS=4 $(BIN)/python -m pytest -q -m "" tests/jobs

bench-jobs: $(VENV)/.dev ## what durable jobs cost, and how long people wait for them
	$(BIN)/python -m benchmarks.jobs

soak: $(VENV)/.dev ## disks, databases and clocks taken away, then many clients in 4 GB (root): [SOAK="--clients 200 --minutes 20 --documents 1000"]
	$(BIN)/python -m pytest -q -m faults $(LAST_FAILED) tests/faults
	$(BIN)/python -m benchmarks.soak $(or $(SOAK),--clients 24 --minutes 3 --documents 60)

attacks: $(VENV)/.dev ## the attacks of tests/attacks twice over on one server in 4 GB (root): answers and memory meanwhile
	$(BIN)/python -m benchmarks.attacks

test-vllm: ## the engines that need torch, on tiny checkpoints, in an environment of their own (3 GB)
	tests/vllm/setup_env.sh .venv-vllm
	.venv-vllm/bin/python -m pytest -q $(or $(LAST_FAILED),-n 2 --dist loadfile) tests/vllm tests/transformers

test-clients: $(VENV)/.serve ## other people's clients, unmodified, against a server, in an environment of their own (2 GB)
	tests/clients/setup_env.sh .venv-clients
	SERVER_PYTHON=$(abspath $(BIN)/python) .venv-clients/bin/python -m pytest -q -m clients -o filterwarnings= $(LAST_FAILED) tests/clients

verify-model: $(VENV)/.dev ## check a model folder: make verify-model MODEL_PATH=folder [WRITE=1]
	$(BIN)/python -m airgap.engines.model_folder $(MODEL_PATH) $(if $(WRITE),--write)

lint: $(VENV)/.browser ## ruff and mypy; shellcheck, tsc and eslint where they are installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	@! command -v shellcheck >/dev/null || git ls-files '*.sh' .ci/run | xargs shellcheck
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory lint-web

lint-web: web/node_modules/.package-lock.json
	cd web && npm run --silent lint

format: $(VENV)/.dev ## let ruff rewrite the code's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## make docs/configuration.md and docs/limits.md from the code
	$(BIN)/python -m config > docs/configuration.md
	$(BIN)/python -m tests.limits > docs/limits.md

eval: $(VENV)/.dev ## fidelity on pages with ground truth: make eval DATA=folder
	$(BIN)/python -m benchmarks.evaluate --data $(DATA)

eval-structure: $(VENV)/.dev ## text, tables, order, headings and facts: make eval-structure DATA=folder
	$(BIN)/python -m benchmarks.structure --data $(DATA)

bench: $(VENV)/.dev ## speed against RapidOCR as it comes: make bench DATA=folder
	$(BIN)/python -m benchmarks.compare_rapidocr --data $(DATA)

bench-gpu: ## prove and measure the vLLM engine where a GPU is: make bench-gpu [GPU_PYTHON=python] [STAGES="check bench"]
	$(or $(GPU_PYTHON),$(BIN)/python) -m benchmarks.gpu $(STAGES)

wheel: $(VENV)/.dev web ## a wheel of server and client, page included, in build/wheel
	rm -rf build/lib
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .

bundle: $(VENV)/.dev ## the folder to carry: make bundle KEY=ssh-key [TARGET="cpu gpu"] [MODEL=folder]
	$(BIN)/python -m deploy.bundle $(foreach target,$(or $(TARGET),cpu),--target $(target)) $(if $(KEY),--key $(KEY)) $(if $(MODEL),--model $(MODEL))

image: web ## build the CPU image and its .env: then `docker compose up` works (make image)
	PYTHON=$(PYTHON) deploy/wheelhouse.sh cpu
	docker build -f Dockerfile.cpu -t airgap-ocr:latest-cpu .
	@test -f .env || cp deploy/env.example .env

test-image: $(VENV)/.dev web ## build the CPU image, bundle, install and run it on a real Docker engine (root on Debian, 15 minutes)
	PYTHON=$(abspath $(BIN)/python) tests/image/prepare.sh
	$(BIN)/python -m pytest -q -m image $(LAST_FAILED) tests/image

mutants: $(VENV)/.dev ## small changes made on purpose: which do the tests notice? [OF="layout jobs"] [SAMPLE=40] [SEED=1] [AGAIN=1]
	$(BIN)/python -m tests.mutants $(if $(OF),--of $(OF)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(if $(AGAIN),--again)

coverage: $(VENV)/.dev ## the share of lines that the tests run, servers and commands among them
	@mkdir -p build/coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n $(TEST_WORKERS) --dist loadfile -m "not browser and not image and not clients and not faults"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered --sort=cover

clean: ## remove the environment and what was built
	rm -rf $(VENV) build data web/dist web/node_modules
