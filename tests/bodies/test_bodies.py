"""Laws of every body; the capsules' geometry; files of arrays, good and bad."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hypopose.bodies import (
    PARTS,
    ArrayBody,
    BodyModel,
    BodyParameters,
    CapsuleBody,
    at_rest,
    load_arrays,
    make_body,
)
from hypopose.bodies import anny_body as anny_module
from hypopose.bodies.anny_body import AIMS, AnnyBody
from hypopose.bodies.capsules import CAPSULES
from hypopose.bodies.example import example_arrays
from hypopose.bodies.kinematics import nearest_rotation, rotation_from_vector, skin, swing
from hypopose.datasets import example_pair
from hypopose.errors import BackendError, FormatError, OptionError, ShapeError
from hypopose.optimization.body_fit import BodyFitter

OCTAGON = math.pi / (8 * math.sin(math.pi / 8))
"""Corners of an octagon with the outline of a circle lie so many radii out."""


class FakeAnny:
    """What :class:`AnnyBody` takes of Anny: a few bones, a rest pose that grows with a number."""

    dtype = torch.float64
    phenotype_labels = ("height", "weight")

    def __init__(self) -> None:
        rows = [("root", -1, (0, 0, 1.0))]
        rows += [(f"spine0{5 - i}", i, (0, 0, 1.0 + 0.1 * (i + 1))) for i in range(5)]
        rows += [("neck01", 5, (0, 0, 1.55)), ("neck02", 6, (0, 0, 1.6)), ("head", 7, (0, 0, 1.65))]
        for side, x in (("L", 1), ("R", -1)):
            n = len(rows)
            rows += [(f"upperleg01.{side}", 0, (0.1 * x, 0, 0.95))]
            rows += [(f"lowerleg01.{side}", n, (0.1 * x, 0, 0.5))]
            rows += [(f"foot.{side}", n + 1, (0.1 * x, 0, 0.1))]
            rows += [(f"toe1-1.{side}", n + 2, (0.1 * x, -0.1, 0.02))]
            rows += [(f"upperarm01.{side}", 5, (0.18 * x, 0, 1.48))]
            rows += [(f"lowerarm01.{side}", n + 4, (0.45 * x, 0, 1.48))]
            rows += [(f"wrist.{side}", n + 5, (0.7 * x, 0, 1.48))]
        self.bone_labels = [name for name, _, _ in rows]
        self.bone_parents = [parent for _, parent, _ in rows]
        heads = torch.tensor([place for _, _, place in rows], dtype=self.dtype)
        n = len(rows)
        self.faces = torch.tensor([[3 * i, 3 * i + 1, 3 * i + 2] for i in range(n)])
        owner = torch.arange(n).repeat_interleave(3)
        self.vertex_bone_indices = torch.stack([owner, owner], 1)
        self.vertex_bone_weights = torch.full((3 * n, 2), 0.5, dtype=self.dtype)
        corners = 0.02 * torch.eye(3, dtype=self.dtype)
        self.template_bone_heads = 0.8 * heads
        self.bone_heads_blendshapes = 0.4 * heads[None]
        self.template_vertices = (0.8 * heads[:, None] + corners).flatten(0, 1)
        self.blendshapes = 0.4 * heads.repeat_interleave(3, 0)[None]

    def _get_phenotype_blendshape_coefficients(
        self, phenotypes: Tensor, local: Tensor, face: Tensor
    ) -> Tensor:
        assert local.shape[1] == face.shape[1] == 0
        return phenotypes[:, :1]


def fake_anny() -> AnnyBody:
    model = FakeAnny()
    return AnnyBody(model, lambda v: v[:, 3 * 8] + torch.tensor([0, 0, 0.1], dtype=v.dtype))


MODELS: dict[str, Callable[[], Any]] = {
    "capsules": CapsuleBody,
    "arrays": lambda: ArrayBody(example_arrays()),
    "smplx arrays": lambda: ArrayBody(example_arrays(n_bones=55)),
    "anny": fake_anny,
}


def drawn(body: BodyModel, n: int = 3, bend: float = 0.4, seed: int = 0) -> BodyParameters:
    g = torch.Generator().manual_seed(seed)
    B = len(body.rig.names)
    turns = rotation_from_vector(bend * torch.randn(n, B, 3, generator=g))
    s = body.shapes
    shape = s.mean + 0.5 * s.scale * torch.randn(n, len(s.names), generator=g)
    return BodyParameters(turns, torch.randn(n, 3, generator=g), shape)


@pytest.mark.parametrize("name", MODELS)
def test_law_a_body_says_what_it_is(name: str) -> None:
    body = MODELS[name]()
    assert isinstance(body, BodyModel)
    surface = body(drawn(body))
    V = surface.vertices.shape[-2]
    assert surface.vertices.shape == (3, V, 3)
    assert surface.joints.shape == (3, 17, 3)
    assert torch.equal(surface.faces.unique(), torch.arange(V))
    assert surface.part_labels.shape == (V,)
    assert 0 <= surface.part_labels.min() <= surface.part_labels.max() < len(PARTS)
    parents = body.rig.parents
    assert parents[0] == -1
    assert all(0 <= p < i for i, p in enumerate(parents) if i)
    torch.testing.assert_close(body.rig.joint_weights.sum(1), torch.ones(17))


@pytest.mark.parametrize("name", MODELS)
def test_law_joints_alone_are_those_of_the_surface(name: str) -> None:
    body = MODELS[name]()
    given = drawn(body)
    torch.testing.assert_close(body.joints(given), body(given).joints, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_law_the_first_rotation_turns_everything(name: str) -> None:
    body = MODELS[name]()
    given = drawn(body)
    turn = rotation_from_vector(torch.tensor([0.3, -1.0, 0.5]))
    turns = given.rotations.clone()
    turns[:, 0] = turn @ turns[:, 0]
    moved = BodyParameters(turns, given.origin @ turn.T + 0.7, given.shape)
    before, after = body(given), body(moved)
    torch.testing.assert_close(after.vertices, before.vertices @ turn.T + 0.7, rtol=0, atol=2e-6)
    torch.testing.assert_close(after.joints, before.joints @ turn.T + 0.7, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_law_a_body_at_rest_is_its_rest(name: str) -> None:
    body = MODELS[name]()
    shape = body.shapes.mean[None]
    rest = body.rest(shape)
    turns = torch.eye(3).expand(1, len(body.rig.names), 3, 3)
    surface = body(BodyParameters(turns, rest.bones[:, 0], shape))
    torch.testing.assert_close(surface.joints, rest.joints, rtol=0, atol=1e-6)
    bound = body.bind(shape[0])
    torch.testing.assert_close(surface.vertices[0], bound.vertices, rtol=0, atol=1e-5)
    torch.testing.assert_close(bound.weights.sum(1), torch.ones(len(bound.weights)))


@pytest.mark.parametrize("name", MODELS)
def test_law_pieces_carry_the_surface(name: str) -> None:
    body = MODELS[name]()
    given = drawn(body, n=4, bend=0.2)
    given = BodyParameters(given.rotations, given.origin, given.shape[:1])
    bound = body.bind(given.shape[0])
    turns, shifts = body.pieces(given)
    moved = skin(bound.vertices.expand(4, -1, 3), bound.weights, turns, shifts)
    apart = (moved - body(given).vertices).norm(dim=-1)
    # The capsules at the trunk's sides grow longer and shorter, all else is rigid.
    at_side = torch.zeros(apart.shape[1], dtype=torch.bool)
    if name == "capsules":
        at_side = torch.tensor([{c.start, c.end} in ({1, 14}, {4, 11}) for c in CAPSULES])
        at_side = at_side.repeat_interleave(18)
    assert apart[:, ~at_side].max() < 1e-5
    assert (apart < 0.08).all()


@pytest.mark.parametrize("name", MODELS)
def test_law_left_is_left(name: str) -> None:
    body = MODELS[name]()
    joints = body.rest(body.shapes.mean).joints
    left, up = joints[4] - joints[1], joints[8] - joints[0]
    assert joints[10] @ up > joints[8] @ up > joints[0] @ up > joints[3] @ up
    for a, b in ((11, 14), (12, 15), (13, 16), (5, 2), (6, 3)):
        assert (joints[a] - joints[b]) @ left > 0


def test_one_origin_a_body() -> None:
    with pytest.raises(ShapeError, match="one origin a body"):
        BodyParameters(torch.eye(3).expand(2, 17, 3, 3), torch.zeros(3, 3), torch.zeros(11))


# Capsules -----------------------------------------------------------------------------------------


def test_capsules_lie_around_their_bones_and_look_outwards() -> None:
    body = CapsuleBody()
    _, truth = example_pair(6)
    surface = body.around(truth.joints)
    corners = surface.vertices[:, body.faces]
    normal = torch.linalg.cross(
        corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]
    )
    n_faces = len(body.faces) // len(CAPSULES)
    for i, capsule in enumerate(CAPSULES):
        rows = slice(i * n_faces, (i + 1) * n_faces)
        a, b = truth.joints[:, capsule.start], truth.joints[:, capsule.end]
        along = torch.nn.functional.normalize(b - a, dim=-1)
        center = corners[:, rows].mean(2)
        share = ((center - a[:, None]) * along[:, None]).sum(-1)
        length = (b - a).norm(dim=-1)[:, None] + capsule.reach
        axis = a[:, None] + share.clamp(min=0).minimum(length)[..., None] * along[:, None]
        assert ((center - axis) * normal[:, rows]).sum(-1).min() > 0, capsule
        off = (surface.vertices[:, 18 * i + 1 : 18 * i + 9] - a[:, None]).norm(dim=-1)
        torch.testing.assert_close(
            off, torch.full_like(off, capsule.radius_start * OCTAGON), rtol=1e-4, atol=0
        )


def test_capsules_follow_joints_smoothly_and_know_girth() -> None:
    body = CapsuleBody()
    joints = example_pair(1)[1].joints.double()
    girth = torch.tensor([1.3], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x, g: body.around(x, g).vertices[:, ::9],
        (joints.requires_grad_(), girth.requires_grad_()),
    )
    thin, wide = body.around(joints), body.around(joints, 2.0)
    spread = [(s.vertices - s.vertices.mean(-2, keepdim=True)).norm(dim=-1) for s in (thin, wide)]
    assert (wide.vertices - thin.vertices).norm(dim=-1).min() > 0.02
    assert spread[1].mean() > spread[0].mean()


def test_capsules_of_parameters_are_capsules_around_joints() -> None:
    body = CapsuleBody()
    given = drawn(body)
    surface = body(given)
    again = body.around(surface.joints, given.shape[:, -1].exp())
    torch.testing.assert_close(surface.vertices, again.vertices)


def test_small_rotations() -> None:
    g = torch.Generator().manual_seed(1)
    v = torch.randn(20, 3, generator=g, dtype=torch.float64)
    v[:5] *= 1e-6
    exact = torch.linalg.matrix_exp(
        torch.tensor(
            [[[0, -c, b], [c, 0, -a], [-b, a, 0]] for a, b, c in v.tolist()], dtype=v.dtype
        )
    )
    torch.testing.assert_close(rotation_from_vector(v), exact, rtol=0, atol=1e-6)
    a, b = (torch.nn.functional.normalize(torch.randn(9, 3, generator=g), dim=-1) for _ in "ab")
    torch.testing.assert_close((swing(a, b) @ a[..., None])[..., 0], b, rtol=0, atol=1e-5)
    noisy = rotation_from_vector(v.float()) + 0.01 * torch.randn(20, 3, 3, generator=g)
    found = nearest_rotation(noisy)
    torch.testing.assert_close(found @ found.mT, torch.eye(3).expand(20, 3, 3), rtol=0, atol=1e-5)
    assert (torch.det(found) > 0.99).all()


# Files --------------------------------------------------------------------------------------------


def saved(path: Path, **changes: Any) -> Path:
    arrays = {**example_arrays(), **changes}
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_a_file_of_arrays_is_the_body_it_holds(tmp_path: Path) -> None:
    table = np.stack([example_arrays()["parents"], np.arange(24)]).astype(np.uint32)
    path = saved(tmp_path / "mine.npz", parents=None, kintree_table=table)
    body, expected = load_arrays(path), ArrayBody(example_arrays())
    given = drawn(expected)
    torch.testing.assert_close(body(given).vertices, expected(given).vertices)
    assert make_body(path).name == "mine"


def test_smpl_formula_in_numpy() -> None:
    rng = np.random.default_rng(0)
    arrays = example_arrays()
    V, B = arrays["weights"].shape
    weights = rng.dirichlet(np.ones(B) * 0.2, V).astype(np.float32)
    posedirs = (0.001 * rng.normal(size=(V, 3, 9 * (B - 1)))).astype(np.float32)
    arrays |= {"weights": weights, "posedirs": posedirs}
    body = ArrayBody(arrays)
    given = drawn(body, n=1)
    beta, R = given.shape[0].numpy(), given.rotations[0].numpy()
    R = np.concatenate([R, np.tile(np.eye(3), (2, 1, 1))])
    shaped = arrays["v_template"] + arrays["shapedirs"] @ beta
    J = arrays["J_regressor"] @ shaped
    posed = shaped + posedirs @ (R[1:] - np.eye(3)).reshape(-1)
    world = np.zeros((B, 4, 4))
    for b, p in enumerate(arrays["parents"]):
        local = np.eye(4)
        local[:3, :3] = R[b]
        local[:3, 3] = J[b] - (J[p] if p >= 0 else 0)
        world[b] = local if p < 0 else world[p] @ local
    world[:, :3, 3] += given.origin[0].numpy() - J[0]
    world[:, :3, 3] -= np.einsum("bij,bj->bi", world[:, :3, :3], J)
    blended = np.einsum("vb,bij->vij", weights, world)
    expected = np.einsum("vij,vj->vi", blended[:, :3, :3], posed) + blended[:, :3, 3]
    np.testing.assert_allclose(body(given).vertices[0], expected, atol=2e-5)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "axes": ({"weights": np.ones(5)}, "other axes"),
    "sizes": ({"v_template": np.zeros((7, 3), np.float32)}, r"v_template is \(7, 3\)"),
    "nan": ({"v_template": np.full((96, 3), np.nan, np.float32)}, "NaN"),
    "small": ({"v_template": np.zeros((96, 3), np.float32)}, "less than 0.3 m; save the model in"),
    "far": ({"v_template": np.full((96, 3), 9.0, np.float32)}, "beyond 3 m"),
    "weights": ({"weights": np.ones((96, 24), np.float32)}, "do not sum to 1"),
    "regressor": ({"J_regressor": np.ones((24, 96), np.float32)}, "J_regressor do not sum"),
    "faces": ({"f": np.full((4, 3), 96)}, "not there"),
    "tree": ({"parents": np.arange(24)}, "before its parent"),
    "bones": ({"parents": np.array([-1, *range(23)])}, "are not SMPL's"),
    "names": ({"joint_names": np.array(["a"] * 24)}, "joint_names are not SMPL's"),
    "absent": ({"shapedirs": None}, "no array 'shapedirs'"),
    "words": ({"f": np.array(["a"])}, "save numbers"),
    "few": (
        {"weights": np.eye(5, dtype=np.float32)[np.zeros(96, int)]},
        "with 22 bones or more",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_files_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    changes, words = BAD[name]
    with pytest.raises(FormatError, match=words) as caught:
        load_arrays(saved(tmp_path / "bad.npz", **changes))
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(FormatError, match="not read; save it as a dense array"):
        load_arrays(saved(tmp_path / "bad.npz", J_regressor=objects))
    (tmp_path / "model.npz").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(FormatError, match="is not an npz archive"):
        load_arrays(tmp_path / "model.npz")


def test_bodies_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_body("capsules").name == "capsules"
    with pytest.raises(OptionError, match="There is no body 'smpl'; use capsules or anny"):
        make_body("smpl")

    def absent(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'anny'", name="anny")

    monkeypatch.setattr(anny_module.importlib, "import_module", absent)
    with pytest.raises(BackendError, match=r"pip install 'hypopose\[mesh\]'"):
        make_body("anny")


# Anny ---------------------------------------------------------------------------------------------


def test_the_first_construction_is_announced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Regressor:
        @staticmethod
        def coco(model: FakeAnny, labels: list[str]) -> Callable[..., Tensor]:
            assert labels == ["left_ear", "right_ear"]
            return lambda out: out["vertices"][:, :2] * 0 + torch.tensor([0, 0, 1.7])

    fakes = {
        "anny": SimpleNamespace(Anny=FakeAnny, KeypointsRegressor=Regressor),
        "anny.paths": SimpleNamespace(get_anny_cache_path=lambda: tmp_path / "cache"),
        "warp.config": SimpleNamespace(),
    }
    monkeypatch.setattr(anny_module.importlib, "import_module", fakes.__getitem__)
    said: list[str] = []
    assert make_body("anny", said.append).name == "anny"
    assert len(said) == 1
    assert "a minute" in said[0]
    (tmp_path / "cache" / "data").mkdir(parents=True)
    make_body("anny", said.append)
    assert len(said) == 1


def test_bones_that_are_not_posed_follow() -> None:
    body = fake_anny()
    assert set(body.rig.names) == set(AIMS)
    given = at_rest(body, body.shapes.mean[None])
    turns = given.rotations.clone()
    shin = body.rig.names.index("lowerleg01.L")
    turns[:, shin] = rotation_from_vector(torch.tensor([0.0, 0.0, torch.pi / 2]))
    before = body(given).vertices
    after = body(BodyParameters(turns, given.origin, given.shape)).vertices
    moved = (after - before).norm(dim=-1)[0] > 1e-4
    labels = body.model.bone_labels
    expected = {labels.index(n) for n in ("lowerleg01.L", "foot.L", "toe1-1.L")}
    assert {int(v) // 3 for v in moved.nonzero()} <= expected
    assert labels.index("toe1-1.L") in {int(v) // 3 for v in moved.nonzero()}


@pytest.mark.slow
def test_anny_itself() -> None:
    """Bones of an average adult are as long as people's."""
    pytest.importorskip("anny", reason="needs pip install 'hypopose[mesh]'")
    body = make_body("anny")
    surface = body(at_rest(body, body.shapes.mean[None]))
    lengths = (surface.joints[0, 1:] - surface.joints[0, list(body.skeleton.parents[1:])]).norm(
        dim=-1
    )
    expected = CapsuleBody().rest(torch.zeros(11)).joints
    expected = (expected[1:] - expected[list(body.skeleton.parents[1:])]).norm(dim=-1)
    assert (lengths / expected).log().abs().max() < 0.5
    stature = surface.vertices[0, :, 2].max() - surface.vertices[0, :, 2].min()
    assert 1.4 < stature < 2.0
    assert set(surface.part_labels.tolist()) == set(range(len(PARTS)))
    shape = torch.rand(5, len(body.shapes.names), generator=torch.Generator().manual_seed(0))
    made = body.model(phenotype_kwargs=dict(zip(body.shapes.names, shape.T.double(), strict=True)))
    torch.testing.assert_close(
        body.rest_vertices(shape).double(), made["rest_vertices"], rtol=0, atol=1e-5
    )
    rows = [body.model.bone_labels.index(name) for name in body.rig.names]
    torch.testing.assert_close(
        body.rest(shape).bones.double(), made["rest_bone_heads"][:, rows], rtol=0, atol=1e-6
    )
    _, truth = example_pair(4)
    assert BodyFitter().fit(body, truth.joints[None], truth.skeleton).joint_error < 0.04
