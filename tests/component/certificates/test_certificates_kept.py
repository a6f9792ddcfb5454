"""The private keys that sign certificates are among what an intruder tries to read, whatever their files are called."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from muster.access.actor import Actor, Call
from muster.access.roles import AccessRole
from muster.bootstrap.creation import create_home
from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import open_home
from muster.bootstrap.session import kept_from_models

CALL = Call(
    actor=Actor(name="admin", roles={"default": AccessRole.ADMIN}, token_id="t-admin", solo=True), project="default"
)


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[Factory]:
    factory = factory_of(open_home(create_home(tmp_path / "home", solo=True).home))
    yield factory
    factory.database.close()


def keys_kept(factory: Factory) -> set[str]:
    """The files of keys that no model has any business with, each of which is there."""
    found = [Path(file) for what, file in kept_from_models(factory.home).items() if "key" in what]
    assert all(file.is_file() for file in found)
    return {file.name for file in found}


def test_a_rotated_key_is_kept_from_models(factory: Factory) -> None:
    """The file of the key that signs now, not that of the one which a rotation took away."""
    assert keys_kept(factory) == {"certificates.pem"}
    key = factory.keys.rotate(CALL, "once a year")
    assert keys_kept(factory) == {f"certificates-{key.public.id[:16]}.pem"}


def test_the_operators_own_key_is_kept_from_models(factory: Factory, tmp_path: Path) -> None:
    """The file that the settings name, beside those that lie in the home."""
    (tmp_path / "given.pem").write_text("key")
    settings = factory.home.settings
    certification = msgspec.structs.replace(settings.certification, signing_key=str(tmp_path / "given.pem"))
    home = replace(factory.home, settings=msgspec.structs.replace(settings, certification=certification))
    found = kept_from_models(home)
    assert found["the operator's key of certificates"] == str(tmp_path / "given.pem")
    assert str(factory.home.keys / "certificates.pem") in found.values()
