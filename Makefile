# The two commands of the README, and what they stand on. `make setup` is quiet when there is nothing to do.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.birthmark-setup
PIP := --quiet --disable-pip-version-check --no-compile # a module is compiled when it is first imported

.PHONY: setup extras audit test pytest test-servers bench lint docs
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: birthmark needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Setting up .venv (a few minutes the first time) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install $(PIP) -r requirements.lock
	@$(BIN)/pip install $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

extras: setup # Ray, S3 and what tests them; without these their tests are skipped
	@$(BIN)/pip install $(PIP) -r requirements-extras.lock

audit: setup
	@$(BIN)/birthmark audit --out audit

lint: setup
	@$(BIN)/ruff check --no-cache --quiet src tests benchmarks examples docs
	@$(BIN)/ruff format --no-cache --check --quiet src tests benchmarks examples docs
	@$(BIN)/lint-imports --no-cache > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/vulture

test: setup # the linters run beside the tests
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

pytest: setup # many tests start a process of their own, which would compile torch each time
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest

test-servers: setup # against a real vLLM: BIRTHMARK_VLLM names an environment that has it
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -m server -n 0 -s -rs

bench: setup # every table of docs/benchmarks.md that a machine has, and bench.json
	@$(BIN)/python benchmarks/machine.py --out bench.json

docs: setup # the references, the sample pages (the first time minutes, then from what is kept in build/), the site
	@$(BIN)/python docs/generate_cli.py
	@$(BIN)/python docs/generate_models.py
	@$(BIN)/python docs/generate_samples.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
