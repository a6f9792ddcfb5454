"""muster.toml: written and read again, and refused where it contradicts itself."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from muster.packaging.documents import Bundle, bundle_of, load_order, read_description, toml_of
from muster.packaging.errors import BundleMalformed
from muster.packaging.trusted import REVIEWED_TYPES, unreviewed

DOCUMENT: dict[str, Any] = {
    "format": 1,
    "name": "churn",
    "description": "Will she leave?",
    "owners": ["ana"],
    "authors": ["ben"],
    "tags": {"team": "retention"},
    "runtime": {
        "kind": "python",
        "python": "3.11.7",
        "serializer": "skops",
        "model": "model/model.skops",
        "trusted": ["numpy.dtype"],
        "method": "predict_proba",
        "class_index": 1,
        "input": "pandas",
        "dtypes": {"tenure": "int64", "plan": "category"},
        "categories": {"plan": {"values": ["a", "b"], "ordered": False, "dtype": "str"}},
    },
    "contract": {
        "inputs": [{"name": "tenure", "datatype": "INT64"}, {"name": "plan", "datatype": "BYTES"}],
        "outputs": [{"name": "p", "datatype": "FP64"}],
    },
    "golden": {"rows": 2, "tolerance": {"p": {"abs": 1e-12, "rel": 1e-9}}},
    "source": {"commit": "a" * 40, "dirty": True},
    "external": [{"path": "model/big", "uri": "s3://b/big", "digest": "sha256:" + "0" * 64, "size": 5}],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with one key changed, or removed by None."""
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    if value is None:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return document


def test_round_trip(tmp_path: Path) -> None:
    """What is written as muster.toml is the same bundle when read."""
    bundle = bundle_of(DOCUMENT)
    (tmp_path / "muster.toml").write_bytes(toml_of(bundle))
    assert read_description(tmp_path) == bundle
    assert isinstance(bundle, Bundle)
    assert bundle.people == {"ana", "ben"}


def test_people_read_the_important_things_first() -> None:
    """The keys a person looks for stand on top."""
    assert list(tomllib.loads(toml_of(bundle_of(DOCUMENT)).decode()))[:4] == ["format", "name", "description", "owners"]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("format", 2, "this Muster knows 1"),
        ("name", "Churn!", "not a name for a model"),
        ("owners.0", "Ana B", "not a name for a user"),
        ("authors", ["x y"], "not a name for a user"),
        ("title", "x", "unknown field `title`"),
        ("runtime.treads", 1, "unknown field `treads`"),
        ("runtime", None, "missing required field `runtime`"),
        ("runtime.python", "3.11", "no exact version"),
        ("runtime.python", "3.x.1", "no exact version"),
        ("runtime.serializer", "pickle", "Invalid enum value"),
        ("runtime.serializer", "cloudpickle", "trusted is for the serializer skops"),
        ("runtime.model", "../model", "no plain relative path"),
        ("runtime.model", "/etc/passwd", "no plain relative path"),
        ("runtime.code", ["/usr/lib"], "no plain relative path"),
        ("runtime.lock", "a/../../b", "no plain relative path"),
        ("runtime.method", "predict", "class_index is for predict_proba"),
        ("runtime.class_index", -1, "below 0"),
        ("runtime.dtypes", {"tenure": "int64"}, "does not name the input 'plan'"),
        ("runtime.dtypes.z", "int64", "'z', which is no input"),
        ("runtime.categories", {}, "does not name 'plan'"),
        ("runtime.missing", {"z": "nan"}, "'z', which is no input"),
        ("runtime.input", "numpy", "contract of one input"),
        ("contract.inputs", [], "there is no input"),
        ("contract.inputs.0.datatype", "INT65", "Invalid enum value"),
        ("contract.inputs.0.name", "expected.p", "named like an expected answer"),
        ("contract.outputs.0.shape", [2], "class_index is for"),
        ("golden.rows", 0, "at least one row"),
        ("golden.tolerance", {"q": {"abs": 1}}, "'q', which is no output"),
        ("golden.tolerance.p.abs", -1.0, "below 0"),
        ("external.0.digest", "md5:1", "not a digest"),
        ("external.0.uri", None, "missing required field `uri`"),
    ],
)
def test_contradictions(path: str, value: Any, said: str) -> None:
    """Each thing that cannot be is refused, and the message names it."""
    with pytest.raises(BundleMalformed) as caught:
        bundle_of(changed(path, value))
    everything = " ".join([caught.value.message, *caught.value.facts.get("problems", [])])
    assert said.replace("no plain", "not a plain") in everything


def test_no_bundle(tmp_path: Path) -> None:
    """A folder without muster.toml, or with one that is no TOML, is no bundle."""
    with pytest.raises(BundleMalformed, match="no bundle"):
        read_description(tmp_path)
    (tmp_path / "muster.toml").write_bytes(b"\xff")
    with pytest.raises(BundleMalformed, match="no TOML"):
        read_description(tmp_path)


def test_load_order() -> None:
    """The order names everything a host needs, absent lists as empty ones."""
    order = load_order(Path("/bundles/x"), bundle_of(DOCUMENT))
    assert order["bundle"] == "/bundles/x"
    assert order["threads"] == 1
    assert order["runtime"]["class_index"] == 1
    assert order["runtime"]["code"] == []
    assert order["runtime"]["missing"] == {}
    assert order["runtime"]["categories"]["plan"]["values"] == ["a", "b"]
    assert order["contract"]["inputs"][0] == {"name": "tenure", "datatype": "INT64"}
    plain = changed("runtime.class_index", None)
    assert load_order(Path("/x"), bundle_of(plain))["runtime"]["class_index"] is None


def test_toml_of_the_reference_page() -> None:
    """A document that TOML can hold is written without loss."""
    assert bundle_of(tomllib.loads(tomli_w.dumps(DOCUMENT))) == bundle_of(DOCUMENT)


def test_every_trusted_type_says_why() -> None:
    """The reviewed list has a reason for each type, and no type that could run what a file says."""
    assert all(len(why) > 10 for why in REVIEWED_TYPES.values())
    assert unreviewed(["builtins.eval", "numpy.dtype", "builtins.eval"]) == ["builtins.eval"]
    assert not any(name.startswith(("builtins.", "os.", "subprocess.")) for name in REVIEWED_TYPES)
