# Every target is explained by `make help`; .ci/run calls the same ones.

PYTHON ?= python3
VENV ?= .venv
TEST_WORKERS ?= 2
BIN := $(VENV)/bin
AIRFLOW_VENV := .venv-airflow
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Much of a test is waiting for a lease or a server: two at a time take little more than half as long.
# In the order of their names: the short ones of tests/unit fill up the end.
PYTEST := $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
COVER := --cov --cov-branch --cov-report=term
# For a machine that others load: what fails is run once more after a pause, and both are told, with the traceback.
TWICE := --reruns 1 --reruns-delay 5 --rerun-show-tracebacks -rR
QUICK_TESTS := tests/unit tests/flow
PINNED := pyproject.toml clients/python/pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: venv
venv: $(VENV)/.base-stamp ## Build .venv with Forebay, ONNX Runtime for CPU and the Python client

.PHONY: demo
demo: $(VENV)/.base-stamp ## Submit, batch, run, poll: 1,000 jobs from real inputs through everything, on this machine
	$(BIN)/python loadtest/demo.py

.PHONY: check
check: $(VENV)/.test-stamp ## Format, lint, types, import arrows, quick tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file clients/python/pyproject.toml clients/python/src
	$(BIN)/lint-imports
	$(PYTEST) $(QUICK_TESTS) -q -m "not soak"

.PHONY: airflow
airflow: $(AIRFLOW_VENV)/.stamp ## Build .venv-airflow: Airflow with forebay-airflow, apart, since its pins are not ours

.PHONY: servers
servers: $(VENV)/.test-stamp ## What the tests' servers and checks are made of: Kafka, ElasticMQ, tools, Airflow
	@$(BIN)/python -m tests.services.kafka_jars || test "$$CI" != true
	@$(BIN)/python -m tests.services.elasticmq_jars || test "$$CI" != true
	@$(BIN)/python -m tests.deploy.tools || test "$$CI" != true
	@$(MAKE) --no-print-directory airflow || test "$$CI" != true

.PHONY: test
test: servers ## Every test, with line and branch coverage, on servers of its own
	$(PYTEST) tests -m "not soak" $(if $(CHECKED),$(QUICK_TESTS:%=--ignore=%),$(COVER)) $(if $(AGAIN),$(TWICE))

.PHONY: soak
soak: $(VENV)/.test-stamp ## The long runs
	$(BIN)/python -m pytest tests -m soak --timeout=0

.PHONY: bench-api
bench-api: $(VENV)/.bench-stamp ## Figures of the API, and of peers: durable submits, throughput, idle latency
	$(BIN)/python -m loadtest.bench_api

.PHONY: bench-path
bench-path: $(VENV)/.bench-stamp ## Figures of the path itself: items per second, cost by backlog
	$(BIN)/python -m loadtest.bench_path

.PHONY: bench-scoring
bench-scoring: $(VENV)/.bench-stamp ## Figures of forebay score beside a loop by hand, Ray Data, PySpark; memory, going on
	$(BIN)/python -m loadtest.bench_scoring

.PHONY: bench-stream
bench-stream: $(VENV)/.bench-stamp ## Figures of the stream lane beside a loop by hand, Quix Streams, Faust; memory, latency
	$(BIN)/python -m loadtest.bench_stream

.PHONY: bench-waiting
bench-waiting: $(VENV)/.bench-stamp ## Figures of 1,000 clients on long polls: how soon each is told, with and without Redis
	$(BIN)/python -m loadtest.bench_waiting

.PHONY: services
services: $(VENV)/.test-stamp ## Run PostgreSQL, Redis, Kafka, ElasticMQ and S3 until Ctrl-C and print their addresses
	$(BIN)/python -m tests.services

.PHONY: fmt
fmt: $(VENV)/.test-stamp ## Format, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: pins
pins: $(VENV)/.test-stamp ## Write constraints.txt from what is installed
	$(BIN)/python .ci/pins > constraints.txt.new
	mv constraints.txt.new constraints.txt

.PHONY: clean
clean: ## Remove what was built, and caches; FOREBAY_HOME stays
	rm -rf $(VENV) .venv-* dist build htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.base-stamp: $(PINNED)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Forebay needs Python 3.11 or later, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
	@echo "Building $(VENV) (about a minute) …"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -e '.[cpu]' -e clients/python
	@touch $@

$(VENV)/.test-stamp: $(VENV)/.base-stamp
	@echo "Adding PyTorch and the tools of tests and checks …"
	@$(INSTALL) --no-compile -e '.[cpu,torch,kafka,sqs,s3,redis,scoring,ray,test,dev]' -e clients/python
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >$(VENV)/compiled.log 2>&1 || true # on every core; pip compiles on one
	@touch $@

$(AIRFLOW_VENV)/.stamp: deploy/airflow/pyproject.toml deploy/airflow/constraints.txt clients/python/pyproject.toml
	@echo "Building $(AIRFLOW_VENV) (about a minute and a half) …"
	@$(PYTHON) -m venv $(AIRFLOW_VENV)
	@$(AIRFLOW_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c deploy/airflow/constraints.txt \
		-e clients/python -e 'deploy/airflow[test]'
	@touch $@

$(VENV)/.bench-stamp: $(VENV)/.test-stamp
	@$(INSTALL) -e '.[cpu,scoring,loadtest]'
	@touch $@
