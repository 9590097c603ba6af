"""A network that predicts the newest frames of a window only.

Ours. A live stream asks for one frame and shows a window of those before it. Networks whose first
blocks see keypoints alone (``FrameTokens(n_shared=...)``) run those over the whole window, once for
all hypotheses; behind them only the last ``reach`` frames go on, where every hypothesis costs its
own evaluation. With ``reach`` equal to the window it is the network itself.

With ``mirror`` every second hypothesis sees the mirror image of the keypoints, in the same batch:
what samplers do in two calls (``D3DP.mirror``), with weights read once.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.networks.base import NetworkInfo
from hypopose.networks.staged import StagedNetwork
from hypopose.skeletons import get_skeleton


class Newest(nn.Module):
    """Another network, whose hypotheses are made in the newest frames alone.

    Args:
        network: Any network that works in stages.
        reach: Frames at the end of a window that hypotheses see and fill.
        mirror: Whether every second hypothesis is drawn from mirrored keypoints; for networks whose
            inputs are centered, one clip at a time.

    Example:
        >>> from hypopose.networks import FrameTokens
        >>> network = FrameTokens(width=16, n_layers=2, n_heads=2, n_shared=1).eval()
        >>> x_t, xy = torch.randn(1, 5, 9, 17, 3), torch.randn(1, 9, 17, 2)
        >>> Newest(network, reach=4)(x_t, xy, torch.tensor([999.0])).shape
        torch.Size([1, 5, 9, 17, 3])
    """

    def __init__(self, network: StagedNetwork, reach: int, mirror: bool = False) -> None:
        super().__init__()
        self.network, self.reach, self.mirror = network, reach, mirror
        joints, keypoints = network.info.skeleton, network.info.keypoint_skeleton
        self._joints = list(get_skeleton(joints).flip_order)
        self._keypoints = list(get_skeleton(keypoints).flip_order)

    @property
    def info(self) -> NetworkInfo:
        """That of the network."""
        return self.network.info

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B _H F _J 3"]:
        """Poses of the newest frames; those before repeat the first of them."""
        if not self.mirror or x_t is None or x_t.shape[1] < 2:
            return self._newest(x_t, keypoints, t, confidence, mask, context)
        J, H = len(self._joints), x_t.shape[1]
        odd = torch.cat([_mirrored(x_t[:, 1::2, :, :J], self._joints), x_t[:, 1::2, :, J:]], -2)
        if H % 2:  # rows of a batch are as long: the last one is computed twice
            odd = torch.cat([odd, odd[:, -1:]], 1)
        seen = torch.cat([keypoints, _mirrored(keypoints, self._keypoints)])
        sure = (
            None
            if confidence is None
            else torch.cat([confidence, confidence[..., self._keypoints]])
        )
        y = self._newest(
            torch.cat([x_t[:, ::2], odd]), seen, _twice(t), sure, _twice(mask), _twice(context)
        )
        straight, across = y.chunk(2)
        return torch.stack([straight, _mirrored(across, self._joints)], 2).flatten(1, 2)[:, :H]

    def _newest(
        self,
        x_t: Tensor | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Tensor | None,
        confidence: Tensor | None,
        mask: Tensor | None,
        context: Tensor | None,
    ) -> Float[Tensor, "B _H F _J 3"]:
        tokens = self.network.enter(x_t, keypoints, t, confidence, mask, context)
        n_frames = keypoints.shape[1]
        reach = min(self.reach, n_frames)
        n_shared = getattr(self.network.config, "n_shared", 0) or 0
        for i in range(self.network.n_stages):
            if i == n_shared and reach < n_frames:
                newest = torch.arange(n_frames - reach, n_frames, device=keypoints.device)
                tokens = tokens.keep(newest.expand(tokens.x.shape[0], -1))
            tokens = self.network.stage(i, tokens)
        poses = self.network.leave(tokens)
        poses = poses.reshape(keypoints.shape[0], -1, *poses.shape[1:])
        before = poses[:, :, :1].expand(-1, -1, n_frames - reach, -1, -1)
        return torch.cat([before, poses], 2)


def _mirrored(x: Float[Tensor, "*any J C"], order: list[int]) -> Float[Tensor, "*any J C"]:
    """X negated, left and right swapped."""
    image = x[..., order, :].clone()
    image[..., 0] *= -1
    return image


def _twice(x: Tensor | None) -> Tensor | None:
    return None if x is None else torch.cat([x, x])
