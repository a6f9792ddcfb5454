"""The private keys of a home: where they lie is known to whoever has to keep models off them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.access.actor import Actor, Call
from muster.access.roles import AccessRole
from muster.bootstrap.creation import create_home
from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import open_home
from muster.bootstrap.session import examination_of

ADMIN = Call(actor=Actor(name="adele", roles={"default": AccessRole.ADMIN}, token_id="t"), project="default")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return create_home(tmp_path / "home", solo=False).home


@pytest.fixture
def factory(home: Path) -> Iterator[Factory]:
    made = factory_of(open_home(home))
    yield made
    made.database.close()


def kept_keys(factory: Factory) -> set[str]:
    """The keys that no model has any business with, as the intruder of an examination is told."""
    kept = examination_of(factory)._options.kept
    return {file for what, file in kept.items() if what.startswith("the key of certificates")}


def test_a_key_is_kept_from_models_after_its_rotation(factory: Factory, home: Path) -> None:
    """Whatever its file is called by then."""
    first = home / "keys" / "certificates.pem"
    assert kept_keys(factory) == {str(first)}
    factory.keys.listed()
    factory.keys.rotate(ADMIN, "every year")
    (second,) = (home / "keys").glob("*.pem")
    assert second != first
    assert kept_keys(factory) == {str(second)}


def test_an_operators_own_key_is_kept_from_models(home: Path, tmp_path: Path) -> None:
    """The file that the settings name, beside what lies in the home."""
    own = tmp_path / "shared.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(own)], check=True)
    with (home / "settings.toml").open("a") as settings:
        settings.write(f'\n[certification]\nsigning_key = "{own}"\n')
    factory = factory_of(open_home(home))
    try:
        assert kept_keys(factory) == {str(home / "keys" / "certificates.pem"), str(own)}
    finally:
        factory.database.close()
