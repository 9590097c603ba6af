"""Small files of motion capture: a T pose as BVH, a leg as ASF and AMC, a body model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hypopose.datasets.capture import CapturedRig

# Y up, centimeters: a person in T pose who looks along z; left is +x.
T_POSE: dict[str, tuple[str | None, tuple[float, float, float]]] = {
    "Hips": (None, (0, 95, 0)),
    "LeftUpLeg": ("Hips", (10, 0, 0)), "LeftLeg": ("LeftUpLeg", (0, -44, 0)),
    "LeftFoot": ("LeftLeg", (0, -43, 0)),
    "RightUpLeg": ("Hips", (-10, 0, 0)), "RightLeg": ("RightUpLeg", (0, -44, 0)),
    "RightFoot": ("RightLeg", (0, -43, 0)),
    "Spine": ("Hips", (0, 15, 0)), "Spine1": ("Spine", (0, 15, 0)),
    "Neck": ("Spine1", (0, 25, 0)), "Head": ("Neck", (0, 10, 0)),
    "LeftArm": ("Spine1", (17, 19, 0)), "LeftForeArm": ("LeftArm", (28, 0, 0)),
    "LeftHand": ("LeftForeArm", (25, 0, 0)),
    "RightArm": ("Spine1", (-17, 19, 0)), "RightForeArm": ("RightArm", (-28, 0, 0)),
    "RightHand": ("RightForeArm", (-25, 0, 0)),
}  # fmt: skip


def t_pose(n: int = 60) -> CapturedRig:
    names = tuple(T_POSE)
    parents = tuple(-1 if p is None else names.index(p) for p, _ in T_POSE.values())
    x = np.zeros((n, len(names), 3))
    for i, (_, offset) in enumerate(T_POSE.values()):
        x[:, i] = (x[:, parents[i]] if parents[i] >= 0 else 0) + np.array(offset)
    return CapturedRig(names, parents, x, 100.0)


def bvh_text(rig: CapturedRig, frames: int = 60) -> str:
    def joint(i: int) -> str:
        children = [k for k, p in enumerate(rig.parents) if p == i]
        inner = " ".join(joint(k) for k in children) or "End Site { OFFSET 0 3 0 }"
        kind = "ROOT" if rig.parents[i] < 0 else "JOINT"
        offset = T_POSE[rig.names[i]][1]
        channels = "Xposition Yposition Zposition Zrotation Xrotation Yrotation"
        own = f"CHANNELS 6 {channels}" if kind == "ROOT" else f"CHANNELS 3 {channels[30:]}"
        return f"{kind} {rig.names[i]} {{ OFFSET {' '.join(map(str, offset))} {own} {inner} }}"

    row = " ".join(["0 95 0 0 0 0", *["0 0 0"] * (len(rig.names) - 1)])
    rows = "\n".join([row] * frames)
    return f"HIERARCHY {joint(0)}\nMOTION\nFrames: {frames}\nFrame Time: 0.01\n{rows}\n"


ASF = """:version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name lfemur
    direction 0 -1 0
    length 8
    axis 0 0 20 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
    id 2
    name ltibia
    direction 0 -1 0
    length 7
    axis 0 0 20 XYZ
    dof rx
  end
:hierarchy
  begin
    root lfemur
    lfemur ltibia
  end
"""
AMC = """#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
lfemur 0 0 0
ltibia 0
2
root 0 0 0 0 0 90
lfemur 0 0 0
ltibia 90
"""


def body_model(tmp_path: Path) -> Path:
    """A model whose vertices are its joints: the T pose, in meters; one shape makes it taller."""
    rest = np.zeros((22, 3))
    order = ["Hips", "LeftUpLeg", "RightUpLeg", "Spine", "LeftLeg", "RightLeg", "Spine1",
             "LeftFoot", "RightFoot", "Spine1", "LeftFoot", "RightFoot", "Neck", "LeftArm",
             "RightArm", "Head", "LeftArm", "RightArm", "LeftForeArm", "RightForeArm", "LeftHand",
             "RightHand"]  # fmt: skip
    rig = t_pose(1)
    for i, name in enumerate(order):
        rest[i] = rig.positions[0, rig.names.index(name)] / 100
    parents = [2**32 - 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]
    path = tmp_path / "model.npz"
    np.savez(
        path,
        v_template=rest,
        shapedirs=0.1 * rest[..., None],
        J_regressor=np.eye(22),
        kintree_table=np.array([parents, range(22)], dtype=np.uint32),
    )
    return path
