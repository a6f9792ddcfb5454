"""A compiled twin in the place of its version: certified with it, served, on record, replayed."""

from pathlib import Path

import numpy as np
import pytest
from running_factory import RunningFactory, wait_for
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import muster
from muster.vocabulary.errors import Refused
from muster.vocabulary.states import VersionState

pytestmark = pytest.mark.timeout(600)


def test_a_twin_answers_in_the_place_of_its_version(factory: RunningFactory, tmp_path: Path) -> None:
    """It is refused before a certificate vouches for it; then it answers within the tolerance, the record names its environment, and replay runs it."""
    chance = np.random.default_rng(7)
    rows = chance.normal(size=(400, 3))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, (rows.sum(axis=1) > 0).astype(int))
    bundle = muster.save(
        model, tmp_path / "bundle", name="twinned", sample=rows, owner="ana", description="has a twin",
        method="predict_proba", output="p",
    )  # fmt: skip
    ana, ben = factory.as_("ana"), factory.as_("ben")
    version = ana.register(bundle).version
    assert ana.certify(version).passed
    ben.accept(version, "good")
    with pytest.raises(Refused, match="names no compiled twin"):
        ana.propose("twinned", champion=version, twins=[version], reason="quick")
    assert ana.certify(version, twin=True).passed
    found = ana.version(version)
    assert found.certificate is not None
    if found.state is not VersionState.ACCEPTED:
        ben.accept(version, "good")
    release = factory.release("twinned", version, challengers=[], twins=[version], deadline="2s", patience="1500ms")
    (variant,) = ana.release("twinned", release).variants
    assert variant.manifest == found.certificate.twin != found.digest
    answer = factory.score("twinned", {"input": rows[0].tolist()})
    assert answer.variants == [version]
    assert answer["p"] == pytest.approx(model.predict_proba(rows[:1])[:, 1], rel=1e-6)
    olga = factory.as_("olga")
    record = wait_for(lambda: olga.request(answer.request_id), told="the request on record")
    (given,) = record.answers
    assert given.environment != found.certificate.environment
    assert olga.replay(answer.request_id).identical
    # From now on there are rows that somebody has asked, and a further certification asks them, too.
    assert ana.certify(version, twin=True).passed
    certificate = ana.version(version).certificate
    assert certificate is not None
    figures = {check.name: check.figures for check in certificate.checks}["twin-agrees"]
    assert figures["past_rows"] == 1
    assert figures["rows"] > 10_001
