# The baselines of docs/baselines.md: their training data, how each is trained, and the tables of `make arena`.
ARENA := outputs/arena
BASELINE := $(BIN)/vjepa-sim baseline

# One set of recordings for all: the kinds that the bundled model learned from, with the same seeds, and a round in which that model
# acted and the expert corrected what it left. About 40 minutes on two cores.
RECORDED := wide grasping all reaching mended
RECORDS := --data sim:$(ARENA)/wide@0.25 --data sim:$(ARENA)/grasping@0.2 --data sim:$(ARENA)/all@0.1 \
	--data sim:$(ARENA)/reaching@0.1 --data sim:$(ARENA)/mended@0.35

.PHONY: arena-data arena-models
arena-data: $(RECORDED:%=$(ARENA)/%.done)

$(ARENA)/wide.done: RECORDING = --randomize 1 --episodes 2000 --seed 20 --steps 30 --mix expert=0.1,noisy-expert=0.75,explore=0.15
$(ARENA)/grasping.done: RECORDING = --randomize 0.6 --episodes 1600 --seed 11 --steps 30 --task grasp,pick-and-place \
	--mix expert=0.1,noisy-expert=0.75,explore=0.15
$(ARENA)/all.done: RECORDING = --randomize 0.6 --episodes 1600 --seed 10 --steps 30 \
	--mix expert=0.1,noisy-expert=0.7,explore=0.15,random=0.05
$(ARENA)/reaching.done: RECORDING = --randomize 0.6 --episodes 2000 --seed 12 --steps 20 --task reach,reach-with-object \
	--mix expert=0.1,noisy-expert=0.75,explore=0.15
$(ARENA)/mended.done: RECORDING = --randomize 1 --episodes 1300 --steps 44 --seed 40 --checkpoint tiny \
	--task grasp,pick-and-place,reach,grasp,pick-and-place,reach-with-object --mix planner=0.85,noisy-expert=0.15
# For action scores; held out from all training.
$(ARENA)/recordings.done: RECORDING = --randomize 0 --episodes 96 --seed 50 --steps 30 --mix expert=0.5,noisy-expert=0.5
$(patsubst %,$(ARENA)/%.done,$(RECORDED) recordings): $(ARENA)/%.done: | install
	$(COLLECT) --out $(ARENA)/$* $(RECORDING)
	touch $@

# Each is one command and less than two hours on two cores.
LEARNED := bc dino-wm lewm inverse video
arena-models: $(LEARNED:%=$(ARENA)/%-packed.done) $(ARENA)/tiny-2h-packed.done

$(LEARNED:%=$(ARENA)/%.done): $(ARENA)/%.done: $(RECORDED:%=$(ARENA)/%.done)
	$(BASELINE) $* $(RECORDS) --out $(ARENA)/$*
	touch $@
# Ours from the baselines' data: the same recordings, and less than two hours for both stages.
$(ARENA)/tiny-2h.done: $(RECORDED:%=$(ARENA)/%.done)
	$(BIN)/vjepa-sim pretrain $(RECORDS) --steps 3000 --out $(ARENA)/tiny-2h-encoder
	$(BIN)/vjepa-sim train --encoder $(ARENA)/tiny-2h-encoder $(RECORDS) --steps 1400 --out $(ARENA)/tiny-2h
	touch $@
$(ARENA)/%-packed.done: $(ARENA)/%.done
	rm -rf $(ARENA)/packed/$*
	$(BIN)/vjepa-sim convert weights $(ARENA)/$* --half --out $(ARENA)/packed/$*
	$(BIN)/vjepa-sim report $(ARENA)/$*
	touch $@

# --- the tables, of the bundled checkpoints ---------------------------------------------------------------------------
# The bundled default, the same model from the common recordings only, their policies alone, and their world models
# searched without a policy, and by features alone. The baselines' world models are searched in these two ways too, by readings
# alone where features would outweigh them, and video generation as in the paper.
ROWS := tiny tiny-2h tiny-policy tiny-2h-policy tiny-unguided tiny-latent tiny-2h-latent bc lewm lewm-unguided lewm-read \
	dino-wm dino-wm-unguided dino-wm-read video video-unguided video-generated inverse oracle
SHIFTED := tiny tiny-2h bc lewm-unguided inverse  # quick enough to be evaluated under every shift
SHIFTS := camera light objects distractors azimuth
# Starts on which no choice was made.
FRESH := fresh/tiny-2h fresh/bc
SCORED := $(ROWS:%=nominal/%) $(foreach shift,$(SHIFTS),$(SHIFTED:%=$(shift)/%)) $(FRESH)

# World models, searched alike: does their action score predict their success?
WORLDS := tiny-latent tiny-2h-latent lewm dino-wm video

.PHONY: arena
arena: $(SCORED:%=$(ARENA)/%.done) $(WORLDS:%=$(ARENA)/score/%.done)
	$(call TABLE,nominal,$(ROWS:%=nominal/%))
	$(call TABLE,shifted,$(foreach look,nominal $(SHIFTS),$(SHIFTED:%=$(look)/%)))
	$(call TABLE,fresh,$(FRESH))
	$(call TABLE,scores,$(WORLDS:%=nominal/%),--scores $(WORLDS:%=$(ARENA)/score/%))
	$(BIN)/vjepa-sim bench agents --evaluations $(ROWS:%=$(ARENA)/nominal/%) --threads 1 --json $(ARENA)/seconds.json

TABLE = rm -rf $(ARENA)/table-$(1) && $(BIN)/vjepa-sim compare $(2:%=$(ARENA)/%) $(3) --out $(ARENA)/table-$(1)

$(ARENA)/%/tiny-policy.done: AGENT = --planner policy
$(ARENA)/%/tiny-unguided.done: AGENT = --planner unguided
$(ARENA)/%/tiny-latent.done: AGENT = --planner latent
$(ARENA)/%/tiny-2h.done: AGENT = --checkpoint tiny-2h
$(ARENA)/%/tiny-2h-policy.done: AGENT = --checkpoint tiny-2h --planner policy
$(ARENA)/%/tiny-2h-latent.done: AGENT = --checkpoint tiny-2h --planner latent
$(ARENA)/%/bc.done: AGENT = --agent bc
$(ARENA)/%/lewm.done: AGENT = --checkpoint lewm --planner latent
$(ARENA)/%/lewm-unguided.done: AGENT = --checkpoint lewm
$(ARENA)/%/lewm-read.done: AGENT = --checkpoint lewm --planner no-features
$(ARENA)/%/dino-wm.done: AGENT = --checkpoint dino-wm --planner latent
$(ARENA)/%/dino-wm-unguided.done: AGENT = --checkpoint dino-wm
$(ARENA)/%/dino-wm-read.done: AGENT = --checkpoint dino-wm --planner no-features
$(ARENA)/%/video.done: AGENT = --checkpoint video --planner latent
$(ARENA)/%/video-unguided.done: AGENT = --checkpoint video
$(ARENA)/%/video-generated.done: AGENT = --checkpoint video --planner generated
$(ARENA)/%/inverse.done: AGENT = --checkpoint inverse
$(ARENA)/%/oracle.done: AGENT = --agent oracle --planner unguided

$(ARENA)/camera/%.done: SHIFT = --randomize 1 --vary camera
$(ARENA)/light/%.done: SHIFT = --randomize 1 --vary light
$(ARENA)/objects/%.done: SHIFT = --randomize 1 --vary textures,color,size
$(ARENA)/distractors/%.done: SHIFT = --randomize 1 --vary distractors
$(ARENA)/azimuth/%.done: SHIFT = --azimuth 65  # ten degrees on, where no recording was made

# Fewer episodes for slow agents; the tables give seconds per action on one core.
$(ARENA)/%.done: EPISODES = 100
$(ARENA)/%.done: BASELINES = none
$(ARENA)/%.done: FIRST = 0
$(ARENA)/fresh/%.done: FIRST = 1000
$(ARENA)/nominal/tiny.done: BASELINES = all
$(ARENA)/%/tiny-unguided.done $(ARENA)/%/tiny-latent.done $(ARENA)/%/tiny-2h-latent.done: EPISODES = 20
$(ARENA)/%/dino-wm.done: EPISODES = 20
$(ARENA)/%/dino-wm-unguided.done $(ARENA)/%/dino-wm-read.done: EPISODES = 10
$(ARENA)/%/video.done $(ARENA)/%/video-unguided.done: EPISODES = 10
$(ARENA)/%/video-generated.done: EPISODES = 2
$(ARENA)/%/oracle.done: EPISODES = 5

# A replaced checkpoint is evaluated again: its own row, and those of its other planners.
SEARCHED := -policy -unguided -latent -read -generated
ROWS_OF = $(patsubst %,$(ARENA)/%.done,$(filter %/$(1) $(addprefix %/$(1),$(SEARCHED)),$(SCORED) $(WORLDS:%=score/%)))
$(foreach name,tiny tiny-2h bc lewm dino-wm video inverse,$(eval $(call ROWS_OF,$(name)): \
	vjepa_sim/checkpoints/$(name)/model.safetensors))
$(call ROWS_OF,oracle): vjepa_sim/checkpoints/tiny/model.safetensors

ANEW = $(if $(wildcard $@),rm -rf $(@:.done=))

$(SCORED:%=$(ARENA)/%.done): $(ARENA)/%.done: | install
	$(ANEW)
	$(BIN)/vjepa-sim eval --seed $(FIRST) --episodes $(EPISODES) --baselines $(BASELINES) --threads 1 $(AGENT) $(SHIFT) --out $(ARENA)/$*
	touch $@

$(WORLDS:%=$(ARENA)/score/%.done): $(ARENA)/score/%.done: $(ARENA)/recordings.done | install
	$(ANEW)
	$(BIN)/vjepa-sim score --data sim:$(ARENA)/recordings --clips 96 --threads 1 $(AGENT) --out $(ARENA)/score/$*
	touch $@
