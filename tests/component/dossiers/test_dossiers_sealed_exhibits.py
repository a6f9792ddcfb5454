"""Who sees single rows of a sealed evaluation set: in the report, on its page, on the command line and in the store."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from muster.packaging.save import save
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import DEFAULT_PROJECT
from muster.wire.evidence import Grid
from muster.wire.reports import CertificationReport
from running_control import Control
from small_bundles import SAMPLE, Adds

WORST = "Rows judged worst, by their place in the set"
#: What really happened in one row, and nowhere else: whoever reads it has seen the row.
CAME = 7531.0625


@dataclass
class Judged:
    """A version that was judged on a set that Ben has sealed."""

    control: Control
    version: str
    session: str


@pytest.fixture(scope="module")
def judged(control: Control, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Ana made it with Abe, who may accept versions as Ben may."""
    folder = tmp_path_factory.mktemp("judged")
    made = control.services.access.add_user(control.call(), "abe", "approver")
    assert made.token is not None
    control.tokens["abe"] = made.token
    bundle = save(
        Adds(1.0), folder / "sums", name="sums", sample=SAMPLE, method="predict", output="score", owner="ana", authors=["abe"],
        description="adds one", prediction={"task": "regression", "label": "sum"},
    )  # fmt: skip
    xs = [float(x) for x in range(400)]
    rows = pd.DataFrame({"x": xs, "sum": [CAME, *(x + 1.25 for x in xs[1:])]})
    rows.to_parquet(folder / "set.parquet")
    version = control.as_("ana").register(bundle).version
    control.services.evaluations.add(control.call("ben"), "sums", folder / "set.parquet", "unseen")
    session = control.as_("ana").certify(version, wait=False).session
    control.work_off()
    return Judged(control, version, session)


def worst(report: CertificationReport) -> Grid:
    """The exhibit of the rows judged worst."""
    (shown,) = [exhibit for check in report.checks for exhibit in check.exhibits if exhibit.title == WORST]
    assert isinstance(shown, Grid)
    assert shown.sealed
    return shown


@pytest.mark.parametrize("name", ["ben", "admin"])
def test_who_may_accept_and_has_no_part_sees_the_rows(judged: Judged, name: str) -> None:
    """By session and by version, in the document and on the page."""
    with judged.control.as_(name) as somebody:
        for of in (judged.session, judged.version):
            found = worst(somebody.certification_report(of))
            assert found.rows[0][:3] == (0, 1.0, str(CAME))
            assert len(found.rows) == 20
            assert str(CAME) in somebody.certification_page(of)


@pytest.mark.parametrize("name", ["ana", "abe", "vera", "olga"])
def test_who_has_part_in_the_model_or_may_not_accept_sees_how_many_they_are(
    judged: Judged, name: str, tmp_path: Path
) -> None:
    """The author who may accept other versions is no exception; nor is any door."""
    control = judged.control
    with control.as_(name) as somebody:
        for of in (judged.session, judged.version):
            found = worst(somebody.certification_report(of))
            assert found.rows[0][0] == 20
            assert len(found.rows) == 1
            assert str(CAME) not in somebody.certification_page(of)
    with control.http(name) as http:
        base = "/api/v1/projects/default"
        told = [
            http.get(f"{base}{path}")
            for path in (
                f"/sessions/{judged.session}/report", f"/sessions/{judged.session}", f"/sessions/{judged.session}/tables",
                "/models/sums/versions/1/card", "/models/sums/test-score",
            )
        ]  # fmt: skip
    assert [answer.status_code for answer in told[:2]] == [200, 200]
    assert not [answer.url for answer in told if str(CAME) in answer.text]
    environment = {
        **os.environ, "MUSTER_URL": control.url, "MUSTER_TOKEN": control.tokens[name], "XDG_CONFIG_HOME": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "muster", "certificate", "report", judged.version, "--json"],
        capture_output=True, text=True, check=False, timeout=60, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert WORST in done.stdout
    assert str(CAME) not in done.stdout


def test_no_digest_that_is_told_leads_to_the_rows(judged: Judged) -> None:
    """A bundle may name blobs of the store by digest: the evidence, which everybody can name, holds no row; nor do the kept tables."""
    control = judged.control
    with control.as_("ana") as ana:
        result = ana.session(judged.session).result
    assert result is not None
    content = control.services.registry.document(Digest(result["evidence"]))
    assert WORST.encode() in content
    assert str(CAME).encode() not in content
    kept = control.services.metrics.tables(control.call("ana"), judged.session)
    assert {one.table.kind for one in kept} == {"outcomes"}
    assert kept[0].project == DEFAULT_PROJECT
