"""`muster certificate verify` as people type it: what it is held against, in the factory and without one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_cli import Shell

from muster.certification.records import Check, Examined
from muster.registry.records import Version
from muster.vocabulary.names import VersionName
from running_control import Control
from small_bundles import SmallBundles

As = Callable[[str], Shell]
OTHER = "sha256:" + "0" * 64


class Bench:
    """Stands in for the machine on which versions are examined: everything passes, in the environment of this machine."""

    def __init__(self, control: Control) -> None:
        self._environment = control.services.certificates._environment_now

    def examine(self, version: Version, *_: Any, **__: Any) -> Examined:
        checks = (Check(name="golden-answers", passed=True, figure=0, limit=0),)
        return Examined(checks=checks, environment=self._environment(version), hardware="a machine")


@pytest.fixture
def version(control: Control, bundles: SmallBundles) -> str:
    """A version with a signed certificate."""
    name = control.as_("ana").register(bundles.new()).version
    control.as_("ana").certify(name, wait=False)
    claimed = control.services.sessions.claim("e1", ["certification"])
    assert claimed is not None
    assert control.services.certification.run(claimed, lambda _: None, Bench(control)).state == "passed"  # type: ignore[arg-type]
    return name


def test_a_digest_is_held_against_the_certificate_wherever_it_is_verified(
    control: Control, as_: As, version: str
) -> None:
    """In the factory as without it: another digest is a reason not to rely upon it, and exit code 1."""
    ana = as_("ana")
    digest = control.services.registry.version(control.call(), VersionName.parse(version)).digest
    ana.json("certificate", "export", version, "-o", "it.json")
    for nowhere in (".", "none/it.json"):
        refused = ana.problem("certificate", "export", version, "-o", nowhere, code=7)
        assert refused["code"] == "cli.file-unwritable"
    (ana.folder / "factory.pem").write_text(ana.type("certificate", "key").stdout)
    for asked in ((version,), ("it.json", "--key", "factory.pem")):
        assert ana.json("certificate", "verify", *asked)["good"]
        assert ana.json("certificate", "verify", *asked, "--digest", digest)["good"]
        found = ana.json("certificate", "verify", *asked, "--digest", OTHER, code=1)
        assert (found["good"], [one["code"] for one in found["problems"]]) == (False, ["subject"])
        assert digest in found["problems"][0]["told"]
        assert OTHER in found["problems"][0]["told"]
        assert (
            "should not be relied upon" in ana.type("certificate", "verify", *asked, "--digest", OTHER, code=1).stdout
        )


def test_a_strict_look_counts_no_key_that_is_revoked_by_now(control: Control, as_: As, version: str) -> None:
    """After a rotation the certificate stays good, unless somebody asks strictly: by the program, the client and the API."""
    ana = as_("ana")
    assert ana.json("certificate", "verify", version, "--strict")["good"]
    control.as_("admin").rotate_certificate_key("it was stolen")
    assert ana.json("certificate", "verify", version)["good"]
    found = ana.json("certificate", "verify", version, "--strict", code=1)
    assert [one["code"] for one in found["problems"]] == ["revoked"]
    assert not control.as_("vera").verify_certificate(version, strict=True).good
    model, _, number = version.partition(":")
    path = f"/api/v1/projects/default/models/{model}/versions/{number}/certificate/verification"
    with control.http("vera") as http:
        assert not http.get(path, params={"strict": "true"}).json()["good"]
        assert http.get(path).json()["good"]


def test_a_file_without_a_key_is_no_version(as_: As, tmp_path: Path) -> None:
    """What is asked of the factory is a version; a file takes keys."""
    (tmp_path / "it.json").write_text("{}")
    assert as_("ana").problem("certificate", "verify", "it.json", code=2)["code"] == "names.malformed"
