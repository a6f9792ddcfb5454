"""Secrets in files: each form is found, shown masked, and told apart from what only looks like one."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from malicious_files import zip_of
from muster.scanning.secrets import entropy, scan_secrets, secrets_in

#: Made up of pieces, so that no file of this repository holds anything that looks like one.
_RANDOM = "h7Kq2" + "ZpW9x" + "Lm4Tv" + "B8nRs" + "J3dYf" + "6GcXe" + "A1uQo" + "5iHbNz"
SECRETS = {
    "private-key": "-----BEGIN RSA " + "PRIVATE KEY-----\n" + _RANDOM * 4 + "\n-----END",
    "private-key ": "key = '-----BEGIN OPENSSH " + "PRIVATE KEY-----\\n" + _RANDOM * 4 + "'",
    "aws-access-key": "id = AKI" + "AIOSFODNN7ABCDEFG;",
    "aws-secret-key": "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQm4pLr9Ts",
    "github-token": "gh" + "p_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bD1fH3jL5",
    "github-token ": "github" + "_pat_" + "11ABCDEFG0" + "a" * 60,
    "gitlab-token": "glp" + "at-" + "aB3dE5gH7jK9mN1pQ3sT",
    "slack-token": "xox" + "b-" + "123456789012-abcdefghijkl",
    "slack-webhook": "https://hooks.slack." + "com/services/T00000000/B00000000/" + "aB3dE5gH7jK9mN1pQ3sT5vW7",
    "google-api-key": "AIz" + "aSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "stripe-key": "sk_" + "live_" + "aB3dE5gH7jK9mN1pQ3sT5vW7",
    "hugging-face-token": "h" + "f_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
    "npm-token": "np" + "m_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bD1fH3jL5",
    "pypi-token": "pyp" + "i-AgEI" + "cHlwaS5vcmc" * 6,
    "azure-storage-key": "Account" + "Key=" + "aB3d" * 21 + "eF==",
    "databricks-token": "da" + "pi" + "0123456789abcdef" * 2,
    "json-web-token": "eyJhbGciOiJIUzI1NiJ9x.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "password-in-url": "postgresql://model:" + "t0pS3cr3tPw" + "@db.internal/churn",
    "assigned": "db_pass" + 'word = "' + "hT7x9Qp2LmZ4vB8n" + '"',
    "assigned ": '{"api' + '_key": "' + "9f8a7b6c5d4e3f2a1b0c" + '"}',
}
HARMLESS = [
    'password = os.environ["DB_PASSWORD"]',
    'password = "changeme-please-1"',
    'token = "<your token of 20 characters>"',
    'secret_name = "projects/churn/secrets/db"',
    'key = "customer.monthly_charges"',
    'api_key = "${API_KEY_OF_THE_FACTORY_1}"',
    "postgresql://user:password@localhost/test",
    "https://example.com/a:b@c",
    "sha256:7fda9eb655c9c230dab534f1983763de5835249750e85fbcef43aaa30a9a2414",
    "--hash=sha256:9acb47f6afd73f60dc1df93bb801b472f05ff42fa6c84167d25cb206be1fbf4a",
    "-----BEGIN PUBLIC KEY-----\n" + _RANDOM * 4,
    "the secret of a good model is its data",
    "tokenizer: BertTokenizerFast2023v1",
]


@pytest.mark.parametrize("kind", SECRETS)
def test_each_form_is_found_and_masked(kind: str) -> None:
    """By its kind and line; what is shown is a quarter of it at most, and the fingerprint is its SHA-256's beginning."""
    text = SECRETS[kind]
    (found,) = secrets_in(f"first\nsecond {text}\n".encode(), "settings.yaml")
    assert (found.kind, found.line, found.place) == (kind.strip(), 2, "settings.yaml")
    assert len(found.masked.partition("…")[0]) <= 4
    assert len(found.fingerprint) == 16


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_utf_16_is_read(encoding: str) -> None:
    """As editors and shells of Windows write it, with a mark of the byte order or without."""
    for kind, text in SECRETS.items():
        (found,) = secrets_in(f"first\nsecond {text}\n".encode(encoding), "settings.yaml")
        assert (found.kind, found.line) == (kind.strip(), 2)


@pytest.mark.parametrize(
    "disguise",
    [
        lambda secret: b"\xff\xfe" + secret,
        lambda secret: b"\xfe\xff" + secret,
        lambda secret: "log of the shell\n".encode("utf-16") + secret,
        lambda secret: secret + "\nlog of the shell\n".encode("utf-16"),
        lambda secret: b"plain\n" * 2000 + secret.decode().encode("utf-16-le"),
        lambda secret: b"\x07\x00" * 8192 + b"\n" + secret,
    ],
    ids=["mark", "other mark", "wide before", "wide behind", "wide at the end", "numbers before"],
)
def test_bytes_around_a_secret_do_not_hide_it(disguise: Callable[[bytes], bytes]) -> None:
    """A mark, wide text or numbers in the same file: it is read as it stands, and without zeros."""
    found = [one.kind for one in secrets_in(disguise(SECRETS["github-token"].encode() + b"\n"), "settings.yaml")]
    assert found == ["github-token"]


def test_values_of_settings_need_no_quotes() -> None:
    """In files of settings, not in code, where such a line calls something."""
    line = ("DB_PASS" + "WORD=hT7x9Qp2LmZ4vB8n\n").encode()
    assert [one.kind for one in secrets_in(line, ".env")] == ["assigned"]
    assert list(secrets_in(line, "model.py")) == []


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_passes(text: str) -> None:
    """Placeholders, names, hashes, public keys and sentences."""
    assert list(secrets_in(text.encode(), "settings.yaml")) == []


def test_notebooks_and_archives_are_searched(tmp_path: Path) -> None:
    """A cell of a notebook, and a file in a zip, travel as well."""
    token = SECRETS["gitlab-token"]
    (tmp_path / "notebook.ipynb").write_text('{"cells": [{"source": ["client(\\"' + token + '\\")"]}]}')
    (tmp_path / "more.zip").write_bytes(zip_of({"conf/a.ini": SECRETS["assigned"].encode()}))
    found = scan_secrets(tmp_path)
    assert [(one.place, one.kind) for one in found] == [
        ("more.zip!conf/a.ini", "assigned"), ("notebook.ipynb", "gitlab-token"),
    ]  # fmt: skip


def test_a_fingerprint_allows_one_value(tmp_path: Path) -> None:
    """Wherever it stands; another value of the same kind is found."""
    one, other = "glp" + "at-" + "a1" * 10, "glp" + "at-" + "b2" * 10
    (tmp_path / "a.txt").write_text(f"{one} {other}")
    fingerprint = hashlib.sha256(one.encode()).hexdigest()[:16]
    (left,) = scan_secrets(tmp_path, allowed=(fingerprint,))
    assert left.fingerprint == hashlib.sha256(other.encode()).hexdigest()[:16]


def test_entropy_is_that_of_the_characters() -> None:
    """One character tells nothing, four that are equally frequent two bits each."""
    assert entropy(b"aaaa") == 0
    assert entropy(b"abcd" * 5) == pytest.approx(2.0)
