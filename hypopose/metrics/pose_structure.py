"""Pose structure score: whether a pose falls into the same cluster as the truth, at any size.

Kocabas, Karagoz and Akbas, "Self-supervised learning of 3D human pose using multi-view geometry",
CVPR 2019 (EpipolarPose). Poses of a training set are clustered; a prediction scores 1 if it falls
into the cluster of its truth. It tells whether joints are wrong together, as in a leg that is
folded the other way, which a mean distance hides.

| paper | here |
| --- | --- |
| n(p) = p / ‖p‖ of the root-relative pose | :func:`pose_directions` |
| μ_1 .. μ_k, by k-means of n(p) | :class:`PoseClusters`, :func:`fit_pose_clusters` |
| C(p), the nearest center | :func:`cluster_of` |
| PSS(p, q) | :func:`pss` |
| mPSS@50 | mean of :func:`pss` with ``PoseClusters.bundled(50)`` |

The paper's centers were not published, so its values cannot be reproduced: the centers that come
with the package are ours, of 17 joints about the pelvis, fitted with a fixed seed to poses of the
bundled weights' training motion as its cameras see them (``benchmarks/fit_pose_clusters.py``).
Scores compare with others of the same centers only. The score does not depend on a pose's size; it
does on its place about the root and on how the camera is turned.

With hypotheses, the clusters they fall into are a distribution; its entropy
(:func:`cluster_entropy`) is 0 where all agree on a kind of pose, and grows with the number of kinds
that they find possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from torch import Tensor

from hypopose.errors import OptionError, ShapeError
from hypopose.types import Skeleton

BUNDLED = Path(__file__).parent / "pose_clusters.safetensors"
"""The centers that come with the package, by their number."""

MAX_ROUNDS = 1000
NOWHERE = -1
"""Cluster of a pose with a missing joint, or without size."""


@dataclass(frozen=True, eq=False)
class PoseClusters:
    """Kinds of poses.

    Args:
        centers: Of unit-norm root-relative poses, flattened joint by joint; not of unit norm.
        skeleton: Name of the joint set.
        root: Index of the joint that poses are about.
        source: What they were fitted to, and how.
    """

    centers: Float[Tensor, "K D"]
    skeleton: str
    root: int = 0
    source: str = ""

    @classmethod
    def bundled(cls, n_clusters: int = 50) -> PoseClusters:
        """The centers that come with the package.

        Args:
            n_clusters: 50 or 100.

        Raises:
            OptionError: If there are no such centers.

        Example:
            >>> PoseClusters.bundled(50).centers.shape
            torch.Size([50, 51])
        """
        with safe_open(BUNDLED, framework="pt") as file:
            known = sorted(file.keys(), key=int)
            if str(n_clusters) not in known:
                raise OptionError(
                    f"There are centers of {' and '.join(known)} clusters, not {n_clusters}; fit "
                    "your own with hypopose.metrics.fit_pose_clusters."
                )
            told = file.metadata()
            centers = file.get_tensor(str(n_clusters)).double()
        return cls(centers, told["skeleton"], int(told["root"]), told["source"])


def pose_directions(
    joints: Float[Tensor, "*batch J 3"], root: int = 0
) -> Float[Tensor, "*batch D"]:
    """Root-relative poses of unit norm, flattened, in double precision.

    Args:
        joints: In any unit.
        root: Index of the joint they are taken about.

    Returns:
        NaN for poses with a missing joint, or without size.

    Example:
        >>> pose_directions(torch.randn(4, 17, 3)).norm(dim=-1).round(decimals=6).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    x = joints.double()
    x = (x - x[..., [root], :]).flatten(-2)
    size = x.norm(dim=-1, keepdim=True)
    return x / torch.where(size > 0, size, torch.nan)


def fit_pose_clusters(
    joints: Float[Tensor, "N J 3"],
    n_clusters: int,
    skeleton: Skeleton,
    *,
    seed: int = 0,
    first: Int[Tensor, " K"] | None = None,
    source: str = "",
) -> PoseClusters:
    """k-means of unit-norm poses, until no center moves.

    Args:
        joints: Poses in axes of cameras, in any unit; those with missing joints are left out.
        n_clusters: k.
        skeleton: Of the joints.
        seed: Of the first centers: poses, each far from those before it (k-means++).
        first: Rows of the poses to begin from instead.
        source: Kept with the centers.

    Returns:
        The centers. A cluster that nothing falls into any more keeps its center.

    Raises:
        OptionError: If there are fewer usable poses than clusters.
        ShapeError: If the joints are not the skeleton's, or ``first`` is not one row a cluster.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> poses = torch.randn(100, 17, 3, generator=torch.Generator().manual_seed(0))
        >>> fit_pose_clusters(poses, 4, H36M17).centers.shape
        torch.Size([4, 51])
    """
    if joints.shape[-2] != skeleton.n_joints:
        raise ShapeError(f"{skeleton.name} has {skeleton.n_joints} joints, got {joints.shape[-2]}.")
    x = pose_directions(joints, skeleton.root)
    if first is not None and len(first) != n_clusters:
        raise ShapeError(f"first names {len(first)} rows for {n_clusters} clusters.")
    centers = None if first is None else x[first]
    x = x[x.isfinite().all(-1)]
    if not 1 <= n_clusters <= len(x):
        raise OptionError(f"{n_clusters} clusters need as many poses; there are {len(x)}.")
    if centers is None:
        centers = _spread(x, n_clusters, torch.Generator().manual_seed(seed))
    for _ in range(MAX_ROUNDS):
        own = _nearest(x, centers)
        count = torch.bincount(own, minlength=n_clusters)[:, None]
        total = torch.zeros_like(centers).index_add_(0, own, x)
        moved = torch.where(count > 0, total / count.clamp(min=1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    return PoseClusters(centers, skeleton.name, skeleton.root, source)


def cluster_of(
    joints: Float[Tensor, "*batch J 3"], clusters: PoseClusters
) -> Int[Tensor, "*batch"]:
    """Which kind of pose each is.

    Args:
        joints: In axes of a camera, in any unit.
        clusters: Of the same skeleton.

    Returns:
        Index of the nearest center; -1 for poses with a missing joint, or without size.

    Raises:
        ShapeError: If the joints are not those of the clusters.

    Example:
        >>> clusters = PoseClusters.bundled(50)
        >>> poses = torch.randn(3, 17, 3)
        >>> torch.equal(cluster_of(poses, clusters), cluster_of(2 * poses, clusters))
        True
    """
    n = clusters.centers.shape[-1]
    if 3 * joints.shape[-2] != n:
        raise ShapeError(
            f"These clusters are of {n // 3} joints of {clusters.skeleton}, got "
            f"{joints.shape[-2]} joints."
        )
    x = pose_directions(joints, clusters.root)
    flat = x.reshape(-1, n)
    fine = flat.isfinite().all(-1)
    found = torch.full(fine.shape, NOWHERE, device=x.device)
    found[fine] = _nearest(flat[fine], clusters.centers.to(flat))
    return found.reshape(x.shape[:-1])


def pss(
    pred: Float[Tensor, "*_pred J 3"],
    target: Float[Tensor, "*_target J 3"],
    clusters: PoseClusters | None = None,
) -> Float[Tensor, "*_out"]:
    """Whether poses are of the truth's kind.

    Args:
        pred: Predicted poses.
        target: True poses; leading axes broadcast.
        clusters: The bundled 50 if None.

    Returns:
        1 or 0 per pose; NaN where either has a missing joint or no size.

    Raises:
        ShapeError: If the joints are not those of the clusters.

    Example:
        >>> truth = torch.randn(4, 17, 3)
        >>> pss(0.8 * truth, truth).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    kinds = PoseClusters.bundled() if clusters is None else clusters
    a, b = cluster_of(pred, kinds), cluster_of(target, kinds)
    known = (a != NOWHERE) & (b != NOWHERE)
    return torch.where(known, (a == b).double(), torch.nan)


def cluster_entropy(
    joints: Float[Tensor, "*batch H F J 3"], clusters: PoseClusters | None = None
) -> Float[Tensor, "*batch F"]:
    """Entropy of the kinds that hypotheses fall into: 0 where all agree.

    A measure of multimodality: spread within a kind does not count. It is at most log H and log k,
    so compare at equal numbers of hypotheses and clusters.

    Args:
        joints: Hypotheses in axes of a camera.
        clusters: The bundled 50 if None.

    Returns:
        Nats per frame; NaN where a hypothesis has a missing joint or no size.

    Raises:
        ShapeError: If the joints are not those of the clusters.

    Example:
        >>> pose = torch.randn(17, 3)
        >>> cluster_entropy(pose.expand(8, 1, 17, 3)).item()
        0.0
    """
    kinds = PoseClusters.bundled() if clusters is None else clusters
    found = cluster_of(joints, kinds).movedim(-2, -1)
    one_hot = torch.nn.functional.one_hot(found.clamp(min=0), len(kinds.centers)).double()
    share = one_hot.mean(-2)
    entropy = torch.special.entr(share).sum(-1)
    return torch.where((found == NOWHERE).any(-1), torch.nan, entropy)


def _nearest(x: Float[Tensor, "N D"], centers: Float[Tensor, "K D"]) -> Int[Tensor, " N"]:
    """Index of the nearest center, the first on ties; memory does not grow with N."""
    parts = [torch.cdist(part, centers).argmin(-1) for part in torch.split(x, 4096)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.long, device=x.device)


def _spread(x: Float[Tensor, "N D"], k: int, generator: torch.Generator) -> Float[Tensor, "K D"]:
    """k-means++: each next center is a pose, drawn by its squared distance from those before."""
    chosen = [x[int(torch.randint(len(x), (), generator=generator))]]
    nearest = (x - chosen[0]).square().sum(-1)
    while len(chosen) < k:
        weight = nearest if bool(nearest.sum() > 0) else torch.ones_like(nearest)
        chosen.append(x[int(torch.multinomial(weight, 1, generator=generator))])
        nearest = torch.minimum(nearest, (x - chosen[-1]).square().sum(-1))
    return torch.stack(chosen)
