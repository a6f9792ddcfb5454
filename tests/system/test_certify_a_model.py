"""The how-to `docs/how-to/certify-a-model.md`, done: every command by the person whose token it carries."""

import re
from pathlib import Path

import pytest
from typed_pages import done, environment_of_a_user

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "certify-a-model.md"


@pytest.mark.timeout(900)
def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    """The first version is certified by its sealed rows; the second passes alone and is refused beside its champion, for that reason alone."""
    # That an environment can be made again is proved in the tests that are about it.
    variables = environment_of_a_user(tmp_path) | {"MUSTER_CERTIFICATION_PROVE_REBUILD": "false", "COLUMNS": "200"}
    said = done(PAGE, tmp_path / "work", variables)

    def of(*words: str) -> str:
        """What the first command said that holds all words."""
        return next(text for command, text in said.items() if all(word in command for word in words))

    first = of("certify churn:1")
    for name in ("relations", "robustness", "data-referenced", "no-leakage", "prediction-performance", "slices-hold"):
        assert re.search(rf"{name}\b", first), first
    assert "there is no champion to be compared with" in first
    second = of("certify churn:2")
    failed = re.findall(r"^ *FAILED +(\S+)", second, re.MULTILINE)
    assert failed == ["against-champion"], second
    assert "relied upon" in of("certificate verify churn-1.dsse.json")
    figures = [float(found) for found in re.findall(r"\b0\.\d+", of("--metric roc_auc"))]
    assert max(figures) > 0.6, figures
    for report, version in (("report.html", "churn:1"), ("refused.html", "churn:2")):
        page = (tmp_path / "work" / report).read_text(encoding="utf-8")
        assert version in page
        assert len(page) < 1_000_000
    assert "against-champion" in (tmp_path / "work" / "refused.html").read_text(encoding="utf-8")
