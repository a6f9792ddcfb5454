"""Go: what go.sum names, what is wrong with a bundle, and Go's hashes of modules."""

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from muster.environments.languages.go import GRAPH_ONLY, Go, sum_of_file, sum_of_zip
from muster.environments.protocol import BuildJob, Toolchain
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import BundleMalformed

GO = Go()
ZIP, MOD, OTHER = (f"h1:{letter * 43}=" for letter in "ABC")
SUM = f"""example.com/Loud v0.17.0 {ZIP}
example.com/Loud v0.17.0/go.mod {MOD}

example.com/graph v1.2.3-0.20240101000000-abcdefabcdef/go.mod {OTHER}
"""
MODULE = """module churn

go 1.22

require example.com/Loud v0.17.0 // direct

require (
	example.com/graph v1.2.3-0.20240101000000-abcdefabcdef // indirect
)
"""


def bundle(**runtime: Any) -> Bundle:
    return bundle_of(
        {
            "format": 1,
            "name": "churn",
            "runtime": {"kind": "go", "toolchain": "go-1.26.8", **runtime},
            "contract": {
                "inputs": [{"name": "x", "datatype": "FP64"}],
                "outputs": [{"name": "y", "datatype": "FP64"}],
            },
            "golden": {"rows": 1},
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a bundle about which nothing is wrong."""
    (tmp_path / "musterhost").mkdir()
    (tmp_path / "musterhost" / "serve.go").write_text("package musterhost\n")
    (tmp_path / "main.go").write_text("package main\n")
    (tmp_path / "go.mod").write_text(MODULE)
    (tmp_path / "go.sum").write_text(SUM)
    return tmp_path


def test_a_lock_names_modules_by_their_hashes() -> None:
    """A module has the hash of its zip and of its go.mod; one of which only go.mod is read is marked so."""
    loud, graph = GO.packages(SUM.encode())
    assert (loud.ecosystem, loud.name, loud.version) == ("golang", "example.com/Loud", "v0.17.0")
    assert (loud.hashes, loud.marker) == (frozenset({ZIP, MOD}), None)
    assert (graph.hashes, graph.marker) == (frozenset({OTHER}), GRAPH_ONLY)
    assert loud.purl == "pkg:golang/example.com/Loud@v0.17.0"


def test_a_module_without_dependencies_has_a_lock_of_one_empty_line() -> None:
    """A lock that names nothing is one all the same."""
    assert GO.packages(b"\n") == ()


@pytest.mark.parametrize("line", ["example.com/a v1.0.0", "example.com/a v1.0.0 h1:short=", "<html>", "a b c d e"])
def test_a_line_that_is_none_is_told_by_its_number(line: str) -> None:
    """What is no line of go.sum is told with its number."""
    with pytest.raises(BundleMalformed, match=r"go\.sum, line 5:"):
        GO.packages(f"{SUM}{line}\n".encode())


def test_a_lock_that_is_no_text_is_refused() -> None:
    """Bytes that are not UTF-8 are no lock."""
    with pytest.raises(BundleMalformed, match="UTF-8"):
        GO.packages(b"\xff\xfe")


def test_a_sound_bundle_has_no_problems(folder: Path) -> None:
    """Where nothing is wrong nothing is told."""
    assert list(GO.problems(folder, bundle())) == []


@pytest.mark.parametrize(
    ("runtime", "spoil", "path", "told"),
    [
        ({"entry": "cmd/model"}, {}, "muster.toml", "no folder with Go files"),
        ({}, {"main.go": None}, "muster.toml", "no folder with Go files"),
        ({}, {"musterhost/serve.go": None}, "musterhost/serve.go", "missing"),
        ({}, {"go.sum": "nonsense\n"}, "go.sum", "line 1"),
        ({}, {"go.sum": "\n"}, "go.sum", "does not name example.com/Loud v0.17.0"),
        ({}, {"go.mod": f"{MODULE}\nreplace example.com/Loud => ../loud\n"}, "go.mod", "outside of the bundle"),
        ({}, {"go.mod": f"{MODULE}\nreplace (\n\ta.b/c v1.0.0 => /home/ana/c\n)\n"}, "go.mod", "outside of the bundle"),
    ],
)
def test_what_is_wrong_is_seen_without_tools(
    folder: Path, runtime: dict[str, Any], spoil: dict[str, str | None], path: str, told: str
) -> None:
    """Each mistake is an error that names the file and what to do."""
    for name, content in spoil.items():
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(content)
    found = [finding for finding in GO.problems(folder, bundle(**runtime)) if told in finding.problem]
    assert [(finding.level, finding.path) for finding in found] == [("error", path)]
    assert found[0].remedy


def test_a_replacement_within_the_bundle_is_no_problem(folder: Path) -> None:
    """A module may be replaced by a folder that travels with it."""
    (folder / "go.mod").write_text(f"{MODULE}\nreplace example.com/Loud v0.17.0 => ./loud\n")
    assert list(GO.problems(folder, bundle())) == []


def test_hashes_are_those_of_go(tmp_path: Path) -> None:
    """The hash of a zip is over sorted names and contents, whatever their order in it; known values of Go's own."""
    (tmp_path / "go.mod").write_text("module github.com/pkg/errors\n")
    assert sum_of_file(tmp_path / "go.mod") == "h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0="
    files = {"a@v1/b.go": b"b", "a@v1/a.go": b"a"}
    sums = set()
    for order in (sorted(files), sorted(files, reverse=True)):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name in order:
                archive.writestr(name, files[name])
        sums.add(sum_of_zip(tmp_path / "a.zip"))
    assert len(sums) == 1


def test_builds_share_no_compiled_packages(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each build compiles in a place of its own: what another process of the same user writes comes into no program."""
    asked: list[dict[str, str]] = []

    def tool(*_: Any, variables: dict[str, str], **__: Any) -> subprocess.CompletedProcess[str]:
        asked.append(variables)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr("muster.environments.languages.go.run_tool", tool)
    tmp_path = tmp_path_factory.mktemp("builds")
    for name in ("first", "second"):
        (tmp_path / name / "tree").mkdir(parents=True)
        GO.build(
            BuildJob(
                folder=folder,
                bundle=bundle(),
                toolchain=Toolchain(name="go-1.26.8", programs={"go": Path("/usr/bin/go")}),
                parts=(),
                tree=tmp_path / name / "tree",
                scratch=tmp_path / name,
                say=lambda _: None,
            )
        )
    for told, name in zip(asked, ("first", "second"), strict=True):
        assert all(Path(told[place]).is_relative_to(tmp_path / name) for place in ("GOCACHE", "GOMODCACHE", "GOPATH"))
