# make run [SAMPLE=file] [CORES=n] calibrates and prints the path of the page; make paper [DATA=folder] makes the figures of
# the paper; the other targets are for developers.
# The Python that .venv is made with: python3.11 if there is one, else python3; another by PYTHON=...
PYTHON ?= python3.11 python3
CORES ?= all
# A process of tests per core, each of up to 1.5 GB, hence not more than four; a file of tests stays in one of them.
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder
PY := .venv/bin/python
INSTALLED := .venv/.installed

# As environment variables these reach the shell untouched, whatever characters they have.
export SAMPLE CORES DATA
export STANDING := $(PWD)

.DEFAULT_GOAL := run
.PHONY: run paper test lint validate clean

run: $(INSTALLED)
	@$(PY) workflow/run.py --cores "$$CORES" --sample "$$SAMPLE" --standing "$$STANDING"

paper: $(INSTALLED)
	@$(PY) workflow/run.py --cores "$$CORES" --paper --data "$$DATA" --standing "$$STANDING"

test: $(INSTALLED)
	@$(PY) -m pytest -m "not slow" $(SIDE_BY_SIDE)

lint: $(INSTALLED)
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check pipeline tests workflow
	@$(PY) -m mypy
	@$(PY) -m snakefmt --check --line-length 120 Snakefile workflow
	@$(PY) -m snakemake --lint

validate: $(INSTALLED)
	@$(PY) -m pytest -m slow
	@$(PY) -m tests.validate

# Everything that a run or the tools make, but not the environment: results, logs and caches.
clean:
	@rm -rf results .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	@find pipeline tests workflow -type d -name __pycache__ -prune -exec rm -rf {} +

# The stamp comes last, so that an installation that was interrupted goes on the next time.
$(INSTALLED): pyproject.toml constraints.txt
	@python=; \
	for candidate in $(PYTHON); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "make: Python 3.11 or newer is needed; install it, or name it by PYTHON=/path/to/python." >&2; exit 1; \
	fi; \
	if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  echo "Making the Python environment .venv ..."; \
	  "$$python" -m venv --clear .venv || { \
	    echo "make: $$python cannot make an environment; install its venv module (Debian: python3-venv)." >&2; exit 1; }; \
	fi
	@echo "Installing packages into .venv (minutes the first time) ..."
	@$(PY) -m pip install --quiet --quiet --disable-pip-version-check --no-input -c constraints.txt -e '.[dev]'
	@touch $@
