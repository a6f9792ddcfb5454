"""What a check that is kept was made from."""

from types import SimpleNamespace
from typing import Any, cast

from muster.certification.keeping import key_of
from muster.certification.options import CertificationOptions
from muster.certification.questions import QUESTIONS


def test_a_key_holds_every_setting_paths_among_them() -> None:
    """The settings of a real factory name files; another file makes another key, the same settings the same one."""

    def key(secret: str) -> str:
        bench = SimpleNamespace(
            version=SimpleNamespace(digest="sha256:00"),
            environment=None,
            seal=None,
            options=CertificationOptions(kept={"the admin's token": secret}),
            given_options={},
        )
        return key_of(QUESTIONS[0], cast("Any", bench), "a machine", None)

    assert key("/home/admin.token") == key("/home/admin.token")
    assert key("/home/admin.token") != key("/home/front.token")
