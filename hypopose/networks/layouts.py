"""Networks from the tensors of released checkpoints; sizes are read off the shapes.

| layout | holds | entry of the file |
| --- | --- | --- |
| ``ktpformer`` | the lifter | ``model_pos`` |

Names may carry DataParallel's ``module.``. What shapes do not tell (attention heads, skeletons)
is an argument. Missing and unexpected names and other shapes are errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from torch import Tensor

from hypopose.errors import CheckpointError
from hypopose.networks.ktpformer import KTPFormer, ktpformer_name
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
