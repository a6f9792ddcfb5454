"""Muster, the model factory.

`save` writes a fitted model as a bundle, `connect` opens a factory, `scorer` asks an endpoint. They are loaded when
first used (PEP 562), so that `import muster` costs a lab nothing and needs no web or database package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muster.client.control import connect
    from muster.client.scoring import scorer
    from muster.packaging.save import save

__version__ = "0.1.0"
__all__ = ["connect", "save", "scorer"]

_HOME_OF = {
    "save": "muster.packaging.save",
    "connect": "muster.client.control",
    "scorer": "muster.client.scoring",
}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'muster' has no attribute {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
