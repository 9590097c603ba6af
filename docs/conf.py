"""Sphinx configuration: ``make docs`` builds the site from these pages, docstrings and examples."""

from __future__ import annotations

import ast
import os
import shutil
from pathlib import Path
from typing import Any

os.environ["JAXTYPING_DISABLE"] = "1"  # signatures show shapes; nothing is checked while drawing

import hypopose

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "HypoPose"
author = "HypoPose maintainers"
version = release = hypopose.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/**/*.ipynb"]
html_theme = "furo"
html_title = f"HypoPose {version}"
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = {"http": None, "https": None}
suppress_warnings = [
    "config.cache",  # the sort key and the scraper below are functions
]

napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Convention", "notes_style"), ("Example", "notes_style")]
autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
autodoc_inherit_docstrings = False


def _names(module: Path) -> list[str]:
    """``__all__`` of a module, without importing it."""
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _write_api_pages() -> list[str]:
    """One page for the verbs and nouns, and one for each room that exports names."""
    folder = HERE / "api" / "_generated"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    packages = [ROOT / "hypopose", *sorted(p.parent for p in ROOT.glob("hypopose/*/__init__.py"))]
    pages = []
    for package in packages:
        names = _names(package / "__init__.py")
        module = ".".join(package.relative_to(ROOT).parts)
        if not names:
            continue
        lines = [module, "=" * len(module), "", f".. automodule:: {module}", ""]
        lines += [f".. currentmodule:: {module}", ""]
        for name in names:
            value = getattr(__import__(module, fromlist=[name]), name)
            lines += [*_directive(name, value), ""]
        (folder / f"{module}.rst").write_text("\n".join(lines))
        pages.append(module)
    return pages


def _directive(name: str, value: Any) -> list[str]:
    if isinstance(value, type) and issubclass(value, BaseException):
        return [f".. autoexception:: {name}"]
    if isinstance(value, type):
        return [f".. autoclass:: {name}", "   :members:"]
    if callable(value) and hasattr(value, "__name__"):
        return [f".. autofunction:: {name}"]
    return [f".. autodata:: {name}", "   :no-value:"]


_write_api_pages()


# Examples run on a copy, so that what they write stays out of the checkout.
EXAMPLES = HERE / "_build" / "examples"
shutil.rmtree(EXAMPLES, ignore_errors=True)
shutil.copytree(ROOT / "examples", EXAMPLES, ignore=shutil.ignore_patterns("*.md", "__pycache__"))
(EXAMPLES / "GALLERY_HEADER.rst").write_text(
    "Examples\n========\n\nScripts with cells; each one runs in the documentation build.\n"
)


def saved_pictures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Show the PNG files that a cell of an example has written."""
    from sphinx_gallery.scrapers import figure_rst

    shown = []
    for picture in sorted(EXAMPLES.rglob("*.png")):
        target = Path(next(block_vars["image_path_iterator"]))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(picture, target)
        shown.append(str(target))
    return figure_rst(shown, gallery_conf["src_dir"]) if shown else ""


sphinx_gallery_conf = {
    "examples_dirs": [str(EXAMPLES)],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "image_scrapers": ("matplotlib", saved_pictures),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "plot_gallery": os.environ.get("HYPOPOSE_DOCS_RUN_EXAMPLES", "1") == "1",
}
