"""The exceptions of HypoPose.

Every message states what was expected, what was found and how to fix it. The command line prints
our errors as one line and exits with 2.
"""


class HypoPoseError(Exception):
    """Base of every error HypoPose raises on purpose."""


class ShapeError(HypoPoseError, ValueError):
    """An array has the wrong number of axes, joints or coordinates."""


class SkeletonMismatchError(HypoPoseError, ValueError):
    """Two objects, or an object and a method, disagree about the skeleton."""


class MissingCameraError(HypoPoseError, ValueError):
    """A step projects or unprojects, but the keypoints carry no camera."""


class FormatError(HypoPoseError, ValueError):
    """A file is not what its format says; the message names file, place and cure."""


class CheckpointError(HypoPoseError, ValueError):
    """A checkpoint has other keys or shapes than its layout, or is not safe to read."""


class OptionError(HypoPoseError, ValueError):
    """An option has a value the method cannot use."""


class UndeterminedError(HypoPoseError, ValueError):
    """The data do not decide what was asked for; the message says what would."""


class BackendError(HypoPoseError, RuntimeError):
    """An optional backend was chosen by name but is absent or cannot run here."""
