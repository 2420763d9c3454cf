# The commands of the book. They live in `python -m bookkit`; this file installs what they need and forwards.
# Without make (Windows): set PYTHONPATH=code, run `python -m bookkit env test`, then with the Python that it
# prints, `python -m bookkit COMMAND`.

PYTHON ?= python3
SETUP = PYTHONPATH=code $(PYTHON) -m bookkit env
BOOK = .venv/book/bin/python -m bookkit
TEST = .venv/test/bin/python -m bookkit
NEWEST = .venv/newest/bin/python -m bookkit
LAB = .venv/lab/bin/python -m bookkit

.PHONY: help book serve test execute foreign newest mutate bench lab lock set-repository clean

help:
	@echo "make book      build the site (installs what it needs; no torch), print where it is"
	@echo "make test      everything CI checks: style, unit tests, doctests, every notebook, the site"
	@echo "make serve     build the site, serve it, rebuild on every change"
	@echo "make lab       JupyterLab on the notebooks"
	@echo "make execute   execute stale notebooks in parallel"
	@echo "make foreign   every notebook as another processor would run it: only bounds count"
	@echo "make newest    every notebook with the newest torch: only bounds count"
	@echo "make mutate    see each check notice the wrong changes made for it, where something changed"
	@echo "make bench     measure building and executing"
	@echo "make set-repository URL=...  write the repository's address everywhere, once, by its owner"
	@echo "make clean     remove what was built"
	@echo "make help      this list"

book:
	@$(SETUP) book >/dev/null
	@$(BOOK) book

serve:
	@$(SETUP) book >/dev/null
	@$(BOOK) serve

test:
	@$(SETUP) test >/dev/null
	@$(TEST) test

execute:
	@$(SETUP) test >/dev/null
	@$(TEST) execute

foreign:
	@$(SETUP) test >/dev/null
	@$(TEST) foreign

newest:
	@$(SETUP) newest >/dev/null
	@$(NEWEST) foreign

mutate:
	@$(SETUP) test >/dev/null
	@$(TEST) mutate

bench:
	@$(SETUP) test >/dev/null
	@$(TEST) bench

lab:
	@$(SETUP) lab >/dev/null
	@$(LAB) lab

lock:
	@PYTHONPATH=code $(PYTHON) -m bookkit lock

set-repository:
	@PYTHONPATH=code $(PYTHON) -m bookkit set-repository $(if $(URL),'$(URL)') $(if $(REF),--ref '$(REF)')

clean:
	@PYTHONPATH=code $(PYTHON) -m bookkit clean
