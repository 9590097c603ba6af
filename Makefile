# What CI runs, one step at a time; `.ci/run` does all of it in a fresh environment.
.PHONY: check lint types test coverage slow benchmark

check: lint types test

lint:
	ruff check .
	ruff format --check .

types:
	mypy

test:
	pytest -m "not slow and not benchmark"

coverage:
	pytest -m "not slow and not benchmark" --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

slow:
	pytest -m slow

benchmark:
	python benchmarks/sample.py
