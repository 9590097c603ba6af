"""Local pose augmentation (reconstruction): learned changes of source bodies, for target cameras.

Chai, Jiang, Hwang and Wang, "Global Adaptation meets Local Generalization: Unsupervised Domain
Adaptation for 3D Human Pose Estimation", ICCV 2023 (PoseDA). No code of this part was published, so
this is a reconstruction from its parent PoseAug (Gong, Zhang and Feng, CVPR 2021): PoseAug's bends,
bone lengths and rotations, without its learned translation, because global position alignment
places bodies by the target's keypoints. It must not be cited as PoseDA's own training.

Generator and critics are trained in turn. The anchor critic compares bent bodies with those of the
source, so that they stay bodies; the target critic compares what the target's camera sees of them
with keypoints of the target, so that they come to look like its people.

| paper, parent's code | here |
| --- | --- |
| generator of parameters | :class:`~hypopose.networks.PoseAugmentor` |
| anchor critic (3D) | :class:`~hypopose.networks.StructureCritic` |
| target critic (2D) | :class:`~hypopose.networks.ImageCritic` |
| global position alignment | :func:`hypopose.simulation.align_clips` |
| adv: real scored to 0 and fake to 1, averaged | :func:`fooling_loss` |
| L_ba, L_bl | :func:`bend_loss`, :func:`ratio_loss` |
| feedback | :func:`feedback_loss` |
| replay of 4096 poses | :class:`Replay` |

Departures from the parent: rays instead of screen coordinates, so that cameras of the target may
differ; poses outside the image are dropped on both sides (it keeps those beyond the left and upper
edge); keypoints with missing joints place bodies and are not shown to the critic; the feedback is
of whole poses, not of groups of joints, and off unless a lifter is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.cameras import project_normalized, undistort
from hypopose.errors import OptionError
from hypopose.networks import Augmented, ImageCritic, PoseAugmentor, StructureCritic
from hypopose.simulation import Placed, align_clips
from hypopose.skeletons import get_skeleton
from hypopose.types import Camera, NoiseSource

MEAN_BEND, BEND_SLACK = 0.205, 0.165
"""Mean of 1 - cos that bends aim at, and how far they may be from it."""

RATIO_SLACK = 0.1
"""Relative changes of length below this cost nothing."""


@dataclass(frozen=True)
class LocalAugmentationOptions:
    """How the augmentation is trained; the parent's values.

    Args:
        width: Of the generator's layers.
        critic_width: Of the anchor critic's layers.
        largest_ratio: Bones change length by less than this, relative.
        learning_rate: Of generator and critics.
        critic_every: The critics learn in every such step.
        image_weight: Of the target critic, for the generator.
        structure_weight: Of the anchor critic, for the generator.
        change_weight: Of the limits on bends and lengths.
        feedback_weight: Of the lifter's feedback.
        feedback_target: How many times as hard as the source's poses augmented ones should be.
        feedback_slack: How far the ratio may be from it.
        replay: Poses that critics are reminded of.
        clip_norm: Largest norm of the critics' gradients.

    Raises:
        OptionError: If an option is out of range.
    """

    width: int = 256
    critic_width: int = 256
    largest_ratio: float = 0.2
    learning_rate: float = 1e-4
    critic_every: int = 2
    image_weight: float = 1.0
    structure_weight: float = 6.0
    change_weight: float = 3.0
    feedback_weight: float = 0.1
    feedback_target: float = 3.0
    feedback_slack: float = 2.0
    replay: int = 4096
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.critic_every < 1 or self.replay < 1 or not self.learning_rate > 0:
            raise OptionError(
                "critic_every and replay are 1 at least and learning_rate is positive, got "
                f"{self.critic_every}, {self.replay} and {self.learning_rate}."
            )


class LocalAugmentation:
    """Generator, critics, and their training in turn.

    Args:
        skeleton: Name of the joint set of source and target.
        options: How to train.
        seed: Of first weights, noise and replay.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> keypoints, truth = example_pair()
        >>> options = LocalAugmentationOptions(width=16)
        >>> augmentation = LocalAugmentation("h36m17", options, seed=0)
        >>> source, seen = truth.joints[:8, None], keypoints.xy[:8]
        >>> losses = augmentation.step(source, seen, keypoints.camera)
        >>> placed = augmentation.augment(source, seen, keypoints.camera)
        >>> placed.joints.shape, sorted(losses)[:2]
        (torch.Size([8, 1, 17, 3]), ['bend', 'generator'])
    """

    def __init__(
        self,
        skeleton: str = "h36m17",
        options: LocalAugmentationOptions | None = None,
        seed: int = 0,
    ) -> None:
        self.skeleton = get_skeleton(skeleton)
        self.options = o = options or LocalAugmentationOptions()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.augmentor = PoseAugmentor(
                o.width, largest_ratio=o.largest_ratio, skeleton=skeleton
            )
            self.structure = StructureCritic(o.critic_width, skeleton=skeleton)
            self.image = ImageCritic(n_joints=self.skeleton.n_joints)
        self.generator = torch.Generator().manual_seed(seed)
        critics = [*self.structure.parameters(), *self.image.parameters()]
        self.critics = torch.optim.Adam(critics, lr=o.learning_rate)
        self.optimizer = torch.optim.Adam(self.augmentor.parameters(), lr=o.learning_rate)
        self.remembered = {"structure": Replay(o.replay), "image": Replay(o.replay)}
        self.n_steps = 0

    def step(
        self,
        source: Float[Tensor, "B F J 3"],
        keypoints: Float[Tensor, "B J 2"],
        camera: Camera,
        hardness: Callable[[Placed], Float[Tensor, " B"]] | None = None,
    ) -> dict[str, float]:
        """One step of the generator, and of the critics if it is their turn.

        Args:
            source: Poses (F = 1) or clips of the source, in axes of a camera, in meters.
            keypoints: Of the target, in pixels, one frame for each clip; NaN where undetected.
            camera: The target's; its batch axes lead.
            hardness: A lifter's error on placed clips over that on the source's, differentiable;
                no feedback if None. NaN for those that are not kept.

        Returns:
            The generator's loss and its parts, and the critics' loss if they learned.

        Raises:
            OptionError: If there is one pose only, which batch norms cannot learn from.
            ShapeError: If poses and keypoints do not belong together.
        """
        if source.shape[0] * source.shape[1] < 2:
            raise OptionError("A step needs two poses or more; give a larger batch.")
        o = self.options
        out, placed = self._augmented(source, keypoints, camera)
        seen = _complete(project_normalized(placed.joints.flatten(0, 1)))
        real = _complete(undistort(keypoints, camera).to(source))
        fake = out.bent.flatten(0, 1)
        parts = {
            "structure": fooling_loss(self.structure(source.flatten(0, 1)), self.structure(fake)),
            "image": _if_any(fooling_loss, real, seen, self.image),
            "bend": bend_loss(out.bend),
            "ratio": ratio_loss(out.ratio),
        }
        total = (
            o.structure_weight * parts["structure"]
            + o.image_weight * parts["image"]
            + o.change_weight * (parts["bend"] + parts["ratio"])
        )
        if hardness is not None:
            parts["feedback"] = feedback_loss(hardness(placed), o.feedback_target, o.feedback_slack)
            total = total + o.feedback_weight * parts["feedback"]
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        self.optimizer.step()
        parts["generator"] = total
        self.n_steps += 1
        if self.n_steps % o.critic_every == 0:
            parts["critics"] = self._teach(source.flatten(0, 1), fake.detach(), real, seen.detach())
        return {name: float(x.detach()) for name, x in parts.items()}

    @torch.no_grad()
    def augment(
        self,
        source: Float[Tensor, "B F J 3"],
        keypoints: Float[Tensor, "B J 2"],
        camera: Camera,
        noise: NoiseSource | None = None,
    ) -> Placed:
        """New bodies where the target's people stand, as training data for a lifter.

        Args:
            source: Poses (F = 1) or clips of the source, in axes of a camera, in meters.
            keypoints: Of the target, in pixels, one frame for each clip; NaN where undetected.
            camera: The target's; its batch axes lead.
            noise: Of the generator; continues that of the training if None.

        Returns:
            Clips in the target's camera. Those with a joint outside the image are not kept.
        """
        self.augmentor.eval()
        try:
            _, placed = self._augmented(source, keypoints, camera, noise)
        finally:
            self.augmentor.train()
        size = placed.xy.new_tensor(camera.image_size)
        inside = ((placed.xy >= 0) & (placed.xy <= size)).flatten(1).all(1)[:, None]
        return Placed(placed.joints, placed.xy, placed.kept & inside)

    def state_dict(self) -> dict[str, Any]:
        """All that going on with the training needs."""
        modules = {name: getattr(self, name).state_dict() for name in _PARTS}
        pools = {name: pool.poses for name, pool in self.remembered.items()}
        random = self.generator.get_state()
        return {**modules, "remembered": pools, "generator": random, "n_steps": self.n_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`; steps repeat exactly.

        Args:
            state: Of an augmentation with the same options.
        """
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        for name, pool in self.remembered.items():
            pool.poses = state["remembered"][name]
        self.generator.set_state(state["generator"])
        self.n_steps = state["n_steps"]

    def _augmented(
        self,
        source: Float[Tensor, "B F J 3"],
        keypoints: Float[Tensor, "B J 2"],
        camera: Camera,
        noise: NoiseSource | None = None,
    ) -> tuple[Augmented, Placed]:
        out = self.augmentor(source, noise or self._normal)
        return out, align_clips(out.joints, keypoints.to(source), camera, self.skeleton)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def _teach(self, anchor: Tensor, fake: Tensor, real: Tensor, seen: Tensor) -> Tensor:
        """One step of both critics, on new poses mixed with replayed ones."""
        old = self.remembered["structure"].exchange(fake, self.generator)
        loss = judging_loss(self.structure(anchor), self.structure(old))
        shown = self.remembered["image"].exchange(seen, self.generator)
        loss = loss + _if_any(judging_loss, real, shown, self.image)
        self.critics.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        for critic in (self.structure, self.image):
            nn.utils.clip_grad_norm_(critic.parameters(), self.options.clip_norm)
        self.critics.step()
        return loss


_PARTS = ("augmentor", "structure", "image", "critics", "optimizer")


class Replay:
    """Poses the generator made before, so that critics do not forget them.

    Args:
        size: How many are kept.

    Example:
        >>> pool, generator = Replay(4), torch.Generator().manual_seed(0)
        >>> first = torch.zeros(4, 17, 3)
        >>> torch.equal(pool.exchange(first, generator), first)  # not full yet
        True
        >>> mixed = pool.exchange(torch.ones(4, 17, 3), generator)
        >>> sorted(mixed[:, 0, 0].tolist() + pool.poses[:, 0, 0].tolist())
        [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.poses: Tensor = torch.empty(0)

    def exchange(
        self, new: Float[Tensor, "B J C"], generator: torch.Generator
    ) -> Float[Tensor, "B J C"]:
        """Keep new poses while there is room; then swap half of them for old ones.

        Args:
            new: Just made, without gradient.
            generator: Which are swapped, and for which.

        Returns:
            As many poses, old and new.
        """
        room = max(0, self.size - len(self.poses))
        full = new[room:]
        out = new.clone()
        chosen = torch.nonzero(torch.rand(len(full), generator=generator) < 0.5)[:, 0]
        chosen = chosen[: len(self.poses)]
        places = torch.randperm(len(self.poses), generator=generator)[: len(chosen)]
        if len(chosen):
            out[room + chosen] = self.poses[places]
            self.poses[places] = full[chosen]
        kept = new[:room].clone()
        self.poses = torch.cat([self.poses, kept]) if len(self.poses) else kept
        return out


def fooling_loss(real: Float[Tensor, "*a s"], fake: Float[Tensor, "*b s"]) -> Float[Tensor, ""]:
    """What a generator minimizes: its poses scored 1, and, as released, the real ones 0.

    Args:
        real: A critic's raw scores of real poses.
        fake: Its scores of made ones.

    Example:
        >>> fooling_loss(torch.zeros(3, 1), torch.ones(2, 1)).item()
        0.0
    """
    return (real.square().mean() + (fake - 1).square().mean()) / 2


def judging_loss(real: Float[Tensor, "*a s"], fake: Float[Tensor, "*b s"]) -> Float[Tensor, ""]:
    """What a critic minimizes: real poses scored 1 and made ones 0 (least squares).

    Args:
        real: Its raw scores of real poses.
        fake: Its scores of made ones.

    Example:
        >>> judging_loss(torch.ones(3, 1), torch.zeros(2, 1)).item()
        0.0
    """
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def bend_loss(bend: Float[Tensor, "*batch bones"]) -> Float[Tensor, ""]:
    """Squared distance of a pose's mean bend from 0.205, where it exceeds 0.165.

    Args:
        bend: 1 - cos of the angle each bone was turned by.

    Example:
        >>> bend_loss(torch.full((3, 15), 0.2)).item()
        0.0
    """
    off = (bend.mean(-1) - MEAN_BEND).square()
    return torch.where(off > BEND_SLACK**2, off, 0.0).mean()


def ratio_loss(ratio: Float[Tensor, "*batch groups"]) -> Float[Tensor, ""]:
    """Squared relative change of lengths, where it exceeds 0.1.

    Args:
        ratio: Of each group of bones.

    Example:
        >>> round(ratio_loss(torch.tensor([[0.05, 0.2]])).item(), 3)
        0.02
    """
    square = ratio.square()
    return torch.where(square > RATIO_SLACK**2, square, 0.0).mean()


def feedback_loss(hardness: Float[Tensor, " B"], target: float, slack: float) -> Float[Tensor, ""]:
    """Squared distance of the ratio of errors from what is wanted, where it exceeds the slack.

    Args:
        hardness: A lifter's error on augmented poses over that on the poses they were made of; NaN
            where there is none.
        target: The ratio wanted.
        slack: How far from it costs nothing.

    Example:
        >>> feedback_loss(torch.tensor([1.0, 6.0, 3.0]), 3.0, 2.0).item()
        3.0
    """
    known = hardness[hardness.isfinite()]
    off = (known - target).square()
    return torch.where(off > slack**2, off, 0.0).sum() / max(1, len(known))


def _complete(xy: Float[Tensor, "N J 2"]) -> Float[Tensor, "M J 2"]:
    """Rows without a missing joint."""
    fine: Bool[Tensor, " N"] = xy.isfinite().flatten(1).all(1)
    return xy[fine]


def _if_any(
    loss: Callable[[Tensor, Tensor], Tensor], real: Tensor, fake: Tensor, critic: nn.Module
) -> Tensor:
    """0 if there is nothing to compare."""
    if not len(real) or not len(fake):
        return fake.new_zeros(())
    return loss(critic(real), critic(fake))
