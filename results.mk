# Every table of docs/results.md; `make -j2 results` takes about three hours on two cores. A stopped run continues.
RESULTS := outputs/results
LOOKS := camera light textures color size distractors
AZIMUTHS := 35 45 65 75 85
LEVERS := policy unguided gradient timed uncorrected no-features no-end-effector no-grip no-object no-steps no-proposal

BY_LOOK := $(LOOKS:%=look-%)
BY_CAMERA := $(AZIMUTHS:%=azimuth-%) $(AZIMUTHS:%=turned-%)
BY_PLANNER := $(LEVERS:%=planner-%) planner-reference

RUNS := $(patsubst %,$(RESULTS)/%.done,paper dense dense-unguided $(BY_LOOK) $(BY_CAMERA) $(BY_PLANNER))

.PHONY: results
results: $(RESULTS)/plan.json
	$(call COMPARE,looks,paper $(BY_LOOK))
	$(call COMPARE,cameras,paper $(BY_CAMERA))
	$(call COMPARE,planners,paper $(BY_PLANNER))
	$(call COMPARE,dense-planners,dense dense-unguided)

$(RESULTS)/plan.json: $(RUNS)  # timed when nothing else runs
	$(BIN)/vjepa-sim bench plan --json $@

# A report on all runs of the second argument, each against the first.
COMPARE = rm -rf $(RESULTS)/$(1); $(BIN)/vjepa-sim compare $(2:%=$(RESULTS)/%) --out $(RESULTS)/$(1)

# Expert, random and still use no images: their rows of the paper's goals hold wherever the physics are the same.
# The paper's planner takes 100 times as long as ours, so it has fewer episodes.
EPISODES = 20
BASELINES = none
$(RESULTS)/paper.done $(RESULTS)/dense.done: EPISODES = 100
$(patsubst %,$(RESULTS)/%.done,paper dense look-size look-distractors): BASELINES = all
$(RESULTS)/planner-gradient.done: EPISODES = 10
$(RESULTS)/planner-reference.done: EPISODES = 3

$(RESULTS)/dense.done: OPTIONS = --goals dense --task grasp,pick-and-place
$(RESULTS)/dense-unguided.done: OPTIONS = --goals dense --task grasp,pick-and-place --planner unguided
$(BY_CAMERA:%=$(RESULTS)/%.done): EPISODES = 6
$(RESULTS)/look-%.done: OPTIONS = --randomize 1 --vary $(*:look-%=%)
$(RESULTS)/azimuth-%.done: OPTIONS = --azimuth $(*:azimuth-%=%)
$(RESULTS)/turned-%.done: OPTIONS = --azimuth $(*:turned-%=%) --view $(*:turned-%=$(RESULTS)/view-%)
$(RESULTS)/planner-%.done: OPTIONS = --planner $(*:planner-%=%)

MODEL := vjepa_sim/checkpoints/tiny/model.safetensors
$(RESULTS)/%.done: $(MODEL) | install
	$(BIN)/vjepa-sim eval --seed 0 --episodes $(EPISODES) --baselines $(BASELINES) --threads 1 $(OPTIONS) --out $(RESULTS)/$*
	touch $@

$(AZIMUTHS:%=$(RESULTS)/turned-%.done): $(RESULTS)/turned-%.done: | $(RESULTS)/view-%/view.json
$(RESULTS)/view-%/view.json: | install
	$(BIN)/vjepa-sim calibrate-view --azimuth $* --threads 1 --out $(RESULTS)/view-$*
