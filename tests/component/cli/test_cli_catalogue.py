"""What there is, by hand: model list, show, set; search; resolve; release breaks and acknowledge."""

from collections.abc import Callable

import pytest
from running_cli import Shell

from running_control import Control, FollowingFront
from small_bundles import SmallBundles

As = Callable[[str], Shell]


@pytest.mark.timeout(240)
def test_models_are_listed_changed_and_found(as_: As, bundles: SmallBundles) -> None:
    """As a person types it and as a program reads it."""
    ana, vera = as_("ana"), as_("vera")
    for name in ("farm-hen", "farm-pig"):
        ana.json("register", bundles.new(name=name))
    listed = vera.json("model", "list", "--limit", 1)
    assert (len(listed["models"]), listed["next"]) == (1, listed["models"][0]["name"])
    assert "farm-pig" in vera.type("model", "list").stdout
    changed = ana.json(
        "model", "set", "farm-hen", "--owner", "ben", "--deputy", "ana", "--description", "Lays eggs", "--business-metric",
        "eggs a week", "--tag", "team=yard", "--tag", "a=b", "--reason", "ben has the hens now",
    )  # fmt: skip
    assert (changed["owner"], changed["deputy"], changed["tags"]) == ("ben", "ana", {"team": "yard", "a": "b"})
    assert (
        ana.problem("model", "set", "farm-hen", "--owner", "ana", "--reason", "mine", code=5)["code"]
        == "registry.not-your-model"
    )
    as_("ben").json("model", "set", "farm-hen", "--untag", "a", "--deputy", "", "--reason", "tidy")
    told = vera.type("model", "show", "farm-hen").stdout
    assert "eggs a week" in told
    assert "team=yard" in told
    assert "a=b" not in told
    assert ana.problem("model", "set", "farm-hen", "--tag", "nothing", "--reason", "x", code=2)
    found = vera.json("search", "tag:team=yard owner:ben eggs")
    assert [one["name"] for one in found["found"]] == ["farm-hen"]
    assert "farm-hen:1" in vera.type("search", "name:farm-hen", "kind:version").stdout
    assert vera.problem("search", "colour:red", code=2)["code"] == "catalogue.query-malformed"
    resolved = vera.json("resolve", "farm-hen:1", "farm-pig:latest")
    assert [one["version"]["version"] for one in resolved["resolved"]] == ["farm-hen:1", "farm-pig:1"]
    assert "there is no version farm-hen:7" in vera.type("resolve", "farm-hen:7", code=1).stdout


@pytest.mark.timeout(240)
def test_a_break_is_shown_and_agreed_to(control: Control, as_: As, bundles: SmallBundles) -> None:
    """By the consumer, whose token may do nothing else; and by an admin on behalf of one."""
    for name in ("mill", "mall"):
        made = control.services.access.add_user(control.call(), name, "consumer", endpoints=("grain",))
        assert made.token is not None
        control.tokens[name] = made.token
    first = control.accepted(bundles.new(name="grain"))
    folder = bundles.new(name="grain")
    toml = folder / "muster.toml"
    toml.write_text(toml.read_text().replace('{ name = "score", ', '{ name = "score", nullable = true, '))
    second = control.accepted(folder)
    ana, ben, mill = as_("ana"), as_("ben"), as_("mill")
    with FollowingFront(control):
        ana.json("release", "propose", "grain", "--champion", first, "--deadline", "1s", "--reason", "first")
        ben.json("release", "approve", "grain", 1, "--reason", "go")
        assert (
            "mall, mill"
            in ana.type(
                "release", "propose", "grain", "--champion", second, "--deadline", "1s", "--reason", "second"
            ).stdout
        )
        assert ben.problem("release", "approve", "grain", 2, "--reason", "go", code=7)["facts"]["awaited"] == [
            "mall",
            "mill",
        ]
        shown = mill.type("release", "breaks", "grain", 2, code=1).stdout
        assert "it may be null, and was not" in shown
        assert mill.json("release", "acknowledge", "grain", 2, "--reason", "fine")["awaited"] == ["mall"]
        assert (
            as_("admin").json("release", "acknowledge", "grain", 2, "--for", "mall", "--reason", "asked them")[
                "awaited"
            ]
            == []
        )
        assert mill.json("release", "breaks", "grain", 2)["compatible"] is False
        assert ben.json("release", "approve", "grain", 2, "--reason", "go")["state"] == "live"
