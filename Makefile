# Every target sets up what it needs on a machine that has only Python 3.11 or newer.
# GNU make 3.81 (the one of macOS) is enough. Extra words for a tool: make test ARGS='-k wire -x'

# Start-up is slow without bytecode, so it is always written.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
ARGS ?=
SEEDS ?= 20
N ?= 3
MINUTES ?= 10
MIN ?= 3
SEED ?=
FROM ?= 0
CUTS ?= 2
REPLAY ?=
JOB ?= echo "Hello from $$(hostname), this is job $$ODYSSEY_JOB"
export JOB

SOURCES := odyssey tests $(wildcard bench)
READY := .venv/.ready

# Hosts in a box want to be root: of this machine, or of a user namespace of their own.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,$(if $(shell command -v unshare),unshare -Urnm))

.PHONY: help .venv run test test-lab test-versions lab chaos lab-scale sim power mutants check format bench lock clean

help:
	@echo 'make run      set everything up and run a job on this machine (make run JOB="python3 -V")'
	@echo 'make test     run all tests, in parallel'
	@echo 'make power    cut the power of a real daemon at many moments; needs strace (make power CUTS=4 FROM=17)'
	@echo 'make lab      some hosts in a box, with a shell on the first (make lab N=3); Linux'
	@echo 'make lab-scale N=50 MINUTES=10: many machines in one mesh for a while; ends by itself, with 0 when all stayed up'
	@echo 'make test-lab the tests with real daemons in hosts in a box, one after the other'
	@echo 'make test-versions  this version and the one of the commit before in one mesh, and one after the other on one home'
	@echo 'make chaos    machines and cables fail under work for some minutes (make chaos MIN=30, make chaos SEED=7); Linux'
	@echo 'make mutants  put known mistakes back one by one: the tests must notice each (make mutants ARGS=vote, ARGS="--sample 25")'
	@echo 'make sim      whole nodes on virtual time, with faults (make sim SEEDS=200 FROM=17, make sim REPLAY=...)'
	@echo 'make check    format, lint, types, who imports whom, the source obeys the map'
	@echo 'make format   format the source and repair what the linter can repair'
	@echo 'make bench    run the benchmarks'
	@echo 'make lock     write requirements.lock again (newest versions: make lock ARGS=--upgrade)'
	@echo 'make .venv    set up the development environment (the targets above do it themselves)'
	@echo 'make clean    remove the environment and everything tools have made'

# The first thing to try: a mesh of this one machine begins by itself, runs the job, and stays for the next one.
run: $(READY)
	.venv/bin/odyssey run -- sh -c "$$JOB"
	@echo
	.venv/bin/odyssey status
	@echo
	@echo 'Go on with .venv/bin/odyssey --help; end the daemon with .venv/bin/odyssey down'

test: $(READY)
	.venv/bin/python -m pytest -n auto $(ARGS)

test-lab: $(READY)
	$(AS_ROOT) .venv/bin/python -m pytest -m lab tests/lab --ignore tests/lab/test_versions.py $(ARGS)

test-versions: $(READY)
	$(AS_ROOT) .venv/bin/python -m pytest -m lab tests/lab/test_versions.py $(ARGS)

lab: $(READY)
	@$(AS_ROOT) .venv/bin/python -m tests.lab $(N)

lab-scale: $(READY)
	@$(AS_ROOT) .venv/bin/python -m tests.lab.scale $(if $(filter file,$(origin N)),50,$(N)) $(MINUTES)

chaos: $(READY)
	$(AS_ROOT) .venv/bin/python -m tests.chaos --minutes $(MIN) $(if $(SEED),--seed $(SEED)) $(ARGS)

sim: $(READY)
	.venv/bin/python -m tests.sim $(if $(REPLAY),--replay '$(REPLAY)',--seeds $(SEEDS) --from $(FROM)) $(ARGS)

power: $(READY)
	.venv/bin/python -m tests.power --seeds $(CUTS) --from $(FROM) $(ARGS)

mutants: $(READY)
	.venv/bin/python -m tests.mutants $(ARGS)

check: $(READY)
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/mypy --strict $(SOURCES)
	.venv/bin/lint-imports --no-logo
	.venv/bin/python -m pytest -q tests/test_architecture.py

format: $(READY)
	.venv/bin/ruff check --fix-only $(SOURCES)
	.venv/bin/ruff format $(SOURCES)

bench: $(READY)
	.venv/bin/python -m bench $(ARGS)

.venv: $(READY)

# Made again from nothing when the lock or the package's description changed. With uv when it is there, else with
# venv and pip. The package itself is a link to this directory; its build backend is in the lock, so nothing is
# installed that has no hash.
$(READY): requirements.lock pyproject.toml
	@rm -rf .venv
	@python=; \
	for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    python=$$(command -v "$$name"); break; \
	  fi; \
	done; \
	if test -z "$$python"; then \
	  echo 'error: there is no Python 3.11 or newer on this machine' >&2; \
	  echo 'hint: install one, or name it: make PYTHON=/path/to/python3' >&2; \
	  exit 1; \
	elif command -v uv >/dev/null 2>&1; then \
	  echo "setting up .venv with uv and $$python" && \
	  uv venv --quiet --python "$$python" .venv && \
	  uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock && \
	  uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .; \
	elif "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  echo "setting up .venv with pip and $$python" && \
	  "$$python" -m venv .venv && \
	  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	else \
	  echo "error: $$python cannot make a virtual environment" >&2; \
	  echo 'hint: install python3-venv (apt-get install python3-venv), or uv' >&2; \
	  exit 1; \
	fi
	@touch $@

# The lock holds names, versions and hashes for Linux and macOS, and no address: it installs from any index.
lock:
	@set -e; uv=$$(command -v uv || true); room=; \
	if test -z "$$uv"; then \
	  room=$$(mktemp -d); trap 'rm -rf "$$room"' EXIT; \
	  $(PYTHON) -m venv "$$room"; "$$room/bin/pip" install --quiet uv; uv="$$room/bin/uv"; \
	fi; \
	"$$uv" pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
	  --custom-compile-command 'make lock' --output-file requirements.lock $(ARGS) pyproject.toml; \
	if grep -nE '://|^ *-' requirements.lock | grep -v -e '--hash=' >&2; then \
	  echo 'error: requirements.lock names an address or an option of an index' >&2; \
	  echo 'hint: unset the options of the index for uv and run make lock again' >&2; \
	  exit 1; \
	fi

clean:
	rm -rf .venv build dist htmlcov .coverage .coverage.* \
	  .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
