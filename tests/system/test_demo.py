"""`muster demo`, as a user starts it: all ten steps on real data, with real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest


def muster_demo(
    *arguments: str, program: tuple[str, ...] = ("-m", "muster", "demo")
) -> subprocess.CompletedProcess[str]:
    # One address of a factory in the caller's environment must not lead the demo away from its own.
    environment = os.environ | {"MUSTER_URL": "http://127.0.0.1:9", "MUSTER_TOKEN": "mst_nobody"}
    return subprocess.run(
        [sys.executable, *program, *arguments], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.timeout(600)
def test_the_demo_plays_all_ten_steps_and_its_figures_bear_out_what_it_says(tmp_path: Path) -> None:
    """The demo exits 0 with ten steps passed, and the figures it measured are those of the story."""
    home = tmp_path / "home"
    ran = muster_demo("--home", str(home), "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    assert (told["passed"], told["problem"], told["home"]) == (True, None, str(home))
    assert [(step["number"], step["passed"]) for step in told["steps"]] == [(number, True) for number in range(1, 11)]
    figures: dict[int, dict[str, Any]] = {step["number"]: step["figures"] for step in told["steps"]}

    assert list(figures[2]["versions"]) == ["churn:1", "churn:2", "churn:3"]
    assert all(0.8 < version["auc"] < 0.9 for version in figures[2]["versions"].values())
    assert figures[3]["own_approval_status"] == 403
    assert any("golden" in check for check in figures[3]["untrue_checks"])
    assert {"refused_by_slices_hold", "refused_by_no_malicious_code"} <= figures[3].keys()
    assert 0.75 < figures[4]["sealed_auc"] < 0.9
    assert 10_000 < figures[4]["report_bytes"] < 1_000_000
    assert figures[5]["records_answers"] == figures[5]["v2_answers"] == 1000
    assert figures[5]["largest_difference_to_lab"] <= 1e-9
    assert set(figures[5]["agreement"]) == {"churn:1_churn:2", "churn:1_churn:3", "churn:2_churn:3"}
    assert figures[6]["failed"] == 0
    assert (
        figures[6]["about_slow_customers"]
        <= figures[6]["answered_by_fallback"]
        < figures[6]["requests_under_slow_champion"]
    )
    assert 0 < figures[6]["effective_ms"] < 5000
    assert figures[7]["failed"] == 0
    assert (figures[8]["identical"], figures[8]["differences"], figures[8]["variants"]) == (True, 0, 3)
    assert figures[9]["found_at"] == figures[9]["tampered_at"]

    left = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(home) in " ".join(process.info["cmdline"] or ())
    ]
    assert left == []


def test_the_demo_says_what_to_install() -> None:
    """Where scikit-learn is not installed, the demo says so and how to get it, and starts nothing."""
    without = "import sys; sys.modules['sklearn'] = None; from muster.demo.__main__ import main; sys.exit(main())"
    ran = muster_demo("--json", program=("-c", without))
    problem = json.loads(ran.stderr)
    assert (ran.returncode, ran.stdout, problem["code"]) == (10, "", "demo.needs-more")
    assert "scikit-learn" in problem["detail"]


def test_the_demo_leaves_a_folder_alone_that_holds_something(tmp_path: Path) -> None:
    """A folder that is not empty is no place for the demo's home: it is refused and not changed."""
    (tmp_path / "thesis.txt").write_text("twelve years of work")
    ran = muster_demo("--home", str(tmp_path))
    assert ran.returncode != 0
    assert "not an empty folder" in ran.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
