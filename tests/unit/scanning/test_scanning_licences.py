"""Licences: read from artefacts of every ecosystem, written as SPDX has them, judged by lists."""

import gzip
import io
import tarfile

import pytest

from malicious_files import zip_of
from muster.scanning.licences import artefact_licence, expression_of, text_licence, verdict

_MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
_BSD = "Redistribution and use in source and binary forms, with or without modification,\nare permitted provided that"


def _tgz(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(stream.getvalue())


@pytest.mark.parametrize(
    ("told", "expression"),
    [
        ("MIT", "MIT"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("The Apache Software License, Version 2.0", "Apache-2.0"),
        ("License :: OSI Approved :: BSD License", "BSD-3-Clause"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
        ("GPL-2 | GPL-3", "GPL-2.0-only OR GPL-3.0-only"),
        ("GPL (>= 2)", "GPL-2.0-or-later"),
        ("MIT + file LICENSE", "MIT"),
        ("Our own words", None),
        ("", None),
        (None, None),
        ("x" * 501, None),
    ],
)
def test_ways_to_write_a_licence_become_one(told: str | None, expression: str | None) -> None:
    """Registries and people write the same licence in many ways; what is not known is not guessed."""
    assert expression_of(told) == expression


@pytest.mark.parametrize(
    ("file", "content", "expression"),
    [
        ("a-1-py3-none-any.whl", zip_of({"a-1.dist-info/METADATA": b"Name: a\nLicense-Expression: MIT\n"}), "MIT"),
        (
            "a-1-py3-none-any.whl",
            zip_of({"a-1.dist-info/METADATA": b"Classifier: License :: OSI Approved :: Apache Software License\n"}),
            "Apache-2.0",
        ),
        (
            "a-1-py3-none-any.whl",
            zip_of({"a-1.dist-info/METADATA": b"Name: a\n", "a-1.dist-info/LICENSE": _MIT.encode()}),
            "MIT",
        ),
        ("a.tgz", _tgz({"package/package.json": b'{"license": "ISC"}'}), "ISC"),
        ("a.crate", _tgz({"a-1/Cargo.toml": b'[package]\nlicense = "MIT OR Apache-2.0"\n'}), "MIT OR Apache-2.0"),
        ("a_1.tar.gz", _tgz({"a/DESCRIPTION": b"Package: a\nLicense: GPL-3\n"}), "GPL-3.0-only"),
        ("a/@v/v1.0.0.zip", zip_of({"a@v1.0.0/LICENSE": _BSD.encode() + b"\nNeither the name of"}), "BSD-3-Clause"),
        (
            "a.jar",
            zip_of({
                "META-INF/maven/g/a/pom.xml": b"<project><licenses><license><name>Eclipse Public License v. 2.0</name>"
                b"</license></licenses></project>"
            }),
            "EPL-2.0",
        ),
        ("a.jar", zip_of({"META-INF/MANIFEST.MF": b"Bundle-License: https://www.apache.org/licenses/LICENSE-2.0.txt\n"}), "Apache-2.0"),
        ("a.jar", zip_of({"META-INF/LICENSE.txt": b"Apache License\n   Version 2.0, January 2004"}), "Apache-2.0"),
        ("a.jar", zip_of({"A.class": b""}), None),
        ("a.whl", b"no zip at all", None),
        ("a.so", b"\x7fELF", None),
    ],
)  # fmt: skip
def test_artefacts_of_every_ecosystem_say_their_licence(file: str, content: bytes, expression: str | None) -> None:
    """By the file that the format has for it, else by the words of a licence's text."""
    assert artefact_licence(content, file) == expression


def test_two_clauses_are_not_three() -> None:
    """The texts differ by a paragraph."""
    assert text_licence(_BSD) == "BSD-2-Clause"
    assert text_licence(_BSD + " Neither the names of the authors may be used") == "BSD-3-Clause"
    assert text_licence("all rights reserved") is None


@pytest.mark.parametrize(
    ("expression", "allow", "deny", "expected"),
    [
        ("MIT", (), (), "allowed"),
        ("MIT", ("MIT", "ISC"), (), "allowed"),
        ("GPL-3.0-only", ("MIT",), (), "denied"),
        ("GPL-3.0-only", (), ("GPL-*",), "denied"),
        ("MIT OR GPL-3.0-only", (), ("GPL-*",), "allowed"),
        ("MIT AND GPL-3.0-only", (), ("GPL-*",), "denied"),
        ("MIT AND (GPL-3.0-only OR ISC)", (), ("GPL-*",), "allowed"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", (), ("GPL-*",), "denied"),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            ("GPL-2.0-only WITH Classpath-exception-2.0",),
            ("GPL-*",),
            "allowed",
        ),
        ("MIT", (), ("MIT",), "denied"),
        (None, ("MIT",), (), "unknown"),
        ("MIT MIT", (), (), "unknown"),
    ],
)
def test_lists_judge_expressions(
    expression: str | None, allow: tuple[str, ...], deny: tuple[str, ...], expected: str
) -> None:
    """Of alternatives one has to pass, of what holds together all; what is denied is denied though it is allowed, too."""
    assert verdict(expression, allow, deny) == expected
