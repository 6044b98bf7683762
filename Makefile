# Everything runs in a virtual environment of its own, .venv: Debian's and pip's Pythons refuse installs outside one.
# A library with sanitizers has a second one, because nothing but its tests can load it.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
C_FILES := $(shell find csrc src -name '*.[ch]')
STUBS := $(patsubst src/simdrop/_core/%.pyi,simdrop._core.%,$(wildcard src/simdrop/_core/*.pyi))
SOURCES := pyproject.toml CMakeLists.txt $(shell find csrc src -type f -not -name '*.pyc' 2>/dev/null)

.PHONY: train test test-adapters test-cross test-exhaustive sanitize run-sanitized check-all bench docs linkcheck lint format clean
.DELETE_ON_ERROR:

train: $(VENV)/.installed ## train a net on the bundled digits, without and with dropout
	$(VENV)/bin/simdrop train $(ARGS)

test: $(VENV)/.installed $(VENV)/.test ## run all tests, in up to four processes
	$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 $(ARGS)

test-adapters: $(VENV)/.installed $(VENV)/.test $(VENV)/.adapters $(VENV)/.jax ## run the tests of adapters, with their frameworks (1 GB)
	$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 tests/with_* tests/test_one_mask.py $(ARGS)

test-cross: $(VENV)/.installed $(VENV)/.test ## run the C library on ARM and on a big-endian machine, emulated
	@$(VENV)/bin/python tests/cross/machines.py
	$(VENV)/bin/python -m pytest tests/cross -m "not exhaustive" $(ARGS)

test-exhaustive: $(VENV)/.installed $(VENV)/.test ## activations for all 2^32 floats, a billion normals: half an hour
	$(VENV)/bin/python -m pytest tests/slow -m exhaustive $(ARGS)

sanitize: ## run the tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer (GCC's)
	$(MAKE) run-sanitized VENV=.venv-sanitize BUILD="$(addprefix --config-settings=,\
		cmake.define.SIMDROP_SANITIZE=ON cmake.build-type=Debug build-dir=build/sanitize)"

run-sanitized: $(VENV)/.installed $(VENV)/.test
	$(VENV)/bin/python tests/sanitized.py $(ARGS)

check-all: test-exhaustive sanitize ## run what is too slow for `make test`; test-cross where its compilers and QEMU are installed
	@if $(VENV)/bin/python tests/cross/machines.py; then $(MAKE) test-cross; else echo "left out: make test-cross"; fi

bench: $(VENV)/.installed $(VENV)/.bench ## measure, and write bench/results/
	$(VENV)/bin/python -m bench $(ARGS)

SPHINX = $(VENV)/bin/python -m sphinx --fail-on-warning --keep-going --jobs auto --doctree-dir build/docs/doctrees

docs: $(VENV)/.installed $(VENV)/.docs ## build the site in build/docs/html; any warning is an error
	$(SPHINX) --quiet --builder html $(ARGS) docs build/docs/html

linkcheck: $(VENV)/.installed $(VENV)/.docs ## try the site's links to other sites, which needs a network
	$(SPHINX) --builder linkcheck $(ARGS) docs build/docs/linkcheck

lint: $(VENV)/.installed $(VENV)/.lint
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/clang-format --dry-run --Werror $(C_FILES) examples/embed/*.c examples/embed/*.cpp tests/*.c tests/cross/*.c
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy tests/test_types.py
	$(VENV)/bin/python .ci/check_types.py
	$(VENV)/bin/stubtest --concise --mypy-config-file .ci/stubtest.ini --allowlist .ci/stubs-allowed.txt \
		--ignore-disjoint-bases --ignore-positional-only --ignore-unused-allowlist $(STUBS)

format: $(VENV)/.lint
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format
	$(VENV)/bin/clang-format -i $(C_FILES) examples/embed/*.c examples/embed/*.cpp tests/*.c tests/cross/*.c

clean:
	rm -rf build $(VENV) .venv-sanitize docs/gallery docs/reference/generated docs/benchmarks/results.png

$(VENV)/.made:
	@$(PYTHON) .ci/check_python.py
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip
	touch $@

$(VENV)/.installed: $(VENV)/.made $(SOURCES)
	@echo "Installing simdrop in $(VENV): its C library and extensions are compiled, which takes a minute or two."
	$(PIP) install --quiet $(BUILD) '.[train]'
	touch $@

# The extension of simdrop.jax, for what is installed: `SIMDROP_JAX=1 pip install .` builds both.
PACKAGE = $(shell $(VENV)/bin/python -c 'import simdrop; print(simdrop.__path__[0])')
$(VENV)/.jax: $(VENV)/.installed $(VENV)/.test $(VENV)/.adapters
	$(VENV)/bin/cmake -S src/simdrop/jax -B build/jax -DCMAKE_BUILD_TYPE=Release -Dsimdrop_ROOT=$(PACKAGE) \
		-DPython_EXECUTABLE=$(abspath $(VENV)/bin/python) --log-level=WARNING
	$(VENV)/bin/cmake --build build/jax
	$(VENV)/bin/cmake --install build/jax --prefix $(PACKAGE)/..
	touch $@

$(VENV)/.test $(VENV)/.adapters $(VENV)/.bench $(VENV)/.docs $(VENV)/.lint: $(VENV)/.%: $(VENV)/.made pyproject.toml
	$(PIP) install --quiet --group $*
	touch $@
