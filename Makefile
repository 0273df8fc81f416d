# Two commands do all the set-up: `make demo` evaluates the bundled model, `make test` runs the tests.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))
VENV ?= .venv
BIN := $(VENV)/bin
# Build of PyTorch: cpu or cuda. On Linux, PyPI's is CUDA's, gigabytes larger.
TORCH ?= $(if $(shell nvidia-smi --list-gpus 2>/dev/null),cuda,cpu)

# A new environment has no compiled modules: each process would compile PyTorch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast lint docs install clean checkpoint

demo: install
	$(BIN)/vjepa-sim eval --agent mpc --checkpoint tiny --task reach,grasp,pick-and-place --episodes 3 --seed 0 \
		--out outputs/demo-$$(date +%Y%m%d-%H%M%S)

test: install
	$(BIN)/pytest -n 2

test-fast: install
	$(BIN)/pytest -n 2 -m "not slow"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: install
	$(BIN)/sphinx-build --fail-on-warning --keep-going docs outputs/docs
	@echo "Open outputs/docs/index.html"

# How the bundled model is made: about five hours on two cores. A stopped run continues.
# Stage two learns from episodes that the encoder hasn't seen, whose readings are as exact as they will be in use.
# Then, in rounds, a planner acts, the expert corrects what it leaves, and the model's heads learn from that.
MADE := outputs/checkpoint
COLLECT := $(BIN)/vjepa-sim collect
MILD := $(COLLECT) --randomize 0.6
STAGE_TWO := --encoder $(MADE)/encoder --data sim:$(MADE)/all@0.4 --data sim:$(MADE)/grasping@0.35 --data sim:$(MADE)/reaching@0.25
ROUND := $(COLLECT) --randomize 1 --episodes 1300 --steps 44 \
	--task grasp,pick-and-place,reach,grasp,pick-and-place,reach-with-object
HEADS := $(BIN)/vjepa-sim train --heads-only --learning-rate 6e-4

checkpoint: install
	$(MILD) --out $(MADE)/seen --episodes 1661 --seed 4 --steps 30 --mix expert=0.1,noisy-expert=0.65,explore=0.2,random=0.05
	$(MILD) --out $(MADE)/seen-placing --episodes 451 --seed 5 --steps 30 --task pick-and-place \
		--mix expert=0.15,noisy-expert=0.75,explore=0.1
	$(BIN)/vjepa-sim pretrain --out $(MADE)/encoder --data sim:$(MADE)/seen --data sim:$(MADE)/seen-placing@0.3 --steps 3000
	$(MILD) --out $(MADE)/all --episodes 1600 --seed 10 --steps 30 --mix expert=0.1,noisy-expert=0.7,explore=0.15,random=0.05
	$(MILD) --out $(MADE)/grasping --episodes 1600 --seed 11 --steps 30 --task grasp,pick-and-place \
		--mix expert=0.1,noisy-expert=0.75,explore=0.15
	$(MILD) --out $(MADE)/reaching --episodes 2000 --seed 12 --steps 20 --task reach,reach-with-object \
		--mix expert=0.1,noisy-expert=0.75,explore=0.15
	$(BIN)/vjepa-sim train --out $(MADE)/first $(STAGE_TWO) --steps 800
	$(MILD) --out $(MADE)/mended --episodes 1600 --seed 13 --steps 44 --mix planner=1 --checkpoint $(MADE)/first
	$(BIN)/vjepa-sim train --out $(MADE)/whole $(STAGE_TWO) --data sim:$(MADE)/mended@0.6
	$(COLLECT) --randomize 1 --out $(MADE)/wide --episodes 2000 --seed 20 --steps 30 --mix expert=0.1,noisy-expert=0.75,explore=0.15
	$(ROUND) --out $(MADE)/round-1 --seed 30 --mix planner=0.85,noisy-expert=0.15 --checkpoint $(MADE)/whole
	$(HEADS) --out $(MADE)/heads-1 --encoder $(MADE)/whole --start $(MADE)/whole --steps 1000 \
		--data sim:$(MADE)/wide@0.4 --data sim:$(MADE)/round-1@0.6
	$(ROUND) --out $(MADE)/round-2 --seed 31 --mix planner=0.9,noisy-expert=0.1 --checkpoint $(MADE)/heads-1
	$(HEADS) --out $(MADE)/heads-2 --encoder $(MADE)/heads-1 --start $(MADE)/heads-1 --steps 1400 \
		--data sim:$(MADE)/wide@0.25 --data sim:$(MADE)/round-1@0.35 --data sim:$(MADE)/round-2@0.4
	$(COLLECT) --randomize 1 --episodes 900 --steps 44 --object cup --task pick-and-place,grasp,pick-and-place,reach-with-object \
		--out $(MADE)/round-3 --seed 32 --mix planner=0.95,noisy-expert=0.05 --checkpoint $(MADE)/heads-2
	$(HEADS) --out $(MADE)/tiny --encoder $(MADE)/heads-2 --start $(MADE)/heads-2 --steps 1200 \
		--data sim:$(MADE)/wide@0.15 --data sim:$(MADE)/round-1@0.2 --data sim:$(MADE)/round-2@0.3 --data sim:$(MADE)/round-3@0.35
	test -d $(MADE)/packed || $(BIN)/vjepa-sim convert weights $(MADE)/tiny --half --out $(MADE)/packed
	for run in encoder first whole heads-1 heads-2 tiny; do $(BIN)/vjepa-sim report $(MADE)/$$run; done

include results.mk
include arena.mk

install: $(VENV)/installed

CPU_WHEELS := https://download.pytorch.org/whl/cpu
REACHABLE = $(BIN)/python -c "import signal, urllib.request; signal.alarm(5); urllib.request.urlopen('$(CPU_WHEELS)/torch/')"
SIZE_cpu := 1 GB to download, 3 GB on disk
SIZE_cuda := 3.5 GB to download, 8 GB on disk

$(VENV)/installed: pyproject.toml constraints.txt
	@$(if $(SIZE_$(TORCH)),,$(error TORCH=$(TORCH): expected cpu or cuda))
	@echo "Installing into $(VENV), with the $(TORCH) build of PyTorch: about $(SIZE_$(TORCH))."
	$(PYTHON) -m venv $(VENV)
ifeq ($(TORCH),cpu)
	@if $(REACHABLE) 2>/dev/null >/dev/null; then \
		$(BIN)/pip install --no-compile --constraint constraints.txt --index-url $(CPU_WHEELS) --no-deps torch; \
	else echo "$(CPU_WHEELS) can't be reached: PyTorch comes from the usual index, in the build that is there."; fi
endif
	$(BIN)/pip install --no-compile --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --no-compile --no-deps franka-sim==1.1.7  # the tests' robot; its pins of numpy and mujoco are too old for us
	touch $@

clean:
	rm -rf $(VENV)
