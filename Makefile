# One command each. `make lab` starts the course; `make help` lists the rest.
# Paths here are relative on purpose: the folder's own path may hold spaces and any letters.

# The first Python on this machine that is new enough; another one: PYTHON=python3.12 make lab
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	echo "$$python"; break; fi; done)
ARGS ?=

# Where everything is installed; for a folder that cannot be written, somewhere else: COURSE_VENV=~/course-env make lab
COURSE_VENV ?= .venv

ifeq ($(OS),Windows_NT)
BIN := $(COURSE_VENV)/Scripts
else
BIN := $(COURSE_VENV)/bin
endif
RUN := $(BIN)/python

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Exercises have holes, and are meant to fail. What measures runs by itself: chapters two at a time, for they mostly sleep
# and their tolerances bear a neighbour; those that do not bear one, and all else that measures, one at a time. The rest
# runs on every core, in the order of tests/conftest.py, a file in one process.
# A selection (ARGS="-k queueing") may leave nothing to one of the three: pytest's 5 says so, and is no failure.
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with tests/sanitize.cfg --nbval-cell-timeout 120
TOGETHER := -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder \
	course tests --ignore=tests/measured --ignore=tests/browser/test_whole_chapter.py
SENSITIVE := notebooks/2-concepts/10-components.ipynb notebooks/3-algorithms/17-capacity.ipynb notebooks/4-cases
IN_PAIRS := -p tests.conftest -n logical --maxprocesses 2 --dist loadfile --no-loadscope-reorder \
	notebooks --ignore=notebooks/exercises --ignore=notebooks/solutions $(SENSITIVE:%=--ignore=%)
ALONE := $(SENSITIVE) tests/measured tests/browser/test_whole_chapter.py

.PHONY: help lab check test quick drill bench fidelity notebooks book setup clean

help:
	@echo 'make lab         the course in JupyterLab, in your own copy of the notebooks'
	@echo 'make check       is this machine ready?'
	@echo 'make test        style, units, properties, doctests, every notebook, the explorers in a browser'
	@echo 'make quick       the same without notebooks, browser and whatever measures (3 minutes)'
	@echo 'make drill       what the course must stand: other hosts, no network, a fresh machine … (hours; ARGS names some)'
	@echo 'make bench       the benchmarks: ours against a peer'
	@echo 'make fidelity    whatif, and the simulated Dask, against the real one on this machine (20 minutes)'
	@echo 'make book        the course as web pages, to be read without Python: build/book/index.html'
	@echo 'make notebooks   make the exercises from the solutions; execute every notebook anew'
	@echo 'make clean       remove .venv'

lab: setup
	@"$(RUN)" -m course lab $(ARGS)

check: setup
	@"$(RUN)" -m course check

test: setup
	@"$(RUN)" -m ruff check --no-cache course tests
	@"$(RUN)" -m pytest $(NBVAL) $(TOGETHER) notebooks/solutions $(ARGS) || [ $$? -eq 5 ]
	@"$(RUN)" -m pytest $(NBVAL) $(IN_PAIRS) $(ARGS) || [ $$? -eq 5 ]
	@"$(RUN)" -m pytest $(NBVAL) $(ALONE) $(ARGS) || [ $$? -eq 5 ]

quick: setup
	@"$(RUN)" -m ruff check --no-cache course tests
	@"$(RUN)" -m pytest -m 'not slow' $(TOGETHER) --ignore=tests/browser $(ARGS)

drill: setup
	@"$(RUN)" -m tests.drill $(ARGS)

bench: setup
	@"$(RUN)" tests/bench $(ARGS)

fidelity: setup
	@"$(RUN)" tests/fidelity $(ARGS)

notebooks: setup
	@"$(RUN)" -m course.notebook exercises
	@"$(RUN)" -m course.notebook reference
	@"$(RUN)" -m course.notebook $(ARGS)

book: setup
	@"$(RUN)" -m course.book $(ARGS)

clean:
	rm -rf .venv

# Installs when what was installed is not what is wanted: the stamp, written last, holds what the constraints
# and the project's metadata say, this folder, and (if one was asked for) the Python. Otherwise it takes
# milliseconds and no network. Only another Python or another folder makes the environment anew; an update
# that fails, offline for instance, leaves what works.
setup:
	@stamp() { cat constraints.txt && sed '/^\[tool\.pytest/,$$d' pyproject.toml; }; \
	asked='$(if $(filter file,$(origin PYTHON)),,$(PYTHON))'; \
	if "$(RUN)" -c '' 2>/dev/null && pwd | cmp -s - "$(COURSE_VENV)/folder" \
		&& { [ -z "$$asked" ] || [ "$$("$$asked" -V)" = "$$("$(RUN)" -V)" ]; }; then \
		if stamp | cmp -s - "$(COURSE_VENV)/installed"; then exit 0; fi; \
	else \
		if [ -z "$(PYTHON)" ]; then \
			echo 'No Python 3.11 or newer was found. Install one, or name it: PYTHON=/path/to/python3 make lab' >&2; \
			exit 1; \
		fi; \
		if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
			echo '$(PYTHON) does not run, or is older than Python 3.11.' >&2; \
			exit 1; \
		fi; \
		if [ '$(COURSE_VENV)' != .venv ] && [ -n "$$(ls -A "$(COURSE_VENV)" 2>/dev/null)" ] \
			&& [ ! -e "$(COURSE_VENV)/folder" ]; then \
			echo '$(COURSE_VENV) holds something else, which would be lost. Name a new folder: COURSE_VENV=…' >&2; \
			exit 1; \
		fi; \
		"$(PYTHON)" -m venv --clear "$(COURSE_VENV)" && pwd > "$(COURSE_VENV)/folder" || { \
			echo '$(COURSE_VENV) could not be made here. If this folder may only be read, name another place:' \
				'COURSE_VENV=$$HOME/course-env make lab' >&2; exit 1; }; \
	fi; \
	echo 'Installing the course into $(COURSE_VENV) (once; a few minutes) ...'; \
	"$(RUN)" -m pip install --quiet -c constraints.txt -e '.[test,bench,book,hub]' && stamp > "$(COURSE_VENV)/installed"
