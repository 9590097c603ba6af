# What CI runs, one step at a time; `.ci/run` does all of it in a fresh environment.
.PHONY: check lint types test shapes onnx slow coverage docs release benchmark figures

SHAPES = --jaxtyping-packages=hypopose,beartype.beartype

check: lint types test

lint:
	ruff check .
	ruff format --check .

types:
	mypy

test:
	pytest -m "not slow and not thorough and not onnx and not benchmark"

# The same tests and the thorough ones, while every annotated shape and type is checked as the code
# runs.
shapes:
	pytest -n auto $(SHAPES) -m "not slow and not onnx and not benchmark"

onnx:
	pytest -m "onnx and not slow"

slow:
	pytest -n auto $(SHAPES) -m "slow and not benchmark"

coverage:
	pytest -m "not slow and not benchmark" --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

# Needs the extra [docs]. Warnings are errors; the site is in docs/_build/html.
docs:
	sphinx-build -W --keep-going --quiet -b html docs docs/_build/html

# Needs the extra [release]. Builds, checks the metadata and the contents, and runs the README's
# example with the wheel in a fresh environment. Nothing is uploaded.
release:
	rm -rf dist
	python -m build
	twine check --strict dist/*
	python .ci/check_distribution.py dist
	.ci/try_wheel dist

# The figures of docs/development/code-figures.md, and the drawing of docs/architecture.md.
figures:
	python benchmarks/code_figures.py hypopose
	python benchmarks/draw_rooms.py hypopose docs/images/rooms.svg

benchmark:
	python benchmarks/sample.py
