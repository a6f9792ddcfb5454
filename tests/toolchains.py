"""Tests of a language whose tools are not on this machine: they fail in CI, and are skipped elsewhere, with the reason printed."""

import functools
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

LANGUAGES = Path(__file__).resolve().parents[1] / "examples" / "languages"


def needs(*languages: str) -> pytest.MarkDecorator:
    """Mark a test, or a module by `pytestmark`, as one that needs the tools of languages: `r`, `java`, `node`, `go`, `rust`, `cpp`.

    In CI (the variable `CI` is set) the test runs whatever is missing, and so fails.
    """
    told = [sentence for language in languages for sentence in missing(language)]
    return pytest.mark.skipif(bool(told) and not os.environ.get("CI"), reason="; ".join(told))


@functools.cache
def missing(language: str) -> tuple[str, ...]:
    """What is missing here, a sentence each."""
    return tuple(_table().missing(language))


@functools.cache
def _table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("language_toolchains", LANGUAGES / "toolchains.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
