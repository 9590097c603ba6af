"""PMCE's co-evolution block: joints and vertices attend to each other and to themselves.

You et al., ICCV 2023, section 3.2. Both cross attentions start from the same joints and vertices;
queries keep their embedding in the residual, as released. Coordinates are residuals, embedded anew
by every block.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.networks.feed_forward import Mlp
from hypopose.networks.pmce.blocks import (
    AdaLayerNorm,
    CrossAttention,
    DropPath,
    SelfAttention,
)


class CrossBlock(nn.Module):
    """Cross attention and MLP.

    Args:
        width: Channels of queries and keys.
        value_width: Channels of values.
        n_heads: Heads.
        mlp_ratio: Hidden over outer width.
        cond_dim: Channels of the condition.
        drop_path: How often a branch is left out in training.
    """

    def __init__(
        self,
        width: int,
        value_width: int,
        n_heads: int,
        mlp_ratio: float,
        cond_dim: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.normq = AdaLayerNorm(width, cond_dim)
        self.normk = AdaLayerNorm(width, cond_dim)
        self.normv = AdaLayerNorm(value_width, cond_dim)
        self.attn = CrossAttention(width, value_width, n_heads)
        self.norm2 = AdaLayerNorm(width, cond_dim)
        self.mlp = Mlp(width, round(width * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(
        self,
        queries: Float[Tensor, "B N C"],
        keys: Float[Tensor, "B M C"],
        values: Float[Tensor, "B M E"],
        condition: Float[Tensor, "B D"],
    ) -> Float[Tensor, "B N C"]:
        """Queries, moved."""
        found = self.attn(
            self.normq(queries, condition),
            self.normk(keys, condition),
            self.normv(values, condition),
        )
        x = queries + self.drop_path(found)
        return x + self.drop_path(self.mlp(self.norm2(x, condition)))


class SelfBlock(nn.Module):
    """Self attention and MLP.

    Args:
        width: Channels.
        n_heads: Heads.
        mlp_ratio: Hidden over outer width.
        cond_dim: Channels of the condition.
        drop_path: How often a branch is left out in training.
    """

    def __init__(
        self, width: int, n_heads: int, mlp_ratio: float, cond_dim: int, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = AdaLayerNorm(width, cond_dim)
        self.attn = SelfAttention(width, n_heads)
        self.norm2 = AdaLayerNorm(width, cond_dim)
        self.mlp = Mlp(width, round(width * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(
        self, x: Float[Tensor, "B N C"], condition: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B N C"]:
        """Both branches."""
        x = x + self.drop_path(self.attn(self.norm1(x, condition)))
        return x + self.drop_path(self.mlp(self.norm2(x, condition)))


class CoevoBlock(nn.Module):
    """One block.

    Args:
        n_joints: Joints.
        n_vertices: Vertices.
        joint_dim: Channels of joints.
        vertex_dim: Channels of vertices.
        cond_dim: Channels of the condition.
        joint_heads: Heads of the joints' attentions.
        vertex_heads: Heads of the vertices' attentions.
        mlp_ratio: Hidden over outer width.
        drop_path: How often a branch is left out in training.
    """

    def __init__(
        self,
        n_joints: int,
        n_vertices: int,
        joint_dim: int = 64,
        vertex_dim: int = 64,
        cond_dim: int = 2048,
        joint_heads: int = 8,
        vertex_heads: int = 2,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        self.joint_proj = nn.Linear(3, joint_dim)
        self.vertx_proj = nn.Linear(3, vertex_dim)
        self.joint_pos_embed = nn.Parameter(torch.randn(1, n_joints, joint_dim))
        self.vertx_pos_embed = nn.Parameter(torch.randn(1, n_vertices, vertex_dim))
        self.proj_v2j_dim = nn.Linear(vertex_dim, joint_dim)
        self.proj_j2v_dim = nn.Linear(joint_dim, vertex_dim)
        self.j_Q_embed = nn.Parameter(torch.randn(1, n_joints, joint_dim))
        self.v_Q_embed = nn.Parameter(torch.randn(1, n_vertices, vertex_dim))
        self.v2j_K_embed = nn.Parameter(torch.randn(1, n_vertices, joint_dim))
        self.j2v_K_embed = nn.Parameter(torch.randn(1, n_joints, vertex_dim))
        rest = (mlp_ratio, cond_dim, drop_path)
        self.joint_CA_FFN = CrossBlock(joint_dim, vertex_dim, joint_heads, *rest)
        self.vertx_CA_FFN = CrossBlock(vertex_dim, joint_dim, vertex_heads, *rest)
        self.joint_SA_FFN = SelfBlock(joint_dim, joint_heads, *rest)
        self.vertx_SA_FFN = SelfBlock(vertex_dim, vertex_heads, *rest)
        self.proj_joint_feat2coor = nn.Linear(joint_dim, 3)
        self.proj_vertx_feat2coor = nn.Linear(vertex_dim, 3)

    def forward(
        self,
        joints: Float[Tensor, "B J 3"],
        vertices: Float[Tensor, "B V 3"],
        condition: Float[Tensor, "B D"],
        told: Float[Tensor, "B J C"] | None = None,
    ) -> tuple[Float[Tensor, "B J 3"], Float[Tensor, "B V 3"]]:
        """Joints and vertices, moved; meters.

        Args:
            joints: Of the pose.
            vertices: Of the coarse mesh.
            condition: Scales and shifts every norm.
            told: Added to the tokens of joints; ours.
        """
        j = self.joint_proj(joints) + self.joint_pos_embed
        j = j if told is None else j + told
        v = self.vertx_proj(vertices) + self.vertx_pos_embed
        of_joints = self.joint_CA_FFN(
            j + self.j_Q_embed, self.proj_v2j_dim(v) + self.v2j_K_embed, v, condition
        )
        of_vertices = self.vertx_CA_FFN(
            v + self.v_Q_embed, self.proj_j2v_dim(j) + self.j2v_K_embed, j, condition
        )
        j = self.joint_SA_FFN(of_joints, condition)
        v = self.vertx_SA_FFN(of_vertices, condition)
        return joints + self.proj_joint_feat2coor(j), vertices + self.proj_vertx_feat2coor(v)
