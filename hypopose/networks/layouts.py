"""Networks from the tensors of released checkpoints; sizes are read off the shapes.

| layout | holds | entry of the file |
| --- | --- | --- |
| ``ktpformer`` | the lifter | ``model_pos`` |
| ``motionagformer`` | the lifter, XS to L | ``model`` |
| ``gla-gcn`` | the lifter for Human3.6M or HumanEva | ``model_pos`` |
| ``hot`` | MixSTE, MHFormer, MotionBERT, MotionAGFormer with HoT or TPC | none |
| ``mpm`` | pretraining, completion, lifter or refinement | none |
| ``platypose`` | the motion prior | none |
| ``uao`` | GUMLP, the lifter with a log-scale per joint | none |

Names may carry DataParallel's ``module.``. What shapes do not determine (attention heads,
skeletons) is an argument. Missing and unexpected names and other shapes are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from hypopose.errors import CheckpointError
from hypopose.networks.gla_gcn import GLAGCN
from hypopose.networks.gumlp import ENCODER_HIDDEN, GUMLP
from hypopose.networks.hot import Hourglass, build_backbone
from hypopose.networks.ktpformer import KTPFormer, ktpformer_name
from hypopose.networks.mixste import name_from_official
from hypopose.networks.motion_prior import MotionPrior, motion_prior_name, position_table
from hypopose.networks.motionagformer import MotionAGFormer
from hypopose.networks.motionbert import motionbert_name
from hypopose.networks.mpm import MPM
from hypopose.networks.mpm_lifter import MPMLifter, MPMRefinement
from hypopose.networks.pretrained import PretrainedNetwork, load_strictly

State = dict[str, Tensor]


def ktpformer_from_official(
    state: State,
    *,
    n_heads: int = 8,
    keypoint_skeleton: str = "h36m17",
    skeleton: str = "h36m17",
) -> PretrainedNetwork:
    """The KTPFormer lifter.

    Args:
        state: Tensors by official names.
        n_heads: Attention heads.
        keypoint_skeleton: Name of the 2D skeleton.
        skeleton: Name of the 3D skeleton.

    Returns:
        The network, filled, in eval mode.

    Raises:
        CheckpointError: If it is not a KTPFormer.
    """
    state = without_prefix(state)
    weight = telling(state, "kpattention.attn.kpa.gconv.W", 3, "KTPFormer")
    frames = telling(state, "tpattention.attn.Temporal_pos_embed", 3, "KTPFormer")
    hidden = telling(state, "kpattention.mlp.fc1.weight", 2, "KTPFormer")
    network = KTPFormer(
        n_frames=frames.shape[1],
        width=weight.shape[2],
        depth=count(state, r"STEblocks\.(\d+)\."),
        n_heads=n_heads,
        mlp_ratio=hidden.shape[0] / weight.shape[2],
        lifter=weight.shape[1] == 2,
        keypoint_skeleton=keypoint_skeleton,
        skeleton=skeleton,
    )
    return filled(network, state, ktpformer_name)


def without_prefix(state: State) -> State:
    """Names without DataParallel's ``module.``."""
    return {name.removeprefix("module."): x for name, x in state.items()}


def telling(state: State, name: str, n_axes: int, network: str) -> Tensor:
    """A tensor whose shape tells the sizes of the network.

    Raises:
        CheckpointError: If it is missing or has other axes.
    """
    if name not in state or state[name].dim() != n_axes:
        raise CheckpointError(
            f"The checkpoint has no {name} with {n_axes} axes, so it is not a {network}. "
            "Name another layout."
        )
    return state[name]


def count(state: State, pattern: str) -> int:
    """How many different numbers the pattern's group takes among the names."""
    return len({m[1] for name in state if (m := re.match(pattern, name))})


def filled(
    network: PretrainedNetwork,
    state: State,
    rename: Callable[[str], str] = str,
    unused: Sequence[str] = (),
) -> PretrainedNetwork:
    """Fill a network strictly.

    Args:
        network: Of the right sizes.
        state: Tensors by official names.
        rename: From official names to ours.
        unused: Patterns of tensors the released code stores but never uses; they are left out.

    Returns:
        The network in eval mode.
    """
    kept = {name: x for name, x in state.items() if not any(re.fullmatch(p, name) for p in unused)}
    ours = {rename(n): x.float() if x.is_floating_point() else x for n, x in kept.items()}
    load_strictly(network, ours, "The checkpoint")
    return network.eval()


def motionagformer_from_official(
    state: State,
    *,
    n_heads: int = 8,
    n_neighbors: int = 2,
    graph: Literal["similarity", "chain"] = "similarity",
    skeleton: str = "h36m17",
) -> PretrainedNetwork:
    """A MotionAGFormer lifter, XS to L and the variants of the ablation.

    Args:
        state: Tensors by official names.
        n_heads: Attention heads (8 in the official configurations).
        n_neighbors: Frames in the similarity graph (2 in the official configurations).
        graph: Which temporal graph; the file does not tell.
        skeleton: Name of the skeleton; its joints must be in Human3.6M's order.

    Returns:
        The network, filled, in eval mode.

    Raises:
        CheckpointError: If it is not a MotionAGFormer.
    """
    state = without_prefix(state)
    sizes = motionagformer_sizes(state)
    network = MotionAGFormer(
        **sizes, n_heads=n_heads, n_neighbors=n_neighbors, graph=graph, skeleton=skeleton
    )
    unused = [r"layers\.\d+\.fusion\..*"] if sizes["hierarchical"] else []
    return filled(network, state, unused=unused)


def motionagformer_sizes(state: State) -> dict[str, Any]:
    """Arguments of :class:`MotionAGFormer` that shapes and names tell.

    Raises:
        CheckpointError: If it is not a MotionAGFormer.
    """
    embed = telling(state, "joints_embed.weight", 2, "MotionAGFormer")
    norm = telling(state, "layers.0.att_spatial.norm1.weight", 1, "MotionAGFormer")
    hidden = telling(state, "layers.0.att_spatial.mlp.fc1.weight", 2, "MotionAGFormer")
    rep = telling(state, "rep_logit.fc.weight", 2, "MotionAGFormer")
    n_layers = count(state, r"layers\.(\d+)\.")
    bare = "layers.0.graph_spatial.U.weight" in state
    node = "layers.{}.graph_temporal." + ("" if bare else "mixer.") + "batch_norm.weight"
    lengths = [len(state[k]) for i in range(n_layers) if (k := node.format(i)) in state]
    at = next((i for i, n in enumerate(lengths) if n != lengths[0]), None)
    return {
        "n_frames": lengths[0] if lengths else None,
        "pruned": None if at is None else (at, lengths[-1]),
        "n_layers": n_layers,
        "width": embed.shape[0],
        "n_channels": embed.shape[1],
        "rep_width": rep.shape[0],
        "mlp_ratio": hidden.shape[0] / hidden.shape[1],
        "qkv_bias": "layers.0.att_spatial.mixer.qkv.bias" in state,
        "layer_scale": 1e-5 if "layers.0.att_spatial.layer_scale_1" in state else None,
        "hierarchical": len(norm) < embed.shape[0],
        "fusion": "adaptive" if "layers.0.fusion.weight" in state else "mean",
        "convolutions": not lengths,
        "graph_only": bare,
    }


def gla_gcn_from_official(
    state: State, *, skeleton: str | None = None, keypoint_skeleton: str | None = None
) -> PretrainedNetwork:
    """A GLA-GCN lifter of Human3.6M or HumanEva.

    Args:
        state: Tensors by official names.
        skeleton: Name; None for ``h36m17`` or ``humaneva15`` by the number of joints.
        keypoint_skeleton: ``coco17`` for the HumanEva network that reads COCO keypoints, whose
            tensors do not tell; None for ``skeleton``.

    Returns:
        The network, filled, in eval mode. Strides are 3, as in all released configurations.

    Raises:
        CheckpointError: If it is not a GLA-GCN, or has unshared output layers (whose network was
            not released).
    """
    state = without_prefix(state)
    fc = telling(state, "fc.weight", 3, "GLA-GCN with one shared output layer")
    n_joints = telling(state, "expand_gcn.gcn1.PA", 3, "GLA-GCN").shape[-1]
    n_levels = count(state, r"layers_tcngcn\.(\d+)\.") // 2
    name = skeleton or {17: "h36m17", 15: "humaneva15"}.get(n_joints)
    if name is None:
        raise CheckpointError(
            f"This GLA-GCN has {n_joints} joints; released ones have 17 (h36m17) or 15 "
            "(humaneva15). Name the skeleton."
        )
    network = GLAGCN(
        [3] * n_levels, width=fc.shape[1], skeleton=name, keypoint_skeleton=keypoint_skeleton
    )
    # The network for COCO keypoints stores a norm of its input that it never applies.
    return filled(network, state, unused=(r"data_bn\..*",) if keypoint_skeleton == "coco17" else ())


def mpm_from_official(
    state: State, *, strides: Sequence[int] | None = None, skeleton: str | None = None
) -> PretrainedNetwork:
    """One of MPM's networks: pretraining, completion, lifter or refinement; the names tell which.

    Args:
        state: Tensors by official names.
        strides: Of a lifter; None for threes, with a leading one at 9 frames, and 3, 9, 13 at 351.
        skeleton: Name; None for ``h36m17`` or ``h36m16`` by the number of joints.

    Returns:
        The network, filled, in eval mode.

    Raises:
        CheckpointError: If it is none of them.
    """
    state = without_prefix(state)
    if any(name.startswith("post_refine.") for name in state):
        n = telling(state, "post_refine.3.weight", 2, "MPM refinement").shape[0] // 2
        return filled(MPMRefinement(skeleton or _h36m(n)), state)
    encoder = telling(state, "encoder2d.fc_1.weight", 3, "MPM")
    position = telling(state, "shared_layers_temporal.pos_embedding", 3, "MPM")
    inner = "shared_layers_temporal.model.layers.0.feed_forward.w_1.weight"
    sizes: dict[str, Any] = {
        "width": position.shape[2],
        "hidden": telling(state, inner, 2, "MPM").shape[0],
        "n_layers": count(state, r"shared_layers_temporal\.model\.layers\.(\d+)\."),
        "skeleton": skeleton or _h36m(encoder.shape[1] // 2),
    }
    unused = [r".*\.model\.norm\.[ab]_2"]
    if "temporal_mask_token" in state:
        depth = count(state, r"decoder2d\.model\.layers\.(\d+)\.")
        masked = MPM(n_frames=position.shape[1], decoder_depth=depth, **sizes)
        return filled(masked, state, unused=unused)
    n = count(state, r"Transformer_reduce\.model\.layers\.(\d+)\.")
    return filled(
        MPMLifter(list(strides or _strides(n, position.shape[1])), **sizes), state, unused=unused
    )


def _h36m(n_joints: int) -> str:
    if n_joints not in (16, 17):
        raise CheckpointError(f"This MPM has {n_joints} joints; released ones have 16 or 17.")
    return f"h36m{n_joints}"


def _strides(n_layers: int, n_frames: int) -> list[int]:
    """As released: 9 frames use 1, 3, 3 and 351 frames 3, 9, 13."""
    known = {9: [1, 3, 3], 351: [3, 9, 13]}
    strides = known.get(n_frames, [3] * n_layers)
    if len(strides) != n_layers or math.prod(strides) != n_frames:
        raise CheckpointError(
            f"The strides of {n_layers} layers over {n_frames} frames are unknown; give strides."
        )
    return strides


def hot_from_official(
    state: State,
    *,
    at: int | None = None,
    keep: int | None = None,
    n_heads: int | None = None,
    skeleton: str = "h36m17",
) -> PretrainedNetwork:
    """A network of HoT's repository: MixSTE, MHFormer, MotionBERT or MotionAGFormer.

    Args:
        state: Tensors by official names.
        at: Block frames are dropped before; None for the published one. The file does not tell.
        keep: Frames that go on, for a network without recovery (TPC), which its file does not
            tell; None leaves such a network whole, except MHFormer, which keeps a third.
        n_heads: Attention heads; None for the published number (4 for MotionAGFormer, else 8).
        skeleton: Name of the 2D and 3D skeleton.

    Returns:
        The network, filled, in eval mode.

    Raises:
        CheckpointError: If it is none of them.
    """
    state = without_prefix(state)
    own = ("x_token", "pos_embed_token", "cross_attention.")
    inner = {k: v for k, v in state.items() if not k.startswith(own)}
    name, config, rename, published = _hot_backbone(inner, n_heads, skeleton)
    recovers = "x_token" in state
    if name == "MotionAGFormer" and not recovers:
        raise CheckpointError(
            "This MotionAGFormer recovers no frames, so it is not HoT's. Name the layout "
            "motionagformer."
        )
    if recovers:
        keep = telling(state, "pos_embed_token", 3, "HoT").shape[1]
    elif name == "MHFormer":
        keep = keep or config["n_frames"] // 3
    backbone = {"_class_name": name, **config}
    if keep is None:
        return filled(build_backbone(backbone), inner, rename)
    network = Hourglass(
        backbone,
        at=at or published,
        keep=keep,
        recover="attention" if recovers else "none",
        n_heads=config["n_heads"],
        qkv_bias="cross_attention.linear_q.bias" in state,
    )
    return filled(network, state, _hot_renaming(own, rename))


def _hot_renaming(own: tuple[str, ...], rename: Callable[[str], str]) -> Callable[[str], str]:
    """HoT's own names beside those of the network it wraps."""

    def into(official: str) -> str:
        if official == "pos_embed_token":
            return "slot_position"
        return official if official.startswith(own) else f"network.{rename(official)}"

    return into


def _hot_backbone(
    state: State, n_heads: int | None, skeleton: str
) -> tuple[str, dict[str, Any], Callable[[str], str], int]:
    """Class, arguments, renaming and published block of the network inside."""
    if "Spatial_patch_to_embedding.weight" in state:
        config = {**mixste_config(state), "n_heads": n_heads or 8}
        return "MixSTE2", {**config, "skeleton": skeleton}, name_from_official, 3
    if "Transformer_hypothesis.pos_embed_1" in state:
        position = telling(state, "Transformer_hypothesis.pos_embed_1", 3, "MHFormer")
        fc1 = telling(state, "Transformer_hypothesis.CHI_blocks.0.mlp.fc1.weight", 2, "MHFormer")
        _, n_frames, width = position.shape
        sizes = {"n_frames": n_frames, "width": width, "hidden": fc1.shape[0]}
        config = {**sizes, "n_heads": n_heads or 8, "skeleton": skeleton}
        return "MHFormer", config, name_from_official, 1
    if "blocks_st.0.attn_s.qkv.weight" in state:
        fc1 = telling(state, "blocks_st.0.mlp_s.fc1.weight", 2, "MotionBERT")
        config = {
            "n_frames": telling(state, "temp_embed", 4, "MotionBERT").shape[1],
            "width": fc1.shape[1],
            "depth": count(state, r"blocks_st\.(\d+)\."),
            "n_heads": n_heads or 8,
            "mlp_ratio": fc1.shape[0] / fc1.shape[1],
            "rep_width": telling(state, "pre_logits.fc.weight", 2, "MotionBERT").shape[0],
            "skeleton": skeleton,
        }
        return "MotionBERT", config, motionbert_name, 1
    graph = motionagformer_sizes(state)
    config = {**graph, "n_heads": n_heads or 4, "n_neighbors": 4, "skeleton": skeleton}
    pruned = graph["pruned"]
    return "MotionAGFormer", config, str, 7 if pruned is None else pruned[0]


def mixste_config(state: State) -> dict[str, Any]:
    """Arguments of :class:`hypopose.networks.mixste.MixSTE2` that shapes tell, all but the heads.

    Raises:
        CheckpointError: If a tensor that tells them is missing.
    """
    embed = telling(state, "Spatial_patch_to_embedding.weight", 2, "MixSTE2")
    hidden = telling(state, "STEblocks.0.mlp.fc1.weight", 2, "MixSTE2")
    return {
        "n_frames": telling(state, "Temporal_pos_embed", 3, "MixSTE2").shape[1],
        "width": embed.shape[0],
        "depth": count(state, r"STEblocks\.(\d+)\."),
        "mlp_ratio": hidden.shape[0] / embed.shape[0],
        "n_joints": telling(state, "Spatial_pos_embed", 3, "MixSTE2").shape[1],
        "lifter": embed.shape[1] == 2,
    }


def platypose_from_official(state: State, *, n_heads: int = 4) -> PretrainedNetwork:
    """Platypose's motion prior.

    Args:
        state: Tensors by official names; the skeleton encoder among them was never used, but it
            has to be whole.
        n_heads: Attention heads; shapes do not tell.

    Returns:
        The network, filled, in eval mode.

    Raises:
        CheckpointError: If it is not a motion prior, or its sinusoid table is not the usual one.
    """
    state = without_prefix(state)
    embed = telling(state, "input_process.poseEmbedding.weight", 2, "motion prior")
    hidden = telling(state, "seqTransEncoder.layers.0.linear1.weight", 2, "motion prior")
    width = embed.shape[0]
    _check_platypose_extras(state, width)
    network = MotionPrior(
        width, hidden.shape[0], count(state, r"seqTransEncoder\.layers\.(\d+)\."), n_heads
    )
    unused = [r"skeleton_encoder\..*", r".*sequence_pos_encoder\.pe"]
    return filled(network, state, motion_prior_name, unused)


def _check_platypose_extras(state: State, width: int) -> None:
    """Check the tensors that are left out: tables, and the skeleton encoder."""
    layer = {n for n in state if n.startswith("seqTransEncoder.layers.0.")}
    encoder = {f"skeleton_encoder.{n}" for n in layer} | {
        f"skeleton_encoder.{n}"
        for n in ("muQuery", "sigmaQuery", "skelEmbedding.weight", "skelEmbedding.bias")
    }
    owners = ("", "embed_timestep.", "skeleton_encoder.")
    tables = {f"{owner}sequence_pos_encoder.pe" for owner in owners}
    present = {n for n in state if n.startswith("skeleton_encoder.")} | (tables & state.keys())
    wrong = [f"missing {n}" for n in sorted((encoder | tables) - present)]
    wrong += [f"unexpected {n}" for n in sorted(present - encoder - tables)]
    wrong += [
        f"{name} is not the sinusoid table of width {width}"
        for name in sorted(tables & state.keys())
        if not _is_sinusoid(state[name].float(), width)
    ]
    if wrong:
        raise CheckpointError(f"The checkpoint does not fit MotionPrior: {'; '.join(wrong)}.")


def _is_sinusoid(table: Tensor, width: int) -> bool:
    rows = position_table(len(table), width)
    same_size = table.numel() == rows.numel()
    return same_size and torch.allclose(table.reshape(rows.shape), rows, atol=2e-3)


def uao_from_official(state: State) -> PretrainedNetwork:
    """UAO's lifter, GUMLP.

    Args:
        state: Tensors by official names.

    Returns:
        The network, filled, in eval mode. The graph is not in the file: it is fixed.

    Raises:
        CheckpointError: If it is not a GUMLP.
    """
    state = without_prefix(state)
    encoder = telling(state, "encoder.fc5.weight", 2, "GUMLP")
    if encoder.shape[1] != ENCODER_HIDDEN:
        raise CheckpointError("The encoder is not a GUMLP's. Name another layout.")
    n_layers = count(state, r"GCN_MLP\.blocks\.(\d+)\.")
    return filled(GUMLP(encoder.shape[0], n_layers), state)
