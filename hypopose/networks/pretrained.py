"""Networks as folders, ``config.json`` + ``model.safetensors``: local, or a hub repository.

A folder may be untrusted. Nothing in it is executed; sizes that ``config.json`` names are
compared with the tensors' own before any memory is allocated; tensors are refused if they are not
finite, or if their SHA-256 is not the one that ``config.json`` records.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hypopose.errors import CheckpointError, HypoPoseError, OptionError
from hypopose.io.atomic import write_atomically
from hypopose.networks.base import NetworkInfo
from hypopose.networks.compact import SCALE_SUFFIX, expanded
from hypopose.networks.recorded_config import Config, check_arguments, read_json

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
HASHES = "_sha256"
"""Entry of ``config.json``: the SHA-256 of each safetensors file beside it."""

SPARE = 1 << 22
"""Numbers that building a network may take beside four times those of its file."""

N = TypeVar("N", bound="PretrainedNetwork")
Shapes = dict[str, tuple[int, ...]]


class BoundedSizes(TorchFunctionMode):
    """While active, new tensors may hold so many numbers in all; asked for more, it raises.

    Args:
        limit: Numbers.

    Raises:
        OptionError: In place of an allocation beyond the limit.

    Example:
        >>> with BoundedSizes(100):
        ...     torch.empty(5, 5).shape
        torch.Size([5, 5])
    """

    MAKERS = (torch.empty, torch.zeros, torch.ones, torch.randn, torch.rand, torch.full, torch.eye)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.left = limit

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Count what the makers of tensors are asked for."""
        if func in self.MAKERS:
            size = args if args and isinstance(args[0], int) else (args or ((),))[0]
            sides = (*size, *size) if func is torch.eye and len(size) == 1 else size
            self.left -= math.prod(x for x in sides if isinstance(x, int))
            if self.left < 0:
                raise OptionError(
                    f"its sizes ask for more memory than the tensors of {WEIGHTS_FILE} take."
                )
        return func(*args, **(kwargs or {}))


class PretrainedNetwork(nn.Module):
    """Base of networks that save to and load from a folder.

    Subclasses decorate ``__init__`` with :func:`hypopose.networks.recorded_config.recorded`; its
    arguments are the config.
    """

    config: Config

    @property
    def info(self) -> NetworkInfo:
        """What a sampler must know about the network."""
        raise AttributeError(f"{type(self).__name__} is a part of other networks.")

    @classmethod
    def from_config(cls: type[N], config: Mapping[str, Any], **options: Any) -> N:
        """Build a network with random weights.

        Args:
            config: Arguments by name; names that begin with ``_`` are left out.
            **options: Take the place of entries.

        Raises:
            OptionError: If an argument is unknown, of another type or out of range.
        """
        given = {name: value for name, value in config.items() if not name.startswith("_")}
        given |= options
        check_arguments(cls.__init__, given)
        return cls(**given)

    def save_config(self, folder: str | Path) -> None:
        """Write ``config.json``, without hashes of tensors; see :func:`seal`.

        Args:
            folder: Made if absent.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        own = _argument_names(type(self))
        values = {name: value for name, value in self.config.items() if name in own}
        _write_json(Path(folder) / CONFIG_FILE, {"_class_name": type(self).__name__, **values})

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``; each file is replaced in one move.

        Args:
            folder: Made if absent.
        """
        self.save_config(folder)
        save_weights(self.state_dict(), folder)

    @classmethod
    def from_pretrained(
        cls: type[N], place: str | Path, *, revision: str | None = None, **options: Any
    ) -> N:
        """Load a network, ready for inference.

        Args:
            place: A folder, or a repository of the Hugging Face hub.
            revision: Branch, tag or commit of the repository.
            **options: Override entries of the config, for example ``attention="xformers"``.

        Returns:
            The network in eval mode.

        Raises:
            CheckpointError: If files are absent, damaged or do not fit together.
            OptionError: If an option is unknown or out of range.
        """
        folder = _local_folder(place, revision)
        config = read_json(folder / CONFIG_FILE)
        check_arguments(cls.__init__, options)
        return cls._load(folder, config, options).eval()

    @classmethod
    def _load(
        cls: type[N], folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]
    ) -> N:
        path = folder / WEIGHTS_FILE
        network = cls._sized(folder / CONFIG_FILE, config, options, path, read_shapes(path))
        load_strictly(network, read_weights(path), path)
        return network

    @classmethod
    def _sized(
        cls: type[N],
        source: Path,
        config: Mapping[str, Any],
        options: Mapping[str, Any],
        path: Path,
        shapes: Shapes,
    ) -> N:
        """A network with random weights, of the sizes that a file of tensors has.

        It is limited to little more memory than those tensors need.
        """
        merged = {**config, **options}
        try:
            _check_counts(merged, len(shapes))
            with BoundedSizes(4 * sum(map(math.prod, shapes.values())) + SPARE):
                network = cls.from_config(merged)
        except (HypoPoseError, TypeError, ValueError, RuntimeError, RecursionError) as error:
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"{source} does not describe a {cls.__name__}: {line}") from error
        check_shapes(cls.__name__, network.state_dict(), shapes, path)
        return network


def _argument_names(kind: type[PretrainedNetwork]) -> frozenset[str]:
    """Arguments of the network's own ``__init__``, without those it fixes for its base."""
    return frozenset(inspect.signature(kind.__init__).parameters) - {"self"}


def _check_counts(config: Mapping[str, Any], n_tensors: int) -> None:
    """Every block of a network has a tensor at least, so that a file bounds their number."""
    for name in ("n_layers", "depth", "n_spatial", "n_temporal", "decoder_depth"):
        value = config.get(name)
        if isinstance(value, int) and value > n_tensors:
            raise OptionError(f"{name}={value} is more than the file's {n_tensors} tensors.")
    if isinstance(config.get("backbone"), Mapping):
        _check_counts(config["backbone"], n_tensors)


def _local_folder(place: str | Path, revision: str | None) -> Path:
    if Path(place).is_dir():
        return Path(place)
    from huggingface_hub import hf_hub_download

    config = Path(hf_hub_download(str(place), CONFIG_FILE, revision=revision))
    hf_hub_download(str(place), WEIGHTS_FILE, revision=revision)
    return config.parent


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


def save_weights(state: Mapping[str, Tensor], folder: str | Path) -> None:
    """Write ``model.safetensors`` into a folder that has a ``config.json``, and record its hash.

    Args:
        state: Tensors by name.
        folder: Of the weights.
    """
    tensors = {name: x.detach().cpu().contiguous() for name, x in state.items()}
    with write_atomically(Path(folder) / WEIGHTS_FILE) as partial:
        save_file(tensors, partial, metadata={"format": "pt"})
        partial.chmod(0o644)  # safetensors makes files only their owner can read
    seal(folder)


def seal(folder: str | Path) -> None:
    """Record the SHA-256 of every safetensors file of a folder in its ``config.json``.

    Args:
        folder: Of weights; call it whenever a tensor file was written.
    """
    path = Path(folder) / CONFIG_FILE
    config = read_json(path)
    config[HASHES] = {p.name: file_sha256(p) for p in sorted(Path(folder).glob("*.safetensors"))}
    _write_json(path, config)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path) -> None:
    """Compare a tensor file with the hash in the ``config.json`` beside it, if there is one.

    Raises:
        CheckpointError: If it is another file.
    """
    beside = path.with_name(CONFIG_FILE)
    hashes = read_json(beside).get(HASHES, {}) if beside.is_file() else {}
    known = hashes.get(path.name) if isinstance(hashes, dict) else hashes
    if known is not None and known != file_sha256(path):
        raise CheckpointError(
            f"{path} is not the file that {CONFIG_FILE} was written for: its SHA-256 differs. Copy "
            f"the folder again; if you changed the tensors on purpose, delete {HASHES!r} from "
            f"{CONFIG_FILE}."
        )


def read_shapes(path: Path) -> Shapes:
    """Names and shapes of a safetensors file's tensors, without reading them.

    Raises:
        CheckpointError: If it is absent or damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is absent; a weights folder holds {CONFIG_FILE} and it.")
    try:
        with safe_open(path, framework="pt") as file:
            names = [n for n in file.keys() if not n.endswith(SCALE_SUFFIX)]  # noqa: SIM118
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError, struct.error) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}.") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: If it is absent or damaged, not the file its folder records, or holds
            numbers that are not finite.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is absent; a weights folder holds {CONFIG_FILE} and it.")
    check_sha256(path)
    try:
        state = expanded(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}.") from error
    check_finite(state, path)
    return state


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors with NaN or infinity.

    Raises:
        CheckpointError: Naming the first.
    """
    for name, x in state.items():
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise CheckpointError(f"{path} is damaged: {name} holds NaN or infinity.")


def check_shapes(
    kind: str, wanted: Mapping[str, Tensor], came: Mapping[str, tuple[int, ...]], source: str | Path
) -> None:
    """Every key and shape of a network must be there, and no other.

    Args:
        kind: Name of the network's class, for the message.
        wanted: Tensors of the network by name.
        came: Shapes in the file.
        source: The file, for the message.

    Raises:
        CheckpointError: Listing missing and unexpected keys, and shapes that differ.
    """
    shapes = {name: tuple(x.shape) for name, x in wanted.items()}
    wrong = [f"missing {name}" for name in sorted(shapes.keys() - came.keys())]
    wrong += [f"unexpected {name}" for name in sorted(came.keys() - shapes.keys())]
    wrong += [
        f"{name} is {came[name]}, not {shapes[name]}"
        for name in sorted(shapes.keys() & came.keys())
        if came[name] != shapes[name]
    ]
    if wrong:
        more = f" and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise CheckpointError(f"{source} does not fit {kind}: {'; '.join(wrong[:20])}{more}.")


def renamed(name: str, patterns: Sequence[tuple[str, str]]) -> str:
    r"""A tensor's name after every pattern, in order, was replaced.

    Args:
        name: In a released checkpoint.
        patterns: Regular expressions and what takes their place.

    Example:
        >>> renamed("head.1.bias", [(r"^head\.1\.", "to_pose.")])
        'to_pose.bias'
    """
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def load_strictly(network: nn.Module, state: dict[str, Tensor], source: str | Path) -> None:
    """Fill a network; every key and shape must match.

    Args:
        network: To be filled.
        state: Its tensors by name.
        source: Where they come from, for the message.

    Raises:
        CheckpointError: Listing missing and unexpected keys, and shapes that differ.
    """
    came = {name: tuple(x.shape) for name, x in state.items()}
    check_shapes(type(network).__name__, network.state_dict(), came, source)
    network.load_state_dict(state)
