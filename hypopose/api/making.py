"""Samplers by name: the method, its trained network, and the options its weights recommend."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from hypopose.errors import BackendError, CheckpointError, OptionError
from hypopose.networks import load_network
from hypopose.networks.load import BUNDLED
from hypopose.plugins import look_up, plugin_of
from hypopose.samplers import SAMPLERS
from hypopose.samplers.recommended import SAMPLER_FILE, check_recommended, read_recommended
from hypopose.samplers.renamed_options import current_method, current_names, takes_weights_of
from hypopose.types import Sampler, Skeleton

DEFAULT_SAMPLER = "distributional"
"""The sampler where neither a sampler nor weights are named."""

BUNDLED_WEIGHTS = {
    "distributional": "distributional-frame-small",
    "d3dp": "d3dp-frame-small",
    "diffpose": "diffpose-frame-small",
    "lifter": "lifter-frame-small",
    "platypose": "platypose-prior-small",
    "platypose-heuristic": "platypose-prior-small",
    "platypose-released": "platypose-prior-small",
}
"""Sampler -> the weights in the package that it uses by default."""

SURFACES = "mesh"
"""What ``sampler.json`` says of weights that write surfaces."""

NETWORK = "network"
"""The field of a sampler that holds its trained network."""


def make_sampler(
    sampler: str | None = None,
    *,
    weights: str | Path | None = None,
    n_steps: int | None = None,
    device: str = "cpu",
    **options: Any,
) -> Sampler:
    """Build a sampler by name, with its trained network if it has one.

    Args:
        sampler: A name in :data:`hypopose.samplers.SAMPLERS`, an entry point of another package, or
            code: ``"package.module:Class"``, ``"./file.py:Class"``; None for
            :func:`default_sampler`.
        weights: Bundled weights by name, or a folder of weights; None for the sampler's own.
        n_steps: Network evaluations per draw; None for what the weights recommend.
        device: Where the network runs, for example ``"cuda"``.
        **options: Further fields of the method, for example ``eta=0.0``.

    Returns:
        The method, ready to sample.

    Raises:
        OptionError: If no such sampler exists, it has no such option, or the weights say that they
            were made for another one.
        CheckpointError: If the weights are not what they should be.

    Example:
        >>> make_sampler("boneflips").skeleton.name
        'h36m17'
    """
    name, options = current_method(
        _sampler_of_weights(weights) if sampler is None else sampler, options
    )
    # A name read from a folder of weights must not run code.
    method: Any = look_up("samplers", name, SAMPLERS, code=sampler is not None)
    options = current_names(options, options_of(method))
    options |= {} if n_steps is None else {"n_steps": n_steps}
    place = _device(device)
    recommended: dict[str, Any] = {}
    if NETWORK in options_of(method):
        options, recommended = _with_network(name, method, weights, place, options)
    elif weights is not None:
        raise OptionError(f"The sampler {name!r} has no network, so it takes no weights.")
    try:
        return _made(name, method, options)
    except OptionError as error:
        if any(option in str(error) for option in recommended):
            folder = folder_of(weights or default_weights(name))
            raise CheckpointError(f"{folder / SAMPLER_FILE}: {error}") from error
        raise


def default_sampler(weights: str | Path | None = None) -> str:
    """The sampler that weights were made for, as their ``sampler.json`` says.

    Args:
        weights: Bundled weights by name, or a folder; None for :data:`DEFAULT_SAMPLER`.

    Returns:
        Its name; ``"d3dp"`` for weights that do not say.

    Raises:
        CheckpointError: If ``sampler.json`` is not a JSON object.

    Example:
        >>> default_sampler("d3dp-frame-small")
        'd3dp'
    """
    if weights is None:
        return DEFAULT_SAMPLER
    recommended = _recommended(weights)
    return current_method(str(recommended.get("sampler", "d3dp")), recommended)[0]


def _sampler_of_weights(weights: str | Path | None) -> str:
    """The sampler that weights were made for, unless they are no sampler's."""
    name = default_sampler(weights)
    if name == SURFACES:
        raise OptionError(
            f"{weights} decodes surfaces and draws no hypotheses; use it with hypopose mesh RESULT "
            "--weights FOLDER."
        )
    return name


def default_weights(sampler: str) -> str:
    """The bundled weights of a sampler.

    Raises:
        OptionError: If there are none.

    Example:
        >>> default_weights("d3dp")
        'd3dp-frame-small'
    """
    if sampler not in BUNDLED_WEIGHTS:
        raise OptionError(
            f"The sampler {sampler!r} comes without weights: pass weights='folder'. "
            f"`hypopose convert` makes one from the released checkpoints, `hypopose train` its own."
        )
    return BUNDLED_WEIGHTS[sampler]


def calibrator_beside(weights: str | Path | None = None, sampler: str | None = None) -> Path:
    """The calibrator that came with weights, fitted on people they were not trained on.

    Args:
        weights: Bundled weights by name, or a folder of weights; None for the default.
        sampler: The sampler it is wanted for.

    Returns:
        The file; read it with :func:`hypopose.calibration.load_calibrator`.

    Raises:
        OptionError: If there is none.

    Example:
        >>> calibrator_beside(sampler="d3dp").name
        'calibrator.json'
    """
    sampler = sampler or default_sampler(weights)
    fit_one = "fit one with hypopose fit-calibrator and pass its file."
    if sampler in SAMPLERS and NETWORK not in options_of(SAMPLERS[sampler]):
        raise OptionError(
            f"The sampler {sampler!r} has no weights, so no calibrator comes with them; {fit_one}"
        )
    chosen = weights or default_weights(sampler)
    path = folder_of(chosen) / "calibrator.json"
    if not path.is_file():
        raise OptionError(f"The weights {str(chosen)!r} come without a calibrator; {fit_one}")
    return path


def calibrator_file(
    choice: str | Path, weights: str | Path | None = None, sampler: str | None = None
) -> Path:
    """A calibrator's file: a path, or ``"bundled"`` for the one that came with the weights.

    Args:
        choice: Which.
        weights: Bundled weights by name, or a folder of weights; None for the sampler's own.
        sampler: The sampler it is wanted for, by name.

    Raises:
        OptionError: If the weights come without one.

    Example:
        >>> calibrator_file("mine.json").name, calibrator_file("bundled", sampler="d3dp").name
        ('mine.json', 'calibrator.json')
    """
    return calibrator_beside(weights, sampler) if str(choice) == "bundled" else Path(choice)


def describe_sampler(sampler: Sampler) -> dict[str, Any]:
    """A method as JSON-ready options, its name first; networks and skeletons by name.

    Args:
        sampler: A dataclass instance.

    Returns:
        For example ``{"name": "boneflips", ...}``. A method from outside the package also says
        under ``plugin`` where its code came from.
    """
    plugin = plugin_of(type(sampler)) or plugin_of(sampler)
    record: dict[str, Any] = {"name": _name_of(sampler) if plugin is None else plugin.name}
    if plugin is not None:
        record["plugin"] = plugin.origin
    if is_dataclass(sampler):
        for field in fields(sampler):
            record[field.name] = _plain(getattr(sampler, field.name))
    return record


def resolve_sampler(
    sampler: str | Sampler | None,
    weights: str | Path | None,
    n_steps: int | None,
    device: str,
    options: dict[str, Any],
) -> Sampler:
    """A method that was made already as it is; a name made into one.

    Raises:
        OptionError: If options come with a method that was made already.
    """
    if sampler is None or isinstance(sampler, str):
        return make_sampler(sampler, weights=weights, n_steps=n_steps, device=device, **options)
    if weights is not None or n_steps is not None or options:
        raise OptionError(
            "A sampler you made yourself brings its own weights and options; set them there, or "
            "pass the sampler's name."
        )
    return sampler


def skeleton_read_by(sampler: Sampler) -> str:
    """The name of the skeleton a sampler's keypoints must be in."""
    skeleton: Skeleton = getattr(sampler, "keypoint_skeleton", sampler.skeleton)
    return skeleton.name


def weights_label(sampler: Sampler, weights: str | Path | None) -> str:
    """How a result names the weights; empty without a network."""
    if not hasattr(sampler, NETWORK):
        return ""
    return BUNDLED_WEIGHTS.get(_name_of(sampler), "") if weights is None else str(weights)


def folder_of(weights: str | Path) -> Path:
    """The folder of weights by path, else that of the bundled weights by name."""
    return Path(weights) if Path(weights).is_dir() else BUNDLED / str(weights)


def _name_of(sampler: Sampler) -> str:
    names = (name for name, method in SAMPLERS.items() if method is type(sampler))
    return next(names, type(sampler).__name__)


def options_of(method: Any) -> set[str]:
    """What a method can be made with; nothing if it is made already."""
    if not callable(method) or (hasattr(method, "sample") and not isinstance(method, type)):
        return set()
    if is_dataclass(method):
        return {field.name for field in fields(method)}
    return set(inspect.signature(method).parameters)


def _with_network(
    name: str,
    method: Any,
    weights: str | Path | None,
    place: torch.device,
    options: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options with the network of the weights, and those of them that these recommend."""
    base = _nearest(method) if plugin_of(method) else name
    chosen = weights or default_weights(base or name)
    recommended = _recommended_for(name, base, method, chosen)
    check_recommended(method, recommended, folder_of(chosen))
    if "overlap" not in options and _window(options) <= (recommended.get("overlap") or 0):
        recommended.pop("overlap")  # it was chosen for longer windows
    recommended = {k: v for k, v in recommended.items() if k not in options}
    options = {**recommended, **options, NETWORK: load_network(chosen).to(place)}
    if hasattr(method, "options_beside"):
        options = {**method.options_beside(folder_of(chosen)), **options}
    return options, recommended


def _recommended_for(
    name: str, base: str | None, method: Any, weights: str | Path
) -> dict[str, Any]:
    """The options that weights recommend for a method; fewer if they were made for another one."""
    known = options_of(method)
    recommended = current_names(_recommended(weights), known)
    own, recommended = current_method(str(recommended.pop("sampler", name)), recommended)
    if own in (base, name):
        return recommended
    if base != name:  # a plug-in, and not what its base was trained for
        return {}
    if not takes_weights_of(name, own):
        raise OptionError(
            f"The weights {weights} were made for the sampler {own!r}, not {name!r}; leave "
            "the sampler out, or give other weights."
        )
    return {k: v for k, v in recommended.items() if k in known}


def _window(options: Mapping[str, Any]) -> float:
    window = options.get("window")
    return float(window) if isinstance(window, int) else math.inf


def _nearest(method: type) -> str | None:
    """The name of the sampler of ours that a plug-in is a subclass of."""
    names = {ours: name for name, ours in SAMPLERS.items()}
    bases = getattr(method, "__mro__", ())
    return next((names[base] for base in bases if base in names), None)


def _made(name: str, method: Any, options: dict[str, Any]) -> Sampler:
    """The method with these options, if it takes them."""
    known = options_of(method)
    unknown = sorted(set(options) - known)
    if unknown:
        others = sorted(known - {NETWORK, "skeleton"})
        has = f"it has {', '.join(others)}" if others else "it has none"
        raise OptionError(f"The sampler {name!r} has no option {unknown[0]!r}; {has}.")
    if is_dataclass(method):
        _check_types(method, options)
    is_made = not isinstance(method, type) and hasattr(method, "sample")
    try:
        made: Any = method if is_made else method(**options)
    except TypeError as error:
        raise OptionError(
            f"An option of {name!r} has the wrong type: {str(error).splitlines()[0]}"
        ) from error
    if not (hasattr(made, "sample") and hasattr(made, "skeleton")):
        raise OptionError(
            f"{name!r} is not a sampler: it needs `skeleton` and "
            "`sample(keypoints, n_hypotheses, noise)`."
        )
    sampler: Sampler = made
    return sampler


def _recommended(weights: str | Path) -> dict[str, Any]:
    """The sampler options that a folder of weights recommends; empty if it has none."""
    return read_recommended(folder_of(weights))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OptionError(f"There is no device {name!r}; use cpu, cuda or cuda:1.") from None
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"HypoPose does not run on {name!r}; use cpu, cuda or cuda:1.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackendError("device='cuda' was asked for, but torch sees no GPU; use device='cpu'.")
    return device


def _check_types(method: Any, options: Mapping[str, Any]) -> None:
    """Refuse words and fractions where a switch or a whole number belongs."""
    for field in fields(method):
        value = options.get(field.name, field.default)
        if isinstance(field.default, bool) and not isinstance(value, bool):
            raise OptionError(f"{field.name} is true or false, got {value!r}.")
        if type(field.default) is int and type(value) is not int:
            raise OptionError(f"{field.name} is a whole number, got {value!r}.")


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return getattr(value, "name", None) or type(value).__name__
