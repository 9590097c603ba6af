"""Scales of the priors of place, depth and motion."""

DEPTH_M, DEPTH_STD = 4.0, 0.6
"""Median of the root's depth in meters, and the standard deviation of its logarithm."""

PLACE_STD = 0.5
"""Standard deviation of the root's place on the plane z = 1."""

NEAREST = 0.05
"""No joint is nearer to the camera, meters."""

SAME_LENGTH = 0.01
"""Deviation of a log length between frames of a clip: joints slide a little on bodies."""

SPEED, ROOT_SPEED, TURN_SPEED = 1.5, 1.5, 2.0
"""Deviations per second of a joint relative to the root (m), the root (m), the heading (rad)."""
