"""Sphinx configuration: ``make docs`` builds the site from these pages, docstrings and examples.

Pages link to files of the repository as GitHub shows them. :func:`site_links` turns such links into
links within the site; model cards, CONTRIBUTING and CHANGELOG become pages of it.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

os.environ["JAXTYPING_DISABLE"] = "1"  # nothing is checked while the site is built

import hypopose

HERE = Path(__file__).parent
ROOT = HERE.parent
GENERATED = HERE / "_generated"

project = "HypoPose"
author = "HypoPose maintainers"
version = release = hypopose.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "**/*.ipynb", "**/sg_execution_times.rst", "sg_execution_times.rst"]
html_theme = "furo"
html_title = f"HypoPose {version}"
html_show_sourcelink = False
copybutton_prompt_text = "$ "

myst_heading_anchors = 3
suppress_warnings = ["config.cache"]  # the scraper below is a function

napoleon_numpy_docstring = False
napoleon_custom_sections = [("Convention", "notes_style")]
autodoc_member_order = "groupwise"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
python_maximum_signature_line_length = 88

PAGES = {
    "CONTRIBUTING.md": "_generated/contributing",
    "CHANGELOG.md": "_generated/changelog",
    "README.md": "index",
    "examples": "_generated/gallery/index",
} | {
    f"hypopose/weights/{card.parent.name}/README.md": f"_generated/models/{card.parent.name}"
    for card in ROOT.glob("hypopose/weights/*/README.md")
}
"""Files of the repository, and the pages of the site that show them."""


def site_links(text: str, folder: Path) -> str:
    """Turn links from a file in ``folder`` into links within the site; others become text."""

    def link(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or not target or target.startswith("/"):
            return match[0]
        path = (folder / target).resolve()
        if path.is_relative_to(HERE):
            return f"[{label}](/{path.relative_to(HERE)}{anchor})"
        page = PAGES.get(str(path.relative_to(ROOT)))
        if page is None:
            return label
        return f"[{label}](/{page}.md{anchor})" if anchor else f"{{doc}}`{label} </{page}>`"

    text = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#\s]*)(#[^)\s]*)?\)", link, text)
    return text.replace("](docs/images/", "](/images/")


def copy_pages() -> None:
    """Write the pages that show files of the repository."""
    (GENERATED / "models").mkdir(parents=True, exist_ok=True)
    for source, page in PAGES.items():
        path = ROOT / source
        if path.is_file() and page != "index":
            text = site_links(path.read_text(encoding="utf-8"), path.parent)
            (HERE / f"{page}.md").write_text(text, encoding="utf-8")


def exported(module: Path) -> list[str]:
    """``__all__`` of a module, without importing it."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def directive(name: str, value: Any) -> list[str]:
    """The lines that document one name."""
    if isinstance(value, type) and issubclass(value, BaseException):
        return [f".. autoexception:: {name}"]
    if isinstance(value, type):
        return [f".. autoclass:: {name}", "   :members:"]
    if callable(value) and hasattr(value, "__name__"):
        return [f".. autofunction:: {name}"]
    names = ", ".join(f"``{key}``" for key in value) if isinstance(value, dict) else ""
    shown = names or f"``{' '.join(repr(value).split())[:200].strip()}``"
    return [f".. py:data:: {name}", "", f"   {type(value).__name__}: {shown}"]


def write_api_pages() -> None:
    """One page for ``hypopose``, and one for each package that exports names."""
    folder = GENERATED / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seen: dict[int, str] = {}
    inits = [ROOT / "hypopose" / "__init__.py", *sorted(ROOT.glob("hypopose/*/__init__.py"))]
    for init in inits:
        module = ".".join(init.parent.relative_to(ROOT).parts)
        names = exported(init)
        if not names or (module != "hypopose" and module == "hypopose.api"):
            continue
        loaded = importlib.import_module(module)
        lines = [module, "=" * len(module), "", f".. automodule:: {module}", "   :no-members:", ""]
        lines += [f".. currentmodule:: {module}", ""]
        for name in names:
            value = getattr(loaded, name)
            documented = isinstance(value, type) or callable(value)
            if documented and id(value) in seen:
                lines += [f"``{name}`` is :py:obj:`{seen[id(value)]}.{name}`.", ""]
                continue
            seen[id(value)] = module
            lines += [*directive(name, value), ""]
        (folder / f"{module}.rst").write_text("\n".join(lines), encoding="utf-8")


# Examples run on a copy, so that what they write stays out of the checkout.
EXAMPLES = HERE / "_build" / "examples"


def copy_examples() -> None:
    """Copy the examples and their data, with the heading of the gallery."""
    shutil.rmtree(EXAMPLES, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.md", "__pycache__")
    shutil.copytree(ROOT / "examples", EXAMPLES, ignore=ignored)
    heading = "Examples\n========\n\nScripts with cells. Each runs when the site is built.\n"
    (EXAMPLES / "GALLERY_HEADER.rst").write_text(heading, encoding="utf-8")


def enter_examples(gallery_conf: dict[str, Any], name: str) -> None:
    """Let an example write beside its copy."""
    os.chdir(EXAMPLES)


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
    "gallery_dirs": ["_generated/gallery"],
    "filename_pattern": r"\.py$",
    "image_scrapers": (saved_pictures,),
    "reset_modules": ("matplotlib", enter_examples),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "plot_gallery": os.environ.get("HYPOPOSE_RUN_EXAMPLES", "1") == "1",
}

copy_pages()
write_api_pages()
copy_examples()


def setup(app: Any) -> None:
    """Rewrite the links of every page when it is read."""

    def rewrite(app: Any, name: str, source: list[str]) -> None:
        path = Path(app.env.doc2path(name))
        if path.suffix == ".md":
            source[0] = site_links(source[0], path.parent)

    app.connect("source-read", rewrite)
