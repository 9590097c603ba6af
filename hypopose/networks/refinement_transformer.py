"""PoSynDA's refinement transformer: poses in, corrected poses out, joint after joint.

Liu et al., "PoSynDA: Multi-hypothesis pose synthesis domain adaptation for robust 3D human pose
estimation", ACM MM 2023, the released code (where it is called a weight model). One token a joint;
joint i attends to joints 0 to i.

| released code | here |
| --- | --- |
| ``ninp``, ``nhead``, ``nhid``, ``nlayers`` | ``width``, ``n_heads``, ``hidden``, ``n_layers`` |
| ``encoder``, ``decoder`` | linear layers in and out, the same names |
| ``pos_encoder.pe`` | :func:`position_code` |

Departures, each undone by an option:

* The released position code is indexed by the row of the batch, not by the joint, so that a pose's
  result depends on what else is refined with it (``position="row"``). Here it tells joints apart.
* The released output replaces the pose, and is noise at first (``residual=False``). Here it is
  added to the pose, and zero at first.

The root joint is set to 0 at the end, as there.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.errors import ShapeError
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.skeletons import get_skeleton


class RefinementTransformer(PretrainedNetwork):
    """Correct poses one by one.

    Args:
        width: Width of a token.
        n_layers: Encoder layers, norms behind.
        n_heads: Attention heads.
        hidden: Width of the feed-forward layers.
        dropout: In training.
        position: What the position code tells apart: ``"joint"``, or ``"row"`` of the batch as
            released.
        residual: Whether the output is added to the input; False as released.
        skeleton: Name of the joint set, whose root is set to 0.

    Raises:
        ShapeError: If the width is not even, or does not divide into heads.

    Example:
        >>> network = RefinementTransformer(width=16, n_layers=1, n_heads=2, hidden=16).eval()
        >>> poses = torch.randn(5, 4, 17, 3)
        >>> poses[..., 0, :] = 0
        >>> torch.equal(network(poses), poses)  # nothing is corrected before it has learned
        True
    """

    @recorded
    def __init__(
        self,
        width: int = 512,
        n_layers: int = 8,
        n_heads: int = 8,
        hidden: int = 512,
        dropout: float = 0.5,
        position: Literal["joint", "row"] = "joint",
        residual: bool = True,
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        if width % n_heads or width % 2:
            raise ShapeError(f"width must be even and a multiple of n_heads, got {width}.")
        self.encoder = nn.Linear(3, width)
        layer = nn.TransformerEncoderLayer(width, n_heads, hidden, dropout, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(
            layer, n_layers, enable_nested_tensor=False
        )
        self.drop = nn.Dropout(dropout)
        self.decoder = nn.Linear(width, 3)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        if residual:
            nn.init.zeros_(self.decoder.weight)

    def forward(self, poses: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch J 3"]:
        """Correct poses.

        Args:
            poses: Root-relative, in the unit of the training.

        Returns:
            Poses with the root at 0.

        Raises:
            ShapeError: If the joints are not those of the skeleton.
        """
        body = get_skeleton(self.config.skeleton)
        if poses.shape[-2:] != (body.n_joints, 3):
            raise ShapeError(
                f"RefinementTransformer reads {body.n_joints} joints of {body.name}, got "
                f"{tuple(poses.shape)}."
            )
        x = poses.reshape(-1, *poses.shape[-2:])
        out = self.decoder(self.transformer_encoder(self._tokens(x), self._earlier(x)))
        out = (x + out if self.config.residual else out).reshape(poses.shape)
        keep = torch.ones_like(out[..., :1])
        keep[..., body.root, :] = 0
        return out * keep

    def _tokens(self, x: Float[Tensor, "N J 3"]) -> Float[Tensor, "N J width"]:
        width = self.config.width
        by_row = self.config.position == "row"
        code = position_code(x.shape[0] if by_row else x.shape[1], width).to(x)
        return self.drop(self.encoder(x) * math.sqrt(width) + (code[:, None] if by_row else code))

    def _earlier(self, x: Float[Tensor, "N J 3"]) -> Float[Tensor, "J J"]:
        """Minus infinity where a joint would see a later one."""
        return nn.Transformer.generate_square_subsequent_mask(x.shape[1], x.device, x.dtype)


def position_code(n: int, width: int) -> Float[Tensor, "n width"]:
    """Sines in even channels, cosines in odd ones.

    Args:
        n: Positions.
        width: Channels, an even number.

    Example:
        >>> position_code(2, 4)[0].tolist()
        [0.0, 1.0, 0.0, 1.0]
    """
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
    angle = torch.arange(n)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)
