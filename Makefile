# The commands of this project. `make` alone lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test bench lint lock clean packages broken-venv

VENV := .venv
IN_VENV := $(VENV)/bin/python
# The first of these that is 3.11 or newer makes the virtual environment; `make PYTHON=/path/to/python3` names another.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
INSTALL := $(IN_VENV) -m pip install --quiet --disable-pip-version-check --require-hashes -r
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header pyproject.toml

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The server ends with make, however make ends: Ctrl-C and SIGTERM reach it, and it asks the kernel to be told of a
# kill -9. For the last it must be make's own child, hence `exec`.
run: export USAGE_DASHBOARD_DIE_WITH_PARENT = 1
run: $(VENV)/.run-installed ## start the dashboard on http://127.0.0.1:8501 (PORT, DATABASE_URL, ...; options: ARGS="--help")
	@exec $(IN_VENV) -m dashboard run $(ARGS)

# Three at once: on two cores browsers, databases and sleeping tests leave a third of the time to another one.
test: $(VENV)/.dev-installed packages ## run all tests, or some: make test ARGS="tests/queries -k period"
	@exec $(IN_VENV) -m pytest -n 3 --dist loadgroup $(ARGS)

bench: $(VENV)/.dev-installed ## run the measurements that the README quotes (ARGS=...)
	@exec $(IN_VENV) -m benchmarks $(ARGS)

lint: $(VENV)/.dev-installed ## check style (ruff) and types (mypy)
	@failed=0; for linter in "ruff check ." "ruff format --check ." mypy; do \
		echo "-- $$linter"; $(IN_VENV) -m $$linter || failed=1; done; exit $$failed

lock: $(VENV)/.dev-installed ## write requirements.txt and requirements-dev.txt anew from pyproject.toml
	$(COMPILE) -o requirements.txt $(ARGS)
	$(COMPILE) --group dev --constraint requirements.txt -o requirements-dev.txt $(ARGS)

clean: ## remove .venv and caches; the data in .data stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/.artifacts
	find . -name __pycache__ -type d -not -path './.data/*' -prune -exec rm -rf {} +

$(VENV)/.made:
	@for python in $(PYTHON); do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; done; \
	[ -n "$$python" ] || { \
		echo "make: this program needs Python 3.11 or newer, and none was found as: $(PYTHON); install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }; \
	echo "Making the virtual environment $(VENV) with $$($$python -V) ..."; \
	$$python -m venv $(VENV) || { rm -rf $(VENV); \
		echo "make: the virtual environment could not be made; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

# A virtual environment whose Python is gone (an upgrade, another machine) is made anew.
ifneq ($(wildcard $(VENV)/.made),)
ifneq ($(shell $(IN_VENV) -c 'print("works")' 2>/dev/null),works)
$(VENV)/.made: broken-venv
broken-venv:
	@echo "The virtual environment $(VENV) does not work any more and is made anew."
	@rm -rf $(VENV)
endif
endif

$(VENV)/.run-installed: $(VENV)/.made requirements.txt
	@echo "Installing what the dashboard needs (requirements.txt); the first time takes a minute ..."
	@$(INSTALL) requirements.txt
	@touch $@

$(VENV)/.dev-installed: $(VENV)/.made requirements-dev.txt
	@echo "Installing what tests and linters need (requirements-dev.txt); the first time takes a minute ..."
	@$(INSTALL) requirements-dev.txt
	@touch $@

# What some tests drive: installed when we may (root on Debian or Ubuntu), named when we may not.
packages:
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=""; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| missing="$$missing chromium"; \
	for program in redis-server pgbouncer; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if command -v dpkg-query >/dev/null; then for font in fonts-dejavu-core fonts-noto-color-emoji; do \
		dpkg-query -W -f '$${Status}' $$font 2>/dev/null | grep -q ' installed$$' || missing="$$missing $$font"; done; fi; \
	hypopg=$$(for one in /usr/share/postgresql/*/extension/hypopg.control; do \
		version=$${one#/usr/share/postgresql/}; version=$${version%%/*}; \
		[ -f "$$one" ] && [ -x "/usr/lib/postgresql/$$version/bin/postgres" ] && echo "$$version"; done); \
	[ -n "$$hypopg" ] || missing="$$missing postgresql-15 postgresql-15-hypopg"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Debian packages that tests drive:$$missing ..."; \
		export DEBIAN_FRONTEND=noninteractive; log=$$(mktemp); \
		{ apt-get update && apt-get install -y --no-install-recommends $$missing; } >$$log 2>&1 \
			&& { rm -f $$log; exit 0; }; \
		tail -n 5 $$log; rm -f $$log; fi; \
	echo "Not installed:$$missing. Tests that drive them are skipped (under CI=true they fail)."
