"""Methods from outside the package: files, modules and entry points."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hypopose import plugins
from hypopose.errors import OptionError
from hypopose.plugins import available, look_up, plugin_of

OWN = {"mean": 1}

CODE = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass(frozen=True)
class Jitter:
    size: int = 1

    class Inner:
        pass
"""

Publish = Callable[..., None]


@pytest.fixture
def jitter(tmp_path: Path) -> Path:
    path = tmp_path / "jitter.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Install distributions that register entry points, as a package manager would."""

    def install(distribution: str, group: str, **points: str) -> None:
        folder = tmp_path / f"{distribution}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\n"
                                         "Version: 1.2\n")  # fmt: skip
        lines = "\n".join(f"{name} = {value}" for name, value in points.items())
        (folder / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_the_rooms_own_names_come_first(publish: Publish) -> None:
    publish("rival", "hypopose.aggregators", mean="nowhere:mean")
    assert look_up("aggregators", "mean", OWN) == 1


def test_a_file(jitter: Path) -> None:
    found = look_up("samplers", f"{jitter}:Jitter", OWN)
    assert found(size=3).size == 3  # type: ignore[operator]
    plugin = plugin_of(found)
    assert plugin is not None
    assert plugin.name == "jitter.py:Jitter"
    assert plugin.origin.startswith("sha256 ")


def test_a_file_is_run_once_and_again_when_it_was_edited(jitter: Path) -> None:
    first = look_up("samplers", f"{jitter}:Jitter", OWN)
    assert look_up("samplers", f"{jitter}:Jitter", OWN) is first
    jitter.write_text(CODE.replace("size: int = 1", "size: int = 7"))
    second = look_up("samplers", f"{jitter}:Jitter", OWN)
    assert second().size == 7  # type: ignore[operator]
    a, b = plugin_of(first), plugin_of(second)
    assert a is not None
    assert b is not None
    assert a.origin != b.origin


def test_an_attribute_of_an_attribute(jitter: Path) -> None:
    found = look_up("samplers", f"{jitter}:Jitter.Inner", OWN)
    assert found.__qualname__ == "Jitter.Inner"  # type: ignore[attr-defined]


def test_a_module(jitter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(jitter.parent)
    monkeypatch.delitem(sys.modules, "jitter", raising=False)
    found = look_up("samplers", "jitter:Jitter", OWN)
    assert found is sys.modules["jitter"].Jitter
    plugin = plugin_of(found)
    assert plugin is not None
    assert plugin.name == "jitter:Jitter"
    monkeypatch.delitem(sys.modules, "jitter")


def test_an_entry_point(publish: Publish, jitter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("hypo-jitter", "hypopose.samplers", jitter="jitter:Jitter")
    found = look_up("samplers", "jitter", OWN)
    plugin = plugin_of(found)
    assert plugin is not None
    assert (plugin.name, plugin.origin) == ("jitter", "hypo-jitter 1.2")
    assert available("samplers", OWN) == ("mean", "jitter")
    assert available("networks", OWN) == ("mean",)
    monkeypatch.delitem(sys.modules, "jitter")


def test_two_packages_of_one_name(publish: Publish) -> None:
    publish("one", "hypopose.samplers", jitter="one:Jitter")
    publish("two", "hypopose.samplers", jitter="two:Jitter")
    with pytest.raises(OptionError, match="Two packages register the sampler 'jitter'"):
        look_up("samplers", "jitter", OWN)


def test_an_entry_point_that_cannot_be_imported(publish: Publish) -> None:
    publish("broken", "hypopose.metrics", broken="no_such_module:Thing")
    with pytest.raises(OptionError, match=r"'broken'.*cannot be imported: ModuleNotFoundError"):
        look_up("metrics", "broken", OWN)


def test_what_was_not_looked_up_is_no_plugin() -> None:
    assert plugin_of(look_up("aggregators", "mean", OWN)) is None


def test_names_from_data_run_no_code(jitter: Path) -> None:
    with pytest.raises(OptionError, match="There is no sampler"):
        look_up("samplers", f"{jitter}:Jitter", OWN, code=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dance", "There is no sampler 'dance'; choose one of mean"),
        (":Jitter", "is not package.module:Name"),
        ("jitter.py:", "is not package.module:Name"),
        ("no_such_module:Thing", "'no_such_module' cannot be imported"),
        ("nowhere/jitter.py:Jitter", "no such file"),
        ("json:dumbs", "did you mean 'dumps'"),
    ],
)
def test_errors_say_what_to_write(name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        look_up("samplers", name, OWN)


def test_a_file_that_fails_names_itself(jitter: Path) -> None:
    jitter.write_text("def broken(:\n")
    with pytest.raises(OptionError, match=r"jitter\.py cannot be imported: SyntaxError"):
        look_up("samplers", f"{jitter}:Jitter", OWN)
    jitter.write_text(CODE)
    assert look_up("samplers", f"{jitter}:Jitter", OWN)().size == 1  # type: ignore[operator]


def test_groups_are_named_after_the_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def entry_points(*, group: str) -> importlib.metadata.EntryPoints:
        asked.append(group)
        return importlib.metadata.EntryPoints(())

    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", entry_points)
    for kind in ("samplers", "networks", "readers", "aggregators", "metrics"):
        available(kind, {})  # type: ignore[arg-type]
    assert asked == [f"hypopose.{k}" for k in
                     ("samplers", "networks", "readers", "aggregators", "metrics")]  # fmt: skip
