# make demo: set up and segment the bundled phantom study.   make test: set up and pass every check.
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13; do \
  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$p" && break; done || echo python3)
OUT ?= demo-output
BIN := .venv/bin
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)",/\1/p' pyproject.toml)
# Used only on Linux without an NVIDIA driver, where the registry's default torch brings gigabytes of CUDA along.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: env demo test lint weights clean
env: .venv/.installed

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed, found {sys.version.split()[0]}. Say: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	@if [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1; then \
	  echo "No NVIDIA driver: installing the CPU build of $(TORCH)"; \
	  $(BIN)/pip install --quiet "$(TORCH)+cpu" 2>/dev/null \
	  || $(BIN)/pip install --quiet --retries 0 --timeout 15 "$(TORCH)+cpu" --extra-index-url $(TORCH_CPU_INDEX) 2>/dev/null \
	  || $(BIN)/pip install --quiet "$(TORCH)"; \
	else $(BIN)/pip install --quiet "$(TORCH)"; fi
	$(BIN)/pip install --quiet --editable '.[dev,mrml,fast]'
	touch $@

demo: env
	$(BIN)/seganypet demo --out $(OUT)

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

# Reruns what made the bundled weights; DATA is a folder of CASE/pet.nii.gz and CASE/gtv.nii.gz. Four stages: shapes,
# whole bodies (twice), real cases; each resumes where it was stopped. For one fold of the cross-validation:
# make weights DATA=dir FOLD=0/5
PRETRAIN := $(BIN)/python -m SegAnyPETLib.pretrain
STAGE1 := --steps 500 --seed 1 --body-share 0
STAGE2 := --steps 2100 --seed 11 --warm-up-steps 50
STAGE3 := --steps 2000 --seed 12 --learning-rate 1.5e-3 --warm-up-steps 50 --validate-every 200
STAGE4 := --steps 420 --seed 2 --learning-rate 1e-3 --warm-up-steps 30 --real-share 0.5 --ema-decay 0.98 \
  --max-clicks 8 --first-click-weight 1.0 --bodies 8 --validate-every 210
FOLD ?=
weights: env
	@test -n "$(DATA)" || { echo "Say where the real cases are: make weights DATA=dir"; exit 2; }
	$(PRETRAIN) --out training/shapes $(STAGE1)
	$(PRETRAIN) --out training/bodies --init training/shapes/lite.safetensors $(STAGE2)
	$(PRETRAIN) --out training/masses --init training/bodies/lite.safetensors $(STAGE3)
	$(PRETRAIN) --out training/$(if $(FOLD),fold_$(firstword $(subst /, ,$(FOLD))),all) \
	  --init training/masses/lite.safetensors --data $(DATA) $(if $(FOLD),--exclude-fold $(FOLD)) $(STAGE4)

clean:
	rm -rf .venv demo-output
