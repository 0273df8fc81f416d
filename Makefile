# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint install clean

demo: install
	$(BIN)/vjepa-sim eval --agent mpc --checkpoint tiny --task reach,grasp,pick-and-place --goals dense --episodes 3 --seed 0 \
		--out outputs/demo-$$(date +%Y%m%d-%H%M%S)

test: install
	$(BIN)/pytest -n 2

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps franka-sim==1.1.7  # the tests' robot; its pins of numpy and mujoco are too old for us
	touch $@

clean:
	rm -rf $(VENV)
