"""What locks may name: nothing that a tool would read as an option, a folder, an address or more of a manifest."""

import base64
import json

import pytest

from muster.environments.languages.go import Go
from muster.environments.languages.java import Java
from muster.environments.languages.node import Node
from muster.environments.languages.rust import Rust
from muster.packaging.errors import BundleMalformed

SHA512 = "sha512-" + base64.b64encode(b"\1" * 64).decode()
SUM = f"h1:{'A' * 43}="
HASH = "0a" * 32


def npm(name: str, version: str, place: str = "node_modules/a") -> bytes:
    entry = {"name": name, "version": version, "integrity": SHA512}
    return json.dumps({"lockfileVersion": 3, "packages": {"": {}, place: entry}}).encode()


def cargo(name: str, version: str, checksum: str = HASH) -> bytes:
    words = {"name": name, "version": version, "checksum": checksum}
    return ("[[package]]\n" + "".join(f"{key} = {json.dumps(word)}\n" for key, word in words.items())).encode()


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("--registry=http://evil", "1.0.0"),
        ("-g", "1.0.0"),
        ("../../a", "1.0.0"),
        ("a b", "1.0.0"),
        ("@a", "1.0.0"),
        ("a\n", "1.0.0"),
        ("a", "file:/root"),
        ("a", "https://evil/x.tgz"),
        ("a", "latest"),
        ("a", "npm:b@1.0.0"),
        ("a", "^1.0.0"),
    ],
)
def test_npm_is_asked_for_names_and_versions_only(name: str, version: str) -> None:
    """A name that is an option or a folder, a version that is an address, a tag or a range: no lock."""
    with pytest.raises(BundleMalformed, match="no name and version"):
        Node().packages(npm(name, version))


def test_places_of_npm_are_made_of_names() -> None:
    """A place holds names between `node_modules` and nothing else; usual ones pass."""
    for place in ("node_modules/a/b", "node_modules/-x", "node_modules/a\x00", "node_modules/a/../../b"):
        with pytest.raises(BundleMalformed, match="no place below node_modules"):
            Node().packages(npm("a", "1.0.0", place))
    (package,) = Node().packages(npm("@Types/node.x", "1.0.0-beta.1+b", "node_modules/@a/b/node_modules/c"))
    assert (package.name, package.version) == ("@Types/node.x", "1.0.0-beta.1+b")


@pytest.mark.parametrize(
    "line",
    [
        "-overlay=/tmp/x v1.0.0",
        "example.com/../a v1.0.0",
        "/root v1.0.0",
        "example.com/a v1",
        "example.com/a v1.0.0@latest",
        "example.com/a@v1.0.0 v1.0.0",
        "example.com/a v../../../x",
    ],
)
def test_go_is_asked_for_modules_and_versions_only(line: str) -> None:
    """A path that is an option or climbs, a version that is none: no line of go.sum."""
    with pytest.raises(BundleMalformed, match="line 1"):
        Go().packages(f"{line} {SUM}\n".encode())


def test_usual_modules_of_go_pass() -> None:
    """Pseudo-versions, `+incompatible` and the letters that Go allows in paths."""
    lines = [
        "gopkg.in/yaml.v3 v3.0.1",
        "github.com/Azure/go-ansiterm v0.0.0-20210617225240-d185dfc1b5a1",
        "github.com/docker/docker v20.10.7+incompatible",
        "git.sr.ht/~sbinet/gg v0.3.1",
    ]
    text = "".join(f"{line} {SUM}\n{line}/go.mod {SUM}\n" for line in lines)
    assert len(Go().packages(text.encode())) == len(lines)


@pytest.mark.parametrize(
    ("name", "version", "checksum"),
    [
        ("../../../tmp/x", "1.0.0", HASH),
        ('a", git = "https://evil", branch = "b', "1.0.0", HASH),
        ("-a", "1.0.0", HASH),
        ("a", '1.0.0", git = "https://evil', HASH),
        ("a", "*", HASH),
        ("a", "1.0.0", "../../x"),
    ],
)
def test_cargo_is_asked_for_names_and_versions_only(name: str, version: str, checksum: str) -> None:
    """What would write into the manifest that fetches, or lead out of a folder, is no Cargo.lock."""
    with pytest.raises(BundleMalformed, match=r"Cargo\.lock"):
        Rust().packages(cargo(name, version, checksum))


@pytest.mark.parametrize("line", ["-a:b:1", "a:-b:1", "a:b:-1", "a:b:1:-c", "ä:b:1"])
def test_maven_is_asked_for_coordinates_only(line: str) -> None:
    """No word of a coordinate begins like an option."""
    with pytest.raises(BundleMalformed, match="line 1"):
        Java().packages(f"{line} sha256:{HASH}\n".encode())
