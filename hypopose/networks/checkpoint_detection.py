"""Detect the network of a checkpoint by the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hypopose.errors import CheckpointError

SIGNATURES: dict[str, str] = {
    "d3dp": r"betas|pose_estimator\..*",
    "diffpose": r"gconv_input\.weight|gconv_input\..*",
    "gla-gcn": r"layers_tcngcn\..*",
    "ktpformer": r"kpattention\..*",
    "mpm": r"shared_layers_temporal\..*|post_refine\..*",
    "platypose": r"seqTransEncoder\.layers\..*",
    "pmce": r"pose_mesh_coevo\..*",
    "uao": r"encoder\.fc5\.weight",
    "hot": r"x_token|Transformer_hypothesis\..*|blocks_st\..*",
    "motionagformer": r"joints_embed\..*",
}
"""Layout -> what the name of one of its tensors matches; the first layout that matches counts."""

MIXSTE = "Spatial_patch_to_embedding.weight"
"""MixSTE alone, without D3DP around it, is one of HoT's networks."""


def detect_layout(names: Iterable[str]) -> str:
    """The layout of a checkpoint.

    Args:
        names: Of its tensors, with or without DataParallel's ``module.``.

    Returns:
        A name in :data:`hypopose.networks.checkpoint_conversion.LAYOUTS`.

    Raises:
        CheckpointError: If it is none of them.

    Example:
        >>> detect_layout(["module.kpattention.norm2.weight", "module.head.0.bias"])
        'ktpformer'
    """
    bare = [name.removeprefix("module.") for name in names]
    for layout, pattern in SIGNATURES.items():
        if any(re.fullmatch(pattern, name) for name in bare):
            return layout
    if MIXSTE in bare:
        return "hot"
    some = ", ".join(sorted(bare)[:3])
    raise CheckpointError(
        f"The checkpoint's layout is unknown (its tensors: {some}, ...); give one of "
        f"{', '.join(SIGNATURES)} as its authors released it."
    )
