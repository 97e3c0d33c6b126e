# Everything a newcomer needs: `make demo` and `make test` each do their own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test check lint types tests format samples readme bench experiments diagnosis docs screenshots clean

help:
	@echo "make demo     set up, inspect a sample model with a planted defect, print the report"
	@echo "make test     set up, then lint, types and tests"
	@echo "make bench    speed against plain forwards and the usual ways (a table in Markdown)"
	@echo "make experiments [FASHION=folder]  train what docs/why-batch-statistics.md shows (under half an hour)"
	@echo "make diagnosis [FASHION=folder]  plant faults into trained nets and count what is found (docs/diagnosis.md)"
	@echo "make docs     write docs/which-cause.md from the rules; make screenshots takes the README's pictures"
	@echo "make samples  train and write the sample models again"
	@echo "make readme   put the demo's output and the speed table into the README"
	@echo "make format   format the code"

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	@echo '$$ bncheck inspect sample_models/never_updated.torchscript.pt --data sample_models/digits_eval.npz'
	@$(BIN)/bncheck inspect sample_models/never_updated.torchscript.pt --data sample_models/digits_eval.npz; \
	code=$$?; echo; echo "exit code $$code (1: findings, as planted)"; test $$code -eq 1

test: $(STAMP) lint types tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

tests: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile

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

experiments: $(STAMP)
	$(BIN)/python -m benchmarks.experiments $(if $(FASHION),--fashion $(FASHION))

diagnosis: $(STAMP)
	$(BIN)/python -m benchmarks.diagnosis --from-seed 41 $(if $(FASHION),--fashion $(FASHION)) --out docs/diagnosis.md

docs: $(STAMP)
	$(BIN)/python docs/make.py

screenshots: $(STAMP)
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf $(VENV) build dist *.egg-info
