"""The fitted object as a file: with skops where every type in it is known, otherwise with cloudpickle, and why."""

import sys
import warnings
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from muster.packaging.distributions import Installed
from muster.packaging.errors import ModelNotSavable
from muster.packaging.runtimes import Serializer
from muster.packaging.trusted import unreviewed

_NAMES: dict[Serializer, str] = {"skops": "model/model.skops", "cloudpickle": "model/model.cloudpickle"}
_SHOWN_TYPES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A model that was written."""

    serializer: Serializer
    path: str
    """In the bundle."""
    trusted: tuple[str, ...]
    reason: str | None
    """Why it is not skops."""


def write_model(model: Any, folder: Path, installed: Installed, own_code: Collection[str]) -> Written:
    """Write a model into a bundle's folder.

    Args:
        model: the fitted object.
        folder: of the bundle.
        installed: what the lab has.
        own_code: top-level names of modules that travel in the bundle and are imported there, not pickled.

    Raises:
        ModelNotSavable: neither way can hold it.
    """
    (folder / "model").mkdir(exist_ok=True)
    reason, types = _by_skops(model, folder / _NAMES["skops"])
    if reason is None:
        return Written(serializer="skops", path=_NAMES["skops"], trusted=types, reason=None)
    _by_cloudpickle(model, folder / _NAMES["cloudpickle"], installed, own_code)
    return Written(serializer="cloudpickle", path=_NAMES["cloudpickle"], trusted=(), reason=reason)


def _by_skops(model: Any, path: Path) -> tuple[str | None, tuple[str, ...]]:
    """Write with skops and give the types to trust; or the reason why not, and then no file is left."""
    if not hasattr(model, "get_params"):
        return f"skops holds estimators; this is a {_type_name(model)}", ()
    try:
        import skops.io as skops_io  # noqa: PLC0415  # an extra, and slow to import
    except ImportError:
        return "skops is not installed in the lab (`uv pip install 'muster-ml[lab]'`)", ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            skops_io.dump(model, path, compression=zipfile.ZIP_DEFLATED, compresslevel=6)
            types = tuple(sorted(skops_io.get_untrusted_types(file=path)))
            unknown = unreviewed(types)
            if not unknown:
                skops_io.load(path, trusted=list(types))
                return None, types
    except Exception as error:  # noqa: BLE001  # skops raises what the estimator's own code raises
        path.unlink(missing_ok=True)
        return f"skops cannot hold it: {type(error).__name__}: {str(error)[:300]}", ()
    path.unlink()
    more = f" and {len(unknown) - _SHOWN_TYPES} more" if len(unknown) > _SHOWN_TYPES else ""
    return f"it holds types that are not on the reviewed list: {', '.join(unknown[:_SHOWN_TYPES])}{more}", ()


def _by_cloudpickle(model: Any, path: Path, installed: Installed, own_code: Collection[str]) -> None:
    own = [
        module
        for name, module in sorted(sys.modules.items())
        if "." not in name and name not in own_code and hasattr(module, "__name__") and installed.is_own(module)
    ]
    # A module that no installed package brings would be missing where the model runs: what is used of it goes by value.
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        content = cloudpickle.dumps(model)
    except Exception as error:
        raise ModelNotSavable(
            f"the model cannot be written: {type(error).__name__}: {error}. Keep open files, locks, connections and "
            "generators out of it, or open them when they are first needed.",
            type=_type_name(model),
        ) from error
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)
    path.write_bytes(content)


def _type_name(model: Any) -> str:
    kind = type(model)
    return f"{kind.__module__}.{kind.__qualname__}"
