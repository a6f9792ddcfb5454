"""`muster own-check`: checks of one's own as people type them, in the lab and in a factory."""

from collections.abc import Callable
from pathlib import Path

from running_cli import Shell

from claimed_bundles import claimed_bundle
from muster.packaging.claims import OwnCheck
from small_bundles import SmallBundles

As = Callable[[str], Shell]
VERDICT = """
import json, sys
first = json.loads(sys.stdin.readline())
print(json.dumps({"passed": %s, "figure": len(first["golden"]["inputs"]), "detail": "counted"}))
"""


def test_a_check_is_added_listed_and_shown(as_: As, tmp_path: Path) -> None:
    """What is printed is the digest that a standard names; a file that is missing or no Python is told."""
    (tmp_path / "count.py").write_text(VERDICT % "True")
    (tmp_path / "bad.py").write_text("def f(:")
    ana = as_("ana")
    added = ana.json("own-check", "add", "count", "count.py", "--reason", "so")
    assert (added["name"], added["added_by"], added["size"]) == ("count", "ana", len(VERDICT % "True"))
    assert added["digest"] in [one["digest"] for one in ana.json("own-check", "list")["checks"]]
    assert ana.json("own-check", "show", added["digest"])["text"] == VERDICT % "True"
    assert "own:count" in ana.type("own-check", "show", added["digest"]).stdout
    assert ana.problem("own-check", "add", "count", "none.py", "--reason", "so", code=3)["code"] == "cli.file-missing"
    assert (
        ana.problem("own-check", "add", "count", "bad.py", "--reason", "so", code=2)["code"]
        == "standards.check-malformed"
    )
    vera = as_("vera")
    assert (
        vera.problem("own-check", "add", "count", "count.py", "--reason", "so", code=5)["code"]
        == "access.right-missing"
    )
    assert vera.problem("own-check", "show", "sha256:" + "0" * 64, code=3)["code"] == "standards.check-not-found"


def test_the_checks_of_a_bundle_are_tried_in_the_lab(shell: Shell, bundles: SmallBundles) -> None:
    """As certification would put them, without a factory; exit code 1 says that one did not pass, and a program can be tried before it is packed."""
    folder = claimed_bundle(
        shell.folder / "bundle",
        files={"checks/good.py": VERDICT % "True", "checks/bad.py": VERDICT % "False"},
        checks=(OwnCheck(name="good", run="checks/good.py"), OwnCheck(name="bad", run="checks/bad.py")),
    )
    lonely = shell.where(MUSTER_URL="http://127.0.0.1:1")
    found = lonely.json("own-check", "try", folder, code=1)
    assert [(one["name"], one["passed"], one["figure"]) for one in found["checks"]] == [
        ("own:good", True, 3), ("own:bad", False, 3),
    ]  # fmt: skip
    one = lonely.json("own-check", "try", folder, "--program", folder / "checks" / "good.py")
    assert (one["passed"], [check["name"] for check in one["checks"]]) == (True, ["own:good"])
    assert lonely.problem("own-check", "try", bundles.new(), code=2)["code"] == "cli.usage"
    assert lonely.problem("own-check", "try", "nowhere", code=3)["code"] == "cli.file-missing"
