"""A map over a cluster: everything comes back once, whatever becomes of workers."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import hypopose.distributed.cluster as room
from hypopose.distributed.cluster import Lost, check_where, cluster_executor, map_on_cluster
from hypopose.errors import BackendError, OptionError

cloudpickle = pytest.importorskip("cloudpickle", reason="needs pip install 'hypopose[cluster]'")
pytest.importorskip("distributed", reason="needs pip install 'hypopose[cluster]'")
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with room.open_cluster("local", 2) as client:
        yield client


def squares(items: tuple[int, ...]) -> list[int]:
    return [x * x for x in items]


def deadly(folder: Path, deadly: int, times: int, items: tuple[int, ...]) -> list[int]:
    """Squares; the process ends when it comes to an item, so many times."""
    for x in items:
        if x == deadly and len(list(folder.iterdir())) < times:
            (folder / str(time.monotonic_ns())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return squares(items)


def test_every_item_comes_back_once(client: Any) -> None:
    found = list(map_on_cluster(client, squares, range(50)))
    assert sorted((x, y) for x, y, _ in found) == [(x, x * x) for x in range(50)]
    assert {attempt for *_, attempt in found} == {1}
    assert not list(map_on_cluster(client, squares, []))


def test_work_of_a_killed_worker_is_done_again(client: Any, tmp_path: Path) -> None:
    found = list(map_on_cluster(client, partial(deadly, tmp_path, 5, 1), range(9), batch=3))
    assert sorted((x, y) for x, y, _ in found) == [(x, x * x) for x in range(9)]
    assert len(list(tmp_path.iterdir())) == 1


def test_an_item_that_always_kills_is_lost_alone(client: Any, tmp_path: Path) -> None:
    found = list(map_on_cluster(client, partial(deadly, tmp_path, 5, 99), range(9), batch=3))
    by_item = {x: y for x, y, _ in found}
    assert len(found) == len(by_item) == 9
    assert by_item.pop(5) == Lost(attempts=2)
    assert by_item == {x: x * x for x in (0, 1, 2, 3, 4, 6, 7, 8)}
    assert len(list(tmp_path.iterdir())) == 3  # once with others, twice alone


def test_an_error_of_the_function_is_raised(client: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_on_cluster(client, lambda items: [1 // 0 for _ in items], [1]))


def test_a_task_that_hangs_is_repeated_elsewhere(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "STRAGGLER_S", 0.5)
    monkeypatch.setattr(room, "POLL_S", 0.1)

    def slow_once(folder: Path, items: tuple[int, ...]) -> list[int]:
        if 3 in items and not list(folder.iterdir()):
            (folder / "seen").touch()
            time.sleep(20)
        return [x * x for x in items]

    start = time.monotonic()
    function = partial(slow_once, tmp_path)
    found = [(x, y) for x, y, _ in map_on_cluster(client, function, range(8), batch=1)]
    assert sorted(found) == [(x, x * x) for x in range(8)]
    assert time.monotonic() - start < 18


def test_a_scheduler_that_goes_away_ends_the_run_in_a_line() -> None:
    def slow(items: tuple[int, ...]) -> list[int]:
        time.sleep(0.3)
        return list(items)

    with room.open_cluster("local", 1) as client:
        outcomes = map_on_cluster(client, slow, range(100), batch=1)
        next(outcomes)
        client.cluster.close()
        with pytest.raises(BackendError, match="went away"):
            list(outcomes)


def test_an_executor_of_a_cluster_or_none() -> None:
    with cluster_executor(None) as none:
        assert none is None


def test_clusters_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="takes local, slurm"):
        check_where("my-cluster")
    monkeypatch.setattr(room, "WAIT_FOR_WORKERS_S", 0.5)
    with (
        pytest.raises(BackendError, match="No Dask scheduler answers at tcp"),
        room.open_cluster("tcp://127.0.0.1:1"),
    ):
        pass


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BackendError, match=r"pip install 'hypopose\[cluster\]'"):
        room._require("distributed")


def test_a_worker_that_dies_while_it_is_asked_has_no_say() -> None:
    class Dying:
        def wait_for_workers(self, n: int, timeout: float) -> None: ...

        def run(self, function: object, on_error: str = "raise") -> dict[str, str]:
            if on_error == "raise":
                raise OSError("Stream is closed")
            return versions

    versions = {"tcp://a": room.version_here()}
    room._check_workers(Dying(), "local")
    versions["tcp://b"] = "0.0.1"
    with pytest.raises(BackendError, match=r"have HypoPose 0\.0\.1"):
        room._check_workers(Dying(), "local")
