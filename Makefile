# Everything a newcomer needs: `make demo` and `make test` each do their own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BASE := $(VENV)/.base

LOWEST := .venv-lowest
QUICK := not slow and not browser and not training
# What `make quick` runs: without those of tests/costly.txt, which `make costs` writes anew.
QUICKEST := $(QUICK) and not costly
# Python files of the package that differ from the last commit (SINCE=main: from that branch), new ones included.
SINCE ?= HEAD
CHANGED = $(shell { git diff --name-only --diff-filter=d $(SINCE) -- 'bncheck/*.py'; \
	git ls-files --others --exclude-standard -- 'bncheck/*.py'; } 2>/dev/null)

# Where it is set, every worker and every process that a test starts compiles the package anew: a third of `make quick`.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test quick quick-tests costs coverage lowest lint types tests fuzz soak mutants format samples readme bench experiments diagnosis docs screenshots clean

help:
	@echo "make demo     set up, inspect a sample model with a planted defect, print the report"
	@echo "make test     set up, then lint, types and tests"
	@echo "make quick    lint, types of changed files, quick tests: what to run while you write (about a minute)"
	@echo "make costs    run the tests and write tests/costly.txt, which make quick leaves out"
	@echo "make coverage the branches that the quick tests reach, and a failure below the floor of pyproject.toml"
	@echo "make lowest   the quick tests with the lowest versions that pyproject.toml promises (TESTS= runs all)"
	@echo "make fuzz [SECONDS=n] [CASES=n] [SEED=n] [JOBS=n]  hostile files of every format against the command line (docs/fuzzing.md)"
	@echo "make soak     500 inspections in one process, alone and several at once: nothing may be left of them"
	@echo "make mutants [ROOMS=core] [SHARE=n] [SEED=n] [AGAIN=1]  faults put into the code, which tests must notice (docs/mutation.md)"
	@echo "make bench    speed against plain forwards and the usual ways (a table in Markdown)"
	@echo "make experiments [FASHION=folder]  train what docs/why-batch-statistics.md shows (under half an hour)"
	@echo "make diagnosis [FASHION=folder]  plant faults into trained nets and count what is found (docs/diagnosis.md)"
	@echo "make docs     write docs/which-cause.md and build the site (every link leads somewhere); make screenshots takes the pictures"
	@echo "make samples  train and write the sample models again"
	@echo "make readme   put the demo's output and the speed table into the README"
	@echo "make format   format the code"

# What the demo needs: bncheck and PyTorch, and not what its developers do. pip says what it fetches.
$(BASE): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[torch]'
	touch $(BASE)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	touch $(BASE) $(STAMP)

demo: $(BASE)
	@echo '$$ bncheck inspect sample_models/never_updated.torchscript.pt --data sample_models/digits_eval.npz'
	@$(BIN)/bncheck inspect sample_models/never_updated.torchscript.pt --data sample_models/digits_eval.npz; \
	code=$$?; echo; echo "exit code $$code (1: findings, as planted)"; test $$code -eq 1

# The types are checked beside the tests, whose two workers leave a processor idle while they start and at the end;
# what mypy says comes last, and a failure of either fails.
test: $(STAMP) lint
	@$(MAKE) --no-print-directory types > $(VENV)/types.log 2>&1 & types=$$!; \
	$(MAKE) --no-print-directory tests; tests=$$?; \
	wait $$types; types=$$?; cat $(VENV)/types.log; test $$tests -eq 0 && test $$types -eq 0

quick: $(STAMP) lint
	$(if $(strip $(CHANGED)),$(BIN)/mypy $(CHANGED))
	$(MAKE) --no-print-directory quick-tests

quick-tests: $(STAMP)
	$(BIN)/pytest -q -n 2 --dist loadfile -m "$(QUICKEST)"

# By what they take of a processor, so that a busy machine writes about the same list.
costs: $(STAMP)
	$(BIN)/pytest -q -n 2 --dist loadfile -m "$(QUICK)" --write-costs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

tests: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile

coverage: $(STAMP)
	$(BIN)/pytest -q -n 2 --dist loadfile -m "$(QUICK)" --cov --cov-report=
	@printf "Percent of the branches that the quick tests reach: "; $(BIN)/coverage report --format=total

# Findings go to out/fuzz, each with the command that repeats it; PAGE=1 writes the table into docs/fuzzing.md.
fuzz: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(CASES),--cases $(CASES)) \
		--seed $(if $(SEED),$(SEED),0) $(if $(JOBS),--jobs $(JOBS)) $(if $(PAGE),--page)

soak: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m fuzz.soak --inspections $(if $(CASES),$(CASES),500)

# PAGE=1 writes the table into docs/mutation.md; BUDGET is seconds of tests for a fault.
mutants: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m mutants $(ROOMS) $(if $(SHARE),--share $(SHARE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(BUDGET),--budget $(BUDGET)) $(if $(FILES),--files $(FILES)) $(if $(AGAIN),--again) $(if $(REST),--rest) $(if $(PAGE),--page)

TESTS ?= -m "$(QUICK)"
lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/pytest -q -n 2 --dist loadfile -o filterwarnings= $(TESTS)

# torch stays as constraints.txt has it: .ci/lowest.py says why.
$(LOWEST)/.installed: pyproject.toml constraints.txt .ci/lowest.py
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python .ci/lowest.py > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet -c $(LOWEST)/lowest.txt -e '.[dev]'
	touch $@

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

samples: $(STAMP)
	$(BIN)/python sample_models/make.py

readme: $(STAMP)
	$(BIN)/python -m benchmarks.readme --bench

bench: $(STAMP)
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.onnx_overhead
	$(BIN)/python -m benchmarks.onnx_memory
	$(BIN)/python -m benchmarks.overhead_by_net

experiments: $(STAMP)
	$(BIN)/python -m benchmarks.experiments $(if $(FASHION),--fashion $(FASHION))

diagnosis: $(STAMP)
	$(BIN)/python -m benchmarks.diagnosis --from-seed 41 $(if $(FASHION),--fashion $(FASHION)) --out docs/diagnosis.md
	$(BIN)/python -m benchmarks.diagnosis.tasks --from-seed 41 --out docs/diagnosis.md
	$(BIN)/python -m benchmarks.diagnosis.tasks.calibration --from-seed 41 --out docs/diagnosis.md
	$(BIN)/python -m benchmarks.diagnosis.static --seed 41 --steps 120 --most 3 --out docs/weights.md --page docs/diagnosis.md
	$(BIN)/python -m benchmarks.diagnosis.static.copies --seed 44 --steps 150 --out docs/diagnosis.md
	$(BIN)/python -m benchmarks.data_free --seed 43 --out docs/guide/repairing.md
	$(BIN)/python -m benchmarks.diagnosis.static.eps --seed 42 --steps 60 --out docs/weights.md
	$(BIN)/python -m benchmarks.diagnosis.training_input $(if $(FASHION),--fashion $(FASHION)) --out docs/training-input.md
	$(BIN)/python -m benchmarks.diagnosis.training_input --from-seed 7 --out docs/training-input.md

docs: $(STAMP)
	$(BIN)/python docs/make.py
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/mkdocs build --strict
	@echo "The site: out/site/index.html"

screenshots: $(STAMP)
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf $(VENV) $(LOWEST) build dist *.egg-info
