"""PMCE: pose and mesh evolve together (You et al., ICCV 2023), on any template."""

from hypopose.networks.pmce.network import PMCE, Evolved, MeshDecoder
from hypopose.networks.pmce.template import Template, load_template, template_of

__all__ = ["PMCE", "Evolved", "MeshDecoder", "Template", "load_template", "template_of"]
