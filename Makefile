# make demo   makes a small corpus, trains, verifies and exports, ends in a table
# make demo-av  with faces: audio-visual DLG-LC beside that of speech
# make test   runs the linter and all tests
# make lint   only the linter
# make soak   kills runs at random moments and compares: about a quarter hour
# make bench  speed of a DINO step, of pitch and tempo, of bookkeeping, of scoring
# Both demo and test first install pinned versions into .venv, once.

PYTHON ?= python3
VENV := .venv
RUN := $(CURDIR)/$(VENV)/bin/python
RESULTS ?= $(CURDIR)/results/mini

.PHONY: demo demo-av test lint soak bench clean

$(VENV)/installed: setup.py constraints.txt
	@echo "== Installing pinned versions into $(VENV): about two minutes and 6 GB, once"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[demo,tensorboard,test]"
	@touch $@

demo: $(VENV)/installed
	@echo "== Chain on a synthetic corpus into $(RESULTS); run again to go on where it stopped"
	cd recipes/VoxCeleb/ssrl && $(RUN) pipeline.py chains/mini.yaml --output_folder=$(RESULTS) --device=cpu

demo-av: $(VENV)/installed
	@echo "== Chain on synthetic voices with drawn faces into $(RESULTS)_audio_visual"
	cd recipes/VoxCeleb/ssrl && $(RUN) pipeline.py chains/mini_audio_visual.yaml --output_folder=$(RESULTS)_audio_visual --device=cpu

test: lint
	@echo "== Tests"
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses=auto --maxprocesses=4

lint: $(VENV)/installed
	@echo "== Linter"
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

soak: $(VENV)/installed
	@echo "== Kills at random moments, inside epochs, clustering and checkpoints"
	$(RUN) tests/soak.py --moments=20

bench: $(VENV)/installed
	$(RUN) benchmarks/dino_step.py --batch_size=4
	$(RUN) benchmarks/dino_step.py --batch_size=8
	$(RUN) benchmarks/speed_perturb.py
	$(RUN) benchmarks/bookkeeping.py
	$(RUN) benchmarks/scoring.py

clean:
	rm -rf $(VENV) results .pytest_cache .ruff_cache
