"""HypoPose: 2D keypoints in, many plausible 3D motions out, with uncertainty you can trust."""
