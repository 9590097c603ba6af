"""Networks as folders, ``config.json`` + ``model.safetensors``: local, or a hub repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hypopose.errors import CheckpointError
from hypopose.networks.compact import expanded

WEIGHTS_FILE = "model.safetensors"


class PretrainedNetwork(ModelMixin, ConfigMixin):
    """Base of networks that save to and load from a folder.

    Subclasses decorate ``__init__`` with diffusers' ``register_to_config``; its arguments are the
    config.
    """

    config_name = "config.json"

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Write ``config.json`` and ``model.safetensors``; each file is replaced in one move.

        Args:
            save_directory: The folder; made if absent.
            **kwargs: diffusers' further options of ``save_config`` (push_to_hub, ...).
        """
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.save_config(folder, **kwargs)
        state = {name: x.detach().cpu().contiguous() for name, x in self.state_dict().items()}
        partial = folder / f".{WEIGHTS_FILE}.{os.getpid()}"
        save_file(state, partial, metadata={"format": "pt"})
        partial.chmod(0o644)  # safetensors makes files only their owner can read
        os.replace(partial, folder / WEIGHTS_FILE)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        **options: Any,
    ) -> Any:
        """Load a network, ready for inference.

        Args:
            pretrained_model_name_or_path: A folder, or a repository of the hub.
            revision: Branch, tag or commit of the repository.
            **options: Override entries of the config, for example ``attention="xformers"``.

        Returns:
            The network in eval mode.

        Raises:
            CheckpointError: If weights are absent, unreadable, or have other keys or shapes.
        """
        place = str(pretrained_model_name_or_path)
        config = cls.load_config(place, revision=revision)
        network = cls.from_config(config, **options)
        if Path(place).is_dir():
            path = Path(place) / WEIGHTS_FILE
        else:
            path = Path(hf_hub_download(place, WEIGHTS_FILE, revision=revision))
        load_strictly(network, read_weights(path), path)
        return network.eval()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: If it is absent or damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is absent; a weights folder holds config.json and it.")
    try:
        return expanded(load_file(path))
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}.") from error


def load_strictly(network: torch.nn.Module, state: dict[str, Tensor], source: str | Path) -> None:
    """Fill a network; every key and shape must match.

    Args:
        network: To be filled.
        state: Its tensors by name.
        source: Where they come from, for the message.

    Raises:
        CheckpointError: Listing missing and unexpected keys, and shapes that differ.
    """
    wanted = {name: tuple(x.shape) for name, x in network.state_dict().items()}
    came = {name: tuple(x.shape) for name, x in state.items()}
    wrong = [f"missing {name}" for name in sorted(wanted.keys() - came.keys())]
    wrong += [f"unexpected {name}" for name in sorted(came.keys() - wanted.keys())]
    wrong += [
        f"{name} is {came[name]}, not {wanted[name]}"
        for name in sorted(wanted.keys() & came.keys())
        if came[name] != wanted[name]
    ]
    if wrong:
        more = f" and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise CheckpointError(
            f"{source} does not fit {type(network).__name__}: {'; '.join(wrong[:20])}{more}."
        )
    network.load_state_dict(state)
