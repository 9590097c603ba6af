"""The error covariance of a prior's prediction, given a noisy motion.

A prior's error is not white noise: errors of joints that share a bone, and of neighboring frames,
are correlated. The clean motion is û + B c, where c are corrections at moments a tenth of a second
apart and B interpolates between them. Before x_t is read, bones point anywhere, independently, and
forget exponentially; the root strays by ``path_std``:

    c ~ N(0, K ⊗ S),   S_jk = Σ over the bones shared by j and k of (share · length)²,
    K_ab = exp(-|t_a - t_b| / memory)

x_t sees every frame with variance ρ = (1 - ᾱ) / (ᾱ scale²). A network is not exact at low noise:
ours errs by 47 mm per coordinate however little noise there is. So ρ is at least ``floor_std``²,
and keypoints keep their influence until the last step:

    Λ = (K ⊗ S)⁻¹ + B'B ⊗ R / max(ρ, floor²)

With ``share`` 0.46 (0.8 / √3), a memory of 1 s and a floor of 0.17 m the deviations of joints are
those measured on people the bundled prior has not seen, from hips to wrists and at all noise
levels, within a quarter (``benchmarks/platypose.py error_covariance``).

| symbol | here |
| --- | --- |
| B, Λ | ``basis``, ``own`` and ``beside`` |
| S, R | :func:`body_covariance`, :func:`reading_precision` |
| K | ``memory``, in moments |
| ρ | ``left`` |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.skeletons import H36M17
from hypopose.types import Skeleton

MOMENT_S = 0.1
"""Seconds between two corrections."""

LENGTHS = (
    0.13, 0.44, 0.42, 0.13, 0.44, 0.42, 0.24, 0.24, 0.11, 0.12, 0.16, 0.28, 0.25, 0.16, 0.28, 0.25,
)  # fmt: skip
"""Of an adult's bones in meters, in the order of Human3.6M-17."""

ANY_LENGTH = 0.25
"""Of a bone of another skeleton, meters."""

SHARE = 0.46
"""Deviation of a bone's end per coordinate over its length; 0.58 if it pointed anywhere."""


def body_covariance(skeleton: Skeleton, path_std: float) -> Float[Tensor, "J J"]:
    """S: covariance of one coordinate of the joints, square meters.

    Args:
        skeleton: Of the motion.
        path_std: Deviation of the root's path in meters; all joints go with it.

    Example:
        >>> body_covariance(H36M17, 0.5).diagonal()[[0, 1, 3]].sqrt()
        tensor([0.5000, 0.5036, 0.5761], dtype=torch.float64)
    """
    known = skeleton.name == H36M17.name
    lengths = LENGTHS if known else (ANY_LENGTH,) * len(skeleton.bones)
    above = {child: (i, parent) for i, (parent, child) in enumerate(skeleton.bones)}
    roots = [j for j, parent in enumerate(skeleton.parents) if parent < 0]
    along = torch.zeros(skeleton.n_joints, len(lengths) + len(roots), dtype=torch.float64)
    for j in range(skeleton.n_joints):
        at = j
        while at in above:
            i, at = above[at]
            along[j, i] = SHARE * lengths[i]
        along[j, len(lengths) + roots.index(at)] = path_std
    return along @ along.T


def reading_precision(skeleton: Skeleton) -> Float[Tensor, "J J"]:
    """Precision of joints, 1/m², given noise of 1 m² on every slot (joints less the root)."""
    slots = torch.eye(skeleton.n_joints, dtype=torch.float64)
    slots[1:, 0] -= 1
    return slots.T @ slots


def moment_basis(n_frames: int, fps: float) -> Float[Tensor, "F N"]:
    """B: linear interpolation between moments about ``MOMENT_S`` apart, both ends included.

    Example:
        >>> moment_basis(4, 20.0)[:, 0].tolist()
        [1.0, 0.33333333333333337, 0.0, 0.0]
    """
    n = max(1, round((n_frames - 1) / max(1.0, fps * MOMENT_S)))
    if n_frames == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    at = torch.arange(n_frames, dtype=torch.float64) * n / (n_frames - 1)
    moments = torch.arange(n + 1, dtype=torch.float64)
    return (1 - (at[:, None] - moments).abs()).clamp(min=0)


@dataclass(frozen=True, eq=False)
class ErrorCovariance:
    """What is left to learn about a motion: a normal distribution of corrections to its estimate.

    Args:
        basis: From corrections at moments to frames.
        own: Blocks of the precision on the diagonal, 1/m².
        beside: Blocks below the diagonal.
    """

    basis: Float[Tensor, "F N"]
    own: Float[Tensor, "N D D"]
    beside: Float[Tensor, "M D D"]

    @staticmethod
    def of(
        covariance: Float[Tensor, "J J"],
        reading: Float[Tensor, "J J"],
        basis: Float[Tensor, "F N"],
        memory: float,
        left: float,
    ) -> ErrorCovariance:
        """After a noisy version was read.

        Args:
            covariance: S, per coordinate.
            reading: Precision of what is read if ``left`` is 1.
            basis: B.
            memory: Moments after which a correction counts for 37 %.
            left: max(ρ, floor²), m².

        Example:
            >>> one = torch.eye(2).double()
            >>> one = ErrorCovariance.of(one, one, torch.ones(1, 1).double(), 1.0, 1.0)
            >>> one.own[0, 0, 0].item()
            2.0
        """
        three = torch.eye(3, dtype=torch.float64)
        still = torch.kron(torch.linalg.inv(covariance).contiguous(), three)
        n, same = basis.shape[1], torch.kron(reading, three)
        a = math.exp(-1 / memory)
        times = torch.full((n,), (1 + a * a) / (1 - a * a), dtype=torch.float64)
        times[[0, -1]] = 1 / (1 - a * a) if n > 1 else 1.0
        read = basis.T @ basis / left
        own = times[:, None, None] * still + read.diagonal()[:, None, None] * same
        step = torch.full((n - 1,), -a / (1 - a * a), dtype=torch.float64)
        beside = step[:, None, None] * still + read.diagonal(-1)[:, None, None] * same
        return ErrorCovariance(basis, own, beside)

    def slot_std(self) -> Float[Tensor, " J"]:
        """Standard deviation of each slot per coordinate in meters, mean over frames.

        Example:
            >>> basis = moment_basis(4, 20.0)
            >>> parts = body_covariance(H36M17, 0.5), reading_precision(H36M17), basis
            >>> ErrorCovariance.of(*parts, memory=10.0, left=1e9).slot_std()[2].item()
            0.2088...
        """
        N, D = len(self.own), self.own.shape[-1]
        whole = torch.zeros(N, N, D, D, dtype=torch.float64)
        k = torch.arange(N)
        whole[k, k] = self.own
        whole[k[1:], k[:-1]], whole[k[:-1], k[1:]] = self.beside, self.beside.mT
        covariance = torch.linalg.inv(whole.transpose(1, 2).reshape(N * D, N * D))
        slots = torch.eye(D, dtype=torch.float64)
        slots[3:, :3] -= torch.eye(3, dtype=torch.float64).repeat(D // 3 - 1, 1)
        frames = torch.kron(self.basis, slots)
        variance = (frames @ covariance * frames).sum(1)
        return variance.reshape(-1, D // 3, 3).mean((0, 2)).sqrt()

    def times(self, c: Float[Tensor, "H N D"]) -> Float[Tensor, "H N D"]:
        """Λ c."""
        out = torch.einsum("nab,hnb->hna", self.own, c)
        out[:, 1:] += torch.einsum("nab,hnb->hna", self.beside, c[:, :-1])
        out[:, :-1] += torch.einsum("nba,hnb->hna", self.beside, c[:, 1:])
        return out


class BlockChain(NamedTuple):
    """Cholesky factor of a precision whose blocks meet only their neighbors.

    Args:
        own: Lower triangular blocks on the diagonal.
        beside: Blocks below the diagonal.
    """

    own: list[Tensor]
    beside: list[Tensor]

    @staticmethod
    def of(own: Float[Tensor, "H N D D"], beside: Float[Tensor, "H M D D"]) -> BlockChain:
        """Factor; what is not positive definite comes out not finite or wrong, and raises nothing.

        Args:
            own: Blocks on the diagonal.
            beside: Blocks below it, one less.
        """
        block = own[:, 0]
        diagonal: list[Tensor] = []
        below: list[Tensor] = []
        for k in range(own.shape[1]):
            if k:
                under = torch.linalg.solve_triangular(
                    diagonal[-1], beside[:, k - 1].mT, upper=False
                )
                below.append(under.mT)
                block = own[:, k] - under.mT @ under
            diagonal.append(torch.linalg.cholesky_ex(block)[0])
        return BlockChain(diagonal, below)

    def forward(self, right: Float[Tensor, "H N D C"]) -> Float[Tensor, "H N D C"]:
        """L⁻¹ b."""
        out: list[Tensor] = []
        for k, block in enumerate(self.own):
            b = right[:, k] - self.beside[k - 1] @ out[-1] if k else right[:, 0]
            out.append(torch.linalg.solve_triangular(block, b, upper=False))
        return torch.stack(out, 1)

    def backward(self, half: Float[Tensor, "H N D"]) -> Float[Tensor, "H N D"]:
        """L⁻ᵀ y; of standard normals, a draw."""
        out: list[Tensor] = []
        for k in reversed(range(len(self.own))):
            y = half[:, k, :, None]
            y = y - self.beside[k].mT @ out[-1] if out else y
            out.append(torch.linalg.solve_triangular(self.own[k].mT, y, upper=True))
        return torch.stack(out[::-1], 1)[..., 0]
