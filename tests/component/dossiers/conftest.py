"""A control plane to talk to, and bundles to talk about."""

from running_control import bundles, control

__all__ = ["bundles", "control"]
