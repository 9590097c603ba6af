"""Fill gaps in 2D keypoints and 3D motions with what hypotheses say, and say how sure that is.

Hypotheses drawn for a motion with gaps have a value everywhere, and beside a gap they miss what was
seen by a little. Each is therefore shifted by its own errors e = seen − h:

    filled_h(t, j) = h(t, j) + w1 e(t1, j) + w2 e(t2, j) + (1 − w1 − w2) e(t, k)

t1 and t2 are the nearest frames in which joint j was seen, with the weights of a process that
forgets exponentially (the Ornstein-Uhlenbeck bridge); k is the joint seen in frame t that is fewest
bones away. Filled joints then join what was seen without a jump and hang on the body, and the
spread over hypotheses shrinks towards both ends of a gap by itself. What was seen is never changed.

2D comes from any sampler, by projection. For 3D the known joints are seen by two made-up cameras
at right angles, and the sampler's hypotheses for both are taken back to where they belong. A
network of masked poses (:class:`hypopose.networks.MPM`) fills in both by itself, without a spread.

| symbol | here |
| --- | --- |
| h, seen | ``values``, ``observed`` |
| w1, w2 | :func:`bridge_weights` |
| k | :func:`nearest_joints` |
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.cameras import from_screen, hypothesis_camera, project, to_screen
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.networks.inputs import ASSUMED_FPS
from hypopose.networks.mpm import MPM
from hypopose.samplers.windows import blend_weights, take_frames, window_starts
from hypopose.skeletons import convert, get_conversion, get_skeleton
from hypopose.types import Camera, Hypotheses, Keypoints2D, NoiseSource, Poses3D, Sampler, Skeleton

MEMORY_S = 0.2
"""After so many seconds an error at a seen frame is believed to 37 %."""

MIN_CONFIDENCE = 0.05
"""Of a filled keypoint nothing is known about."""

LONG_S, SHORT_S = 1.0, 0.1
"""Gaps up to so many seconds, with both ends seen, are straight lines to either half of the
hypotheses."""

LINE_CONFIDENCE = 0.5
"""Of what lies on such a line."""

N_FOR_ROOT = 4
"""Keypoints of a frame that place the root; with fewer it lies between its neighbors."""


@dataclass(frozen=True, eq=False)
class CompletedKeypoints:
    """Keypoints without gaps, as far as they could be filled.

    Args:
        keypoints: Filled ones have a confidence by their spread, at least 0.05; seen ones are as
            they were.
        filled: Which were filled.
        std: Standard deviation of a filled keypoint per axis in pixels; NaN where nothing was
            filled, or the method has no spread.
    """

    keypoints: Keypoints2D
    filled: Bool[Tensor, "F J"]
    std: Float[Tensor, "F J"]


@dataclass(frozen=True, eq=False)
class CompletedMotion:
    """A 3D motion without gaps.

    Args:
        poses: Complete, with the standard deviation of what was filled (0 for what was seen).
        filled: Which joints were filled.
    """

    poses: Poses3D
    filled: Bool[Tensor, "F J"]

    @property
    def joints(self) -> Float[Tensor, "F J 3"]:
        """Where the joints are, in the frame of the motion that came."""
        root = self.poses.root
        return self.poses.joints if root is None else self.poses.joints + root[:, None]


def complete_keypoints(
    keypoints: Keypoints2D,
    hypotheses: Hypotheses,
    others: Hypotheses | None = None,
    *,
    memory_s: float = MEMORY_S,
) -> CompletedKeypoints:
    """Fill missing keypoints with projections of hypotheses drawn for them.

    Args:
        keypoints: With a camera, without batch axes; NaN where missing, any skeleton.
        hypotheses: Of the same frames. Joints that mean the same in both skeletons are filled,
            others (faces, hands) stay missing.
        others: Hypotheses that only widen the spread, see :func:`completed_keypoints`.
        memory_s: How long an error at a seen frame is believed, in seconds.

    Returns:
        The mean over hypotheses, and how far all lie from it.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        OptionError: If no frame has enough keypoints to place the person.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> from hypopose.samplers import BoneFlips
        >>> keypoints, _ = example_pair()
        >>> drawn = BoneFlips().sample(keypoints, 3, seeded_noise(0))
        >>> xy = keypoints.xy.clone()
        >>> xy[10:20, 16] = torch.nan
        >>> done = complete_keypoints(replace(keypoints, xy=xy), drawn)
        >>> int(done.filled.sum()), bool(done.keypoints.detected.all())
        (10, True)
    """
    if keypoints.camera is None:
        raise MissingCameraError(
            "Completion projects hypotheses into the image, but these keypoints carry no camera. "
            "Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    values = _projected(keypoints, hypotheses)
    wide = None if others is None else _projected(keypoints, others)
    return _filled(keypoints, values, memory_s, wide)


@torch.no_grad()
def completed_keypoints(
    keypoints: Keypoints2D,
    sampler: Sampler,
    n_hypotheses: int,
    noise: NoiseSource,
    *,
    memory_s: float = MEMORY_S,
) -> CompletedKeypoints:
    """Draw hypotheses for keypoints with gaps, and fill the gaps with them.

    Half of the hypotheses see straight lines in gaps of up to a second, which errs least, and give
    the mean. The others see them in gaps of a tenth of a second only: where the two halves differ,
    the straight line is a guess, and the spread says so.

    Args:
        keypoints: See :func:`complete_keypoints`; in the sampler's skeleton or one that can be
            converted to it.
        sampler: Draws them.
        n_hypotheses: How many in all, at least 2.
        noise: Source of randomness.
        memory_s: How long an error at a seen frame is believed, in seconds.

    Raises:
        OptionError: If there are fewer than two hypotheses.
    """
    read = getattr(sampler, "keypoint_skeleton", sampler.skeleton)
    sets = []
    for n, longest_s in _halves(n_hypotheses):
        xy = bridged_gaps(keypoints.xy, keypoints.fps, longest_s)
        confidence = keypoints.confidence
        if confidence is not None:
            drawn = ~keypoints.detected & torch.isfinite(xy).all(-1)
            confidence = torch.where(drawn, LINE_CONFIDENCE, confidence)
        plain = replace(keypoints, xy=xy, confidence=confidence, covariance=None)
        if plain.skeleton.name != read.name:
            plain = convert(plain, read)
        sets.append(sampler.sample(plain, n, noise))
    return complete_keypoints(keypoints, *sets, memory_s=memory_s)


def _halves(n_hypotheses: int) -> tuple[tuple[int, float], tuple[int, float]]:
    if n_hypotheses < 2:
        raise OptionError(f"n_hypotheses must be at least 2 here, got {n_hypotheses}.")
    return ((n_hypotheses + 1) // 2, LONG_S), (n_hypotheses // 2, SHORT_S)


def _projected(keypoints: Keypoints2D, hypotheses: Hypotheses) -> Float[Tensor, "H F J 2"]:
    """Pixels of the joints that both skeletons have, NaN for the others."""
    pairs = shared_joints(keypoints.skeleton, hypotheses.skeleton)
    here, there = (list(column) for column in zip(*pairs, strict=True))
    root = _root_everywhere(hypotheses, keypoints.detected)
    points = hypotheses.joints[..., there, :] + root[..., None, :]
    assert keypoints.camera is not None  # the caller has seen to it
    px = project(points, hypothesis_camera(hypotheses, keypoints.camera))
    values = torch.full((len(hypotheses), *keypoints.xy.shape), torch.nan).to(px)
    values[..., here, :] = px
    return values


def complete_keypoints_by_network(
    keypoints: Keypoints2D, network: MPM, *, memory_s: float = MEMORY_S
) -> CompletedKeypoints:
    """Fill missing keypoints with a network of masked poses.

    Args:
        keypoints: With image size, without batch axes, in the network's skeleton or one that can
            be converted to it; joints that mean the same in both are filled.
        network: Trained to complete, in eval mode.
        memory_s: How long an error at a seen frame is believed, in seconds.

    Returns:
        The network's keypoints where they were missing; it has no spread.

    Raises:
        OptionError: If the image size is unknown.
        SkeletonMismatchError: If no conversion to the network's skeleton is known.
    """
    size = _image_size(keypoints)
    if size is None:
        raise OptionError("This network reads screen coordinates; give the image size.")
    skeleton = get_skeleton(network.info.keypoint_skeleton)
    here, there = (list(c) for c in zip(*shared_joints(keypoints.skeleton, skeleton), strict=True))
    read = convert(keypoints, skeleton) if keypoints.skeleton.name != skeleton.name else keypoints
    said = _reconstructed(network, to_screen(read.xy, size), ~read.detected)
    values = torch.full_like(keypoints.xy, torch.nan)
    values[:, here] = from_screen(said, size)[:, there].to(values)
    return _filled(keypoints, values[None], memory_s)


@torch.no_grad()
def complete_motion(
    poses: Poses3D,
    sampler: Sampler,
    n_hypotheses: int,
    noise: NoiseSource,
    *,
    fps: float | None = None,
    memory_s: float = MEMORY_S,
) -> CompletedMotion:
    """Fill missing joints of a 3D motion.

    Args:
        poses: Meters, y down (camera frame); NaN where missing. With a root, joints are relative
            to it and both may have gaps.
        sampler: Draws motions in the skeleton of the poses; half of them for each made-up camera.
        n_hypotheses: How many motions are drawn, at least 2; their mean is taken.
        noise: Source of randomness.
        fps: Frames per second; 30 if unknown.
        memory_s: How long an error at a seen frame is believed, in seconds.

    Returns:
        What was known unchanged, the rest filled.

    Raises:
        SkeletonMismatchError: If the sampler draws another skeleton.
        OptionError: If nothing is known, or sizes are not those of a person in meters.
    """
    _check_skeleton(poses.skeleton, sampler.skeleton.name, "3D motions")
    points = poses.joints if poses.root is None else poses.joints + poses.root[:, None]
    seen = _known(points)
    middle = points[seen].median(0).values
    distance = 4.0 + float((points - middle)[seen].norm(dim=-1).amax())
    shift = torch.tensor([0.0, 0.0, distance])
    camera = replace(Camera.from_fov((1000, 1000)), assumed=False)
    sets = []
    for half, longest_s in _halves(n_hypotheses):
        parts, plain = [], bridged_gaps(points, fps, longest_s) - middle
        for turn, n in ((_turn(0.0), (half + 1) // 2), (_turn(90.0), half // 2)):
            if n:
                xy = project(plain @ turn.mT + shift, camera)
                view = Keypoints2D(xy, poses.skeleton, camera=camera, fps=fps)
                drawn = sampler.sample(view, n, noise)
                root = _root_everywhere(drawn, seen)
                parts.append((drawn.joints + root[..., None, :] - shift) @ turn + middle)
        sets.append(torch.cat(parts))
    return _completed(poses, points, sets[0], fps, memory_s, sets[1])


def complete_motion_by_network(
    poses: Poses3D, network: MPM, *, fps: float | None = None, memory_s: float = MEMORY_S
) -> CompletedMotion:
    """Fill missing joints of a 3D motion with a network of masked poses.

    Args:
        poses: See :func:`complete_motion`.
        network: Trained to complete, in eval mode.
        fps: Frames per second; 30 if unknown.
        memory_s: How long an error at a seen frame is believed, in seconds.

    Raises:
        SkeletonMismatchError: If the network knows another skeleton.
        OptionError: If nothing is known, or sizes are not those of a person in meters.
    """
    _check_skeleton(poses.skeleton, network.info.skeleton, "3D motions")
    points = poses.joints if poses.root is None else poses.joints + poses.root[:, None]
    seen, r = _known(points), poses.skeleton.root
    near = torch.where(seen[..., None], points, torch.nan).nanmedian(1).values
    root = between(torch.where(seen[:, r, None], points[:, r], torch.nan))
    root = between(near) if not bool(torch.isfinite(root).all()) else root
    said = _reconstructed(network, points - root[:, None], ~seen)
    return _completed(poses, points, (said + root[:, None])[None], fps, memory_s)


def bridged_gaps(
    points: Float[Tensor, "F J D"], fps: float | None, longest_s: float = LONG_S
) -> Float[Tensor, "F J D"]:
    """Short gaps as straight lines, so that a sampler sees what is plain; others stay missing.

    Args:
        points: NaN where missing.
        fps: Frames per second; 30 if unknown.
        longest_s: Of a gap, in seconds.

    Example:
        >>> x = torch.tensor([0.0, torch.nan, 2.0, torch.nan]).reshape(4, 1, 1)
        >>> bridged_gaps(x, 30.0).flatten().tolist()
        [0.0, 1.0, 2.0, nan]
    """
    filled, longest = points.clone(), longest_s * (fps or ASSUMED_FPS)
    for j in range(points.shape[1]):
        seen = torch.isfinite(points[:, j]).all(-1)
        if bool(seen.any()):
            _, ends = bridge_weights(seen, 1.0)
            frame = torch.arange(len(seen))
            inside = (ends[:, 0] <= frame) & (frame <= ends[:, 1])
            short = inside & (ends[:, 1] - ends[:, 0] - 1 <= longest)
            filled[:, j] = torch.where(short[:, None], between(points[:, j]), points[:, j])
    return filled


def shared_joints(source: Skeleton, target: Skeleton) -> list[tuple[int, int]]:
    """Joints that mean the same in two skeletons.

    Args:
        source: Of keypoints.
        target: Of hypotheses.

    Returns:
        Pairs of indices.

    Raises:
        SkeletonMismatchError: If no conversion is known.

    Example:
        >>> from hypopose.skeletons import COCO17, H36M17
        >>> len(shared_joints(COCO17, H36M17))
        12
    """
    if source.name == target.name:
        return [(j, j) for j in range(source.n_joints)]
    conversion = get_conversion(source, target)
    pairs = []
    for j, name in enumerate(target.joint_names):
        first = next(iter(conversion.recipes.get(name, ())), None)
        if first is not None and name not in conversion.approximate and len(first) == 1:
            pairs.append((source.index(next(iter(first))), j))
    return pairs


def bridge_weights(seen: Bool[Tensor, " F"], memory: float) -> tuple[Float[Tensor, "F 2"], Tensor]:
    """How much the nearest seen frames before and after say about every frame.

    Args:
        seen: At least one is True.
        memory: Frames after which an error is believed to 37 %.

    Returns:
        Weights, and the two frames; 0 where there is none on that side, 1 at a seen frame.

    Example:
        >>> weights, frames = bridge_weights(torch.tensor([True, False, False, True]), 1e6)
        >>> weights[1].tolist(), frames[1].tolist()
        ([0.6666..., 0.3333...], [0, 3])
    """
    frame, known = torch.arange(len(seen)), seen.nonzero()[:, 0]
    after = torch.searchsorted(known, frame)
    before = torch.searchsorted(known, frame, right=True) - 1
    has_before, has_after = before >= 0, after < len(known)
    start = known[before.clamp(min=0)]
    end = known[after.clamp(max=len(known) - 1)]
    a = ((frame - start) / memory).double().clamp(min=0)
    b = ((end - frame) / memory).double().clamp(min=0)
    span = torch.where(has_before & has_after, a + b, torch.inf)
    # sinh(b) / sinh(a + b), written so that long gaps do not overflow
    total = -torch.expm1(-2 * span)
    w1 = torch.where(span > 0, (-a).exp() * -torch.expm1(-2 * b.clamp(max=span)) / total, 1.0)
    w2 = torch.where(span > 0, (-b).exp() * -torch.expm1(-2 * a.clamp(max=span)) / total, 0.0)
    w1 = torch.where(has_after, w1, (-a).exp()) * has_before
    w2 = torch.where(has_before, w2, (-b).exp()) * has_after
    return torch.stack([w1, w2], -1).float(), torch.stack([start, end], -1)


def nearest_joints(
    seen: Bool[Tensor, "F J"], skeleton: Skeleton
) -> tuple[Tensor, Bool[Tensor, "F J"]]:
    """The seen joint of the same frame that is fewest bones away.

    Args:
        seen: Where joints were seen.
        skeleton: Whose bones.

    Returns:
        Its index, and whether there is one within three bones; a seen joint is its own.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> seen = torch.ones(1, 17, dtype=torch.bool)
        >>> seen[0, 15:] = False  # an elbow and a wrist
        >>> nearest_joints(seen, H36M17)[0][0, -3:].tolist()
        [14, 14, 14]
    """
    n = skeleton.n_joints
    far = torch.full((n, n), float(4 * n)).fill_diagonal_(0.0)
    for a, b in skeleton.bones:
        far[a, b] = far[b, a] = 1.0
    for k in range(n):  # Floyd and Warshall
        far = torch.minimum(far, far[:, k, None] + far[k])
    away = torch.where(seen[:, None], far, torch.inf)  # frame, missing joint, seen joint
    best = away.min(-1)
    return best.indices, best.values <= 3


def bridged(
    values: Float[Tensor, "H F J D"],
    observed: Float[Tensor, "F J D"],
    seen: Bool[Tensor, "F J"],
    skeleton: Skeleton,
    memory: float,
) -> Float[Tensor, "H F J D"]:
    """Values moved onto what was seen, the more the nearer in time, and then with the body.

    Args:
        values: Of the hypotheses.
        observed: What was seen.
        seen: Where.
        skeleton: Of both.
        memory: In frames.

    Returns:
        Equal to ``observed`` where ``seen``.
    """
    known = seen & torch.isfinite(values).all(-1).all(0)
    off = torch.where(known[..., None], observed - values, 0.0)
    neighbor, near = nearest_joints(known, skeleton)
    frames = torch.arange(len(seen))[:, None]
    share = near.to(values)  # of the neighbor's error
    moved = values.clone()
    for j in range(seen.shape[1]):
        if bool(known[:, j].any()):
            weights, ends = bridge_weights(known[:, j], memory)
            for k in range(2):
                moved[:, :, j] += weights[:, k, None].to(values) * off[:, ends[:, k], j]
            share[:, j] *= 1 - weights.sum(-1).to(values)
    return moved + share[..., None] * off[:, frames, neighbor]


def between(x: Float[Tensor, "*any F C"]) -> Float[Tensor, "*any F C"]:
    """Rows that are not finite, linear between their neighbors; the first and last are held.

    Example:
        >>> between(torch.tensor([[1.0], [torch.nan], [3.0], [torch.nan]]))[:, 0].tolist()
        [1.0, 2.0, 3.0, 3.0]
    """
    out = x.clone()
    for row in out.reshape(-1, *x.shape[-2:]):
        known = torch.isfinite(row).all(-1)
        if bool(known.any()) and not bool(known.all()):
            weights, frames = bridge_weights(known, 1e9)
            row.copy_(weights[:, :1] * row[frames[:, 0]] + weights[:, 1:] * row[frames[:, 1]])
    return out


def _filled(
    keypoints: Keypoints2D,
    values: Float[Tensor, "H F J 2"],
    memory_s: float,
    others: Float[Tensor, "I F J 2"] | None = None,
) -> CompletedKeypoints:
    if not memory_s > 0:
        raise OptionError(f"memory_s must be positive, got {memory_s}.")
    seen = keypoints.detected
    memory = memory_s * (keypoints.fps or ASSUMED_FPS)
    moved = bridged(values, keypoints.xy, seen, keypoints.skeleton, memory)
    mean, spread = moved.mean(0), moved
    if others is not None:
        wide = bridged(others, keypoints.xy, seen, keypoints.skeleton, memory)
        spread = torch.cat([moved, wide])
    filled = ~seen & torch.isfinite(mean).all(-1)
    std = torch.full(seen.shape, torch.nan)
    if len(spread) > 1:
        std = torch.where(filled, _deviation(spread, mean).square().mean(-1).sqrt(), torch.nan)
    sure = torch.full(seen.shape, MIN_CONFIDENCE)
    size = _image_size(keypoints)
    if size is not None and len(spread) > 1:
        sure = (0.005 * max(size) / std.clamp(min=1e-6)).square().clamp(MIN_CONFIDENCE, 1.0)
    given = keypoints.confidence if keypoints.confidence is not None else seen.float()
    covariance = keypoints.covariance
    if covariance is not None:
        own = std.nan_to_num(0.05 * max(size or (1000, 1000))).square()
        wide = own[..., None, None] * torch.eye(2)
        covariance = torch.where(filled[..., None, None], wide.to(covariance), covariance)
    done = replace(
        keypoints,
        xy=torch.where(filled[..., None], mean.to(keypoints.xy), keypoints.xy),
        confidence=torch.where(filled, sure.to(given), given),
        covariance=covariance,
        notes=(*keypoints.notes, f"{int(filled.sum())} missing keypoints were filled in"),
    )
    return CompletedKeypoints(done, filled, std)


def _image_size(keypoints: Keypoints2D) -> tuple[int, int] | None:
    return keypoints.image_size or (keypoints.camera.image_size if keypoints.camera else None)


def _completed(
    poses: Poses3D,
    points: Float[Tensor, "F J 3"],
    values: Float[Tensor, "H F J 3"],
    fps: float | None,
    memory_s: float,
    others: Float[Tensor, "I F J 3"] | None = None,
) -> CompletedMotion:
    if not memory_s > 0:
        raise OptionError(f"memory_s must be positive, got {memory_s}.")
    seen = torch.isfinite(points).all(-1)
    memory = memory_s * (fps or ASSUMED_FPS)
    moved = bridged(values.to(points), points, seen, poses.skeleton, memory)
    whole = torch.where(seen[..., None], points, moved.mean(0))
    std = torch.full_like(whole, torch.nan)
    if others is not None:
        wide = bridged(others.to(points), points, seen, poses.skeleton, memory)
        std = _deviation(torch.cat([moved, wide]), moved.mean(0))
    std = torch.where(seen[..., None], 0.0, std)
    root = whole[:, poses.skeleton.root]
    if poses.root is None:
        return CompletedMotion(Poses3D(whole, poses.skeleton, std=std), ~seen)
    relative = torch.where(
        torch.isfinite(poses.joints).all(-1, keepdim=True) & torch.isfinite(poses.root)[:, None],
        poses.joints,
        whole - root[:, None],
    )
    return CompletedMotion(Poses3D(relative, poses.skeleton, root=root, std=std), ~seen)


def _deviation(
    spread: Float[Tensor, "H F J D"], mean: Float[Tensor, "F J D"]
) -> Float[Tensor, "F J D"]:
    """Root mean square distance from the mean per coordinate, as unbiased as that of one sample."""
    return ((spread - mean).square().sum(0) / (len(spread) - 1)).sqrt()


def _root_everywhere(
    hypotheses: Hypotheses, detected: Bool[Tensor, "F J"]
) -> Float[Tensor, "H F 3"]:
    """Roots of all frames; those of frames that show too little lie between the others."""
    root = hypotheses.root
    placed = detected.sum(-1) >= min(N_FOR_ROOT, detected.shape[-1])
    if root is None or not bool((placed & torch.isfinite(root).all(-1).any(0)).any()):
        raise OptionError(
            f"No frame shows {N_FOR_ROOT} keypoints at least, so nothing says where the person is."
        )
    return between(torch.where(placed[:, None], root, torch.nan))


def _reconstructed(
    network: MPM, points: Float[Tensor, "F J D"], missing: Bool[Tensor, "F J"]
) -> Float[Tensor, "F J D"]:
    """What the network says about all joints, in windows of its length that overlap and blend."""
    n, length = len(points), network.config.n_frames
    padded, overlap = max(n, length), length // 4
    starts = window_starts(n, length, overlap)
    weights = blend_weights(starts, length, padded, overlap).to(points)
    out = torch.zeros(padded, *points.shape[1:]).to(points)
    place = next(network.parameters()).device
    for w, start in zip(weights, starts, strict=True):
        part = take_frames(points.nan_to_num(0.0), start, length).to(place)
        hidden = take_frames(missing[..., None].float(), start, length)[..., 0] > 0.5
        with torch.no_grad():
            tokens = network.encode(part[None].float(), hidden[None].to(place))
            said = network.decode(tokens, points.shape[-1])[0]
        out[start : start + length] += w[:, None, None] * said.to(out)
    return out[:n]


def _check_skeleton(given: Skeleton, read: str, what: str) -> None:
    if given.name != read:
        raise SkeletonMismatchError(
            f"This completes {what} in {get_skeleton(read).name!r}, got {given.name!r}; convert "
            "them with hypopose.skeletons.convert."
        )


def _known(points: Float[Tensor, "F J 3"]) -> Bool[Tensor, "F J"]:
    """Where joints are known, and the sizes of a person."""
    seen = torch.isfinite(points).all(-1)
    if not bool(seen.any()):
        raise OptionError("No joint of this motion is known; there is nothing to go by.")
    centered = points - torch.where(seen[..., None], points, torch.nan).nanmedian(1, True).values
    size = float(centered.norm(dim=-1)[seen].quantile(0.95))
    if not 0.1 < size < 3.0:
        raise OptionError(
            f"Joints lie {size:.3g} from the middle of the body: no person in meters. Give meters."
        )
    return seen


def _turn(degrees: float) -> Float[Tensor, "3 3"]:
    """About the vertical."""
    angle = torch.tensor(degrees).deg2rad()
    c, s, zero, one = angle.cos(), angle.sin(), torch.tensor(0.0), torch.tensor(1.0)
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c]).reshape(3, 3)
