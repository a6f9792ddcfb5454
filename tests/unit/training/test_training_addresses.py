"""What may be a source, and which references lie below one: nothing leads out."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.training.addresses import Place, checked_source, place_of
from muster.training.errors import ReferenceMalformed, SourceMalformed, SourceNotFound
from muster.training.records import Source


def source(name: str, uri: str) -> Source:
    return Source(
        project="default", name=name, uri=uri, added_by="ada", added_at=datetime(2026, 1, 1, tzinfo=UTC), reason="so"
    )


SOURCES = (
    source("lake", "file:///srv/lake/"),
    source("deep", "file:///srv/lake/deep/"),
    source("bucket", "s3://data/ml/"),
    source("web", "https://data.example/ml/"),
)


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("/srv/lake", "file:///srv/lake/"),
        ("/srv/lake/", "file:///srv/lake/"),
        ("file:///srv/my%20lake", "file:///srv/my%20lake/"),
        ("s3://data/ml", "s3://data/ml/"),
        ("https://data.example:8443/ml/", "https://data.example:8443/ml/"),
    ],
)
def test_a_source_has_an_address_with_a_slash_at_its_end(given_: str, kept: str) -> None:
    """So that no other folder begins with it."""
    assert checked_source(given_) == kept


@pytest.mark.parametrize(
    "given_",
    [
        "", "/", "relative/lake", "../lake", "/srv/../etc", "http://data.example/", "ftp://data.example/", "gs://data/",
        "https://user:secret@data.example/", "https://data.example/?a=1", "https://data.example/#a", "https:///x", "s3://",
        "file://elsewhere/srv", "https://data.example/a/../b/", "https://data.example/%2e%2e/", "https://data.example:x/", "/srv/\0",
    ],
)  # fmt: skip
def test_what_is_no_source_is_refused(given_: str) -> None:
    """No password, no query, no way up, nothing but folders, S3 and HTTPS; a secret is not repeated."""
    with pytest.raises(SourceMalformed) as told:
        checked_source(given_)
    assert "secret" not in told.value.message


def test_the_home_of_the_factory_is_no_source(tmp_path: Path) -> None:
    """Neither a folder in it, nor one around it, nor a link to it."""
    home = tmp_path / "data" / "home"
    home.mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    for folder in (home, home / "store", tmp_path, tmp_path / "link"):
        with pytest.raises(SourceMalformed, match="home"):
            checked_source(str(folder), [home])
    assert checked_source(str(tmp_path / "data" / "lake"), [home]).endswith("/data/lake/")


@pytest.mark.parametrize(
    ("uri", "of", "parts"),
    [
        ("source:lake/a/b.parquet", "lake", ("a", "b.parquet")),
        ("source:lake/a b%20c.parquet", "lake", ("a b%20c.parquet",)),
        ("file:///srv/lake/a%20b.csv", "lake", ("a b.csv",)),
        ("file:///srv/lake/deep/a.csv", "deep", ("a.csv",)),
        ("s3://data/ml/2026/x.parquet", "bucket", ("2026", "x.parquet")),
        ("https://data.example/ml/x.parquet", "web", ("x.parquet",)),
    ],
)
def test_a_reference_below_a_source_is_found(uri: str, of: str, parts: tuple[str, ...]) -> None:
    """By its name or by its address, the longest that fits."""
    place = place_of(uri, SOURCES)
    assert place is not None
    assert (place.source.name, place.parts) == (of, parts)


@pytest.mark.parametrize(
    "uri",
    [
        "https://data.example/other/x.parquet", "https://data.example.evil/ml/x", "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd", "/srv/lake/x.parquet", "s3://data/mlx/a", "bundle:x", "churn.parquet", "file:///srv/lakes/x",
    ],
)  # fmt: skip
def test_any_other_address_is_nobodys_to_fetch(uri: str) -> None:
    """It lies below no source: it is recorded as declared."""
    assert place_of(uri, SOURCES) is None


@pytest.mark.parametrize(
    "uri",
    [
        "source:lake/", "source:lake", "source:lake/../x", "source:lake/a/../../x", "source:lake//x", "source:lake/./x",
        "source:lake/a\\b", "source:lake/a\0b", "source:lake/" + "a/" * 40 + "x", "source:lake/" + "x" * 300,
        "file:///srv/lake/%2e%2e/x", "file:///srv/lake/../x", "s3://data/ml/../x", "https://data.example/ml/%2e%2e/x",
        "https://data.example/ml/a%2f..%2f..%2fx", "https://data.example/ml/x?y=1", "https://data.example/ml/x#y",
    ],
)  # fmt: skip
def test_what_leads_out_is_refused(uri: str) -> None:
    """Dots, empty parts, backslashes, queries: encoded or not."""
    with pytest.raises(ReferenceMalformed):
        place_of(uri, SOURCES)


def test_a_source_that_is_not_there_is_named() -> None:
    """With those that are."""
    with pytest.raises(SourceNotFound) as told:
        place_of("source:sea/x", SOURCES)
    assert told.value.facts["sources"] == ["bucket", "deep", "lake", "web"]


@settings(max_examples=60)
@given(st.text(max_size=60), st.sampled_from(SOURCES), st.booleans())
def test_whatever_is_asked_for_stays_below_its_source(path: str, one: Source, named: bool) -> None:
    """What is found has no part that leads upwards, and its address begins with the source's."""
    try:
        place = place_of(f"source:{one.name}/{path}" if named else one.uri + path, SOURCES)
    except (ReferenceMalformed, SourceNotFound):
        return
    assert place is not None
    assert not {"", ".", ".."} & set(place.parts)
    assert not any("/" in part or "\0" in part for part in place.parts)
    if place.source.uri.startswith("https:"):
        assert_below(place)


def assert_below(place: Place) -> None:
    parsed = urlsplit(place.url)
    assert (parsed.scheme, parsed.netloc, parsed.query, parsed.fragment) == ("https", "data.example", "", "")
    assert unquote(parsed.path) == "/ml/" + "/".join(place.parts)
