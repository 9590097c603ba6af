"""PMCE's network from the tensors of a released checkpoint, with the arrays its user has.

The file holds ``model_state_dict`` (both stages, with DataParallel's prefix or without); the mean
mesh, down-sampling and joint regressor come with SMPL and are the user's:
:func:`hypopose.networks.pmce.load_template`. Where coarse vertices start follows from them, with
the regressor of 17 joints also for networks of 19, as released.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from hypopose.errors import CheckpointError
from hypopose.networks.layouts import count, filled, telling, without_prefix
from hypopose.networks.pmce import PMCE, load_template

State = dict[str, Tensor]


def pmce_from_official(
    state: State, *, template: str | Path | None = None, n_heads: int = 8
) -> PMCE:
    """PMCE with both of its stages.

    Args:
        state: Tensors by official names.
        template: File of the mean mesh, its triangles, regressor and down-sampling.
        n_heads: Attention heads of the first stage; shapes do not tell.

    Returns:
        The network, filled, in eval mode. It needs image features.

    Raises:
        CheckpointError: If it is no PMCE, or no template is named.
        FormatError: If the template is none.
        ShapeError: If the template has other sizes.
    """
    state = without_prefix(state)
    first, second = "pose_lifter.", "pose_mesh_coevo."
    position = telling(state, f"{first}spatial_pos_embed", 3, "PMCE with both stages")
    frames = telling(state, f"{first}temporal_pos_embed", 3, "PMCE")
    features = telling(state, f"{first}imgfeat_embed.weight", 2, "PMCE")
    up = telling(state, f"{second}upsample_conv.weight", 3, "PMCE")
    if template is None:
        raise CheckpointError(
            "PMCE writes a mesh that is not in the checkpoint: name the template, --template "
            "FILE.npz with vertices, faces, joint_regressor and downsample."
        )
    mesh = load_template(template)
    network = PMCE(
        n_frames=frames.shape[1],
        n_joints=position.shape[1],
        n_coarse=up.shape[1],
        n_vertices=up.shape[0],
        n_faces=len(mesh.faces),
        width=position.shape[2],
        depth=count(state, r"pose_lifter\.SpatialBlocks\.(\d+)\."),
        n_heads=n_heads,
        joint_dim=_width(state, f"{second}coevoblock1.joint_proj.weight"),
        vertex_dim=_width(state, f"{second}coevoblock1.vertx_proj.weight"),
        cond_dim=features.shape[1],
    )
    network.set_template(mesh)
    own = {name: getattr(network, name) for name in ("relation", "faces", "part_labels")}
    # The released code stores the mean mesh beside the weights and reads it from a file again.
    unused = (r"pose_mesh_coevo\.init_vertices", r"pose_mesh_coevo\.vj_relation")
    filled(network, {**state, **own}, unused=unused)
    return network


def _width(state: State, name: str) -> int:
    return telling(state, name, 2, "PMCE").shape[0]
