"""Licences of packages: what their artefacts say, as SPDX writes it, and whether a list of allowed and denied ones lets it pass.

Source: SPDX 2.3, annex D (licence expressions); PEP 639; the formats of wheels, jars, crates, npm's and Go's archives.
"""

import email
import fnmatch
import json
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Collection, Sequence
from io import BytesIO
from typing import Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

#: More of one artefact is not read to find its licence.
_MOST_TEXT = 2**20
_MOST_ARTEFACT = 256 * 2**20
Verdict = Literal["allowed", "denied", "unknown"]

#: How registries and people write licences, in lower case without punctuation, and what SPDX calls them.
_NAMES = {
    "apache": "Apache-2.0", "apache 2": "Apache-2.0", "apache 20": "Apache-2.0", "apache license": "Apache-2.0",
    "apache license 20": "Apache-2.0", "apache license version 20": "Apache-2.0", "apache software": "Apache-2.0",
    "apache software license": "Apache-2.0", "apache software license version 20": "Apache-2.0", "asl 20": "Apache-2.0",
    "the apache license version 20": "Apache-2.0", "the apache software license version 20": "Apache-2.0", "apache v2": "Apache-2.0",
    "mit": "MIT", "mit license": "MIT", "the mit license": "MIT", "expat": "MIT", "the mit license mit": "MIT",
    "bsd": "BSD-3-Clause", "bsd license": "BSD-3-Clause", "new bsd": "BSD-3-Clause", "new bsd license": "BSD-3-Clause",
    "bsd 3 clause": "BSD-3-Clause", "bsd 3 clause license": "BSD-3-Clause", "3 clause bsd": "BSD-3-Clause", "modified bsd": "BSD-3-Clause",
    "3 clause bsd license": "BSD-3-Clause", "bsd 2 clause": "BSD-2-Clause", "simplified bsd": "BSD-2-Clause", "bsd 3": "BSD-3-Clause",
    "isc": "ISC", "isc license": "ISC", "isc license iscl": "ISC", "psf": "PSF-2.0", "psf license": "PSF-2.0",
    "python software foundation license": "PSF-2.0", "mpl 20": "MPL-2.0", "mozilla public license 20 mpl 20": "MPL-2.0",
    "mozilla public license version 20": "MPL-2.0", "the unlicense unlicense": "Unlicense", "unlicense": "Unlicense",
    "zlib": "Zlib", "public domain": "LicenseRef-Public-Domain", "cc0": "CC0-1.0",
    "gnu general public license gpl": "GPL-1.0-or-later", "gpl": "GPL-1.0-or-later", "gplv2": "GPL-2.0-only", "gpl 2": "GPL-2.0-only",
    "gnu general public license v2 gplv2": "GPL-2.0-only", "gnu general public license v2 or later gplv2": "GPL-2.0-or-later",
    "gpl 2 or later": "GPL-2.0-or-later", "gpl 2+": "GPL-2.0-or-later", "gpl >= 2": "GPL-2.0-or-later", "gpl>=2": "GPL-2.0-or-later",
    "gplv3": "GPL-3.0-only", "gpl 3": "GPL-3.0-only", "gpl >= 3": "GPL-3.0-or-later", "gnu general public license v3 gplv3": "GPL-3.0-only",
    "gnu general public license v3 or later gplv3": "GPL-3.0-or-later", "gplv3+": "GPL-3.0-or-later",
    "lgpl": "LGPL-2.0-or-later", "lgpl 21": "LGPL-2.1-only", "lgpl 3": "LGPL-3.0-only", "lgpl >= 21": "LGPL-2.1-or-later",
    "gnu library or lesser general public license lgpl": "LGPL-2.0-or-later", "gnu lesser general public license": "LGPL-2.1-or-later",
    "gnu lesser general public license v3 lgplv3": "LGPL-3.0-only", "gnu affero general public license v3": "AGPL-3.0-only",
    "gnu lesser general public license v2 or later lgplv2": "LGPL-2.1-or-later", "agpl 3": "AGPL-3.0-only",
    "gnu affero general public license v3 or later agplv3": "AGPL-3.0-or-later", "eclipse public license v 20": "EPL-2.0",
    "eclipse public license v20": "EPL-2.0", "eclipse public license 20": "EPL-2.0", "eclipse public license v 10": "EPL-1.0",
    "eclipse public license 10": "EPL-1.0", "epl 20": "EPL-2.0", "epl 10": "EPL-1.0", "eclipse distribution license v 10": "BSD-3-Clause",
    "edl 10": "BSD-3-Clause", "boost software license 10 bsl 10": "BSL-1.0", "bouncy castle licence": "MIT",
}  # fmt: skip

#: Words that only one licence's text has, the longest texts first.
_TEXTS = (
    ("GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL-3.0-only"),
    ("GNU LESSER GENERAL PUBLIC LICENSE Version 3", "LGPL-3.0-only"),
    ("GNU LESSER GENERAL PUBLIC LICENSE Version 2.1", "LGPL-2.1-only"),
    ("GNU GENERAL PUBLIC LICENSE Version 3", "GPL-3.0-only"),
    ("GNU GENERAL PUBLIC LICENSE Version 2", "GPL-2.0-only"),
    ("Mozilla Public License Version 2.0", "MPL-2.0"),
    ("Mozilla Public License, version 2.0", "MPL-2.0"),
    ("Eclipse Public License - v 2.0", "EPL-2.0"),
    ("Eclipse Public License - v 1.0", "EPL-1.0"),
    ("Apache License Version 2.0", "Apache-2.0"),
    ("Licensed under the Apache License, Version 2.0", "Apache-2.0"),
    ("Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    ("Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee", "ISC"),
    ("Permission to use, copy, modify, and distribute this software for any purpose with or without fee", "ISC"),
    ("This is free and unencumbered software released into the public domain", "Unlicense"),
)  # fmt: skip
_BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted"
_BSD_THIRD = re.compile(
    r"(?i)neither the names? of|may not be used to endorse or promote|names? of .{0,60} used to endorse"
)
_CLASSIFIER = "License :: OSI Approved :: "
_LICENCE_FILE = re.compile(r"(?i)(^|/)(licen[sc]es?|copying|notice)([-._][^/]*)?(\.(txt|md|rst))?$")


def expression_of(text: str | None) -> str | None:
    """A licence as SPDX writes it; None: it is not known which is meant.

    >>> expression_of("The Apache Software License, Version 2.0")
    'Apache-2.0'
    >>> expression_of("MIT/Apache-2.0")
    'MIT OR Apache-2.0'
    """
    if not text or len(text) > 500:
        return None
    told = text.strip().removeprefix(_CLASSIFIER)
    plain = re.sub(r"\s+", " ", re.sub(r"[^a-z0-9+>= ]", "", told.lower().replace("-", " ").replace("_", " "))).strip()
    if plain in _NAMES:
        return _NAMES[plain]
    candidates = [
        told,
        told.replace("/", " OR "),
        told.replace(" | ", " OR ").replace(";", " AND ").replace(",", " AND "),
    ]
    for candidate in candidates:
        try:
            return str(canonicalize_license_expression(candidate))
        except (InvalidLicenseExpression, RecursionError):
            parts = (
                [expression_of(part) for part in re.split(r" OR | \| ", candidate)] if candidate != text.strip() else []
            )
            if len(parts) > 1 and all(parts):
                return " OR ".join(str(part) for part in parts)
    if " | " in told:
        parts = [expression_of(part.removeprefix("file ")) for part in told.split(" | ")]
        known = [part for part in parts if part]
        return " OR ".join(known) if known else None
    without_file = re.sub(r"\s*\+\s*file LICEN[SC]E$", "", told)
    return expression_of(without_file) if without_file != told else None


def text_licence(text: str) -> str | None:
    """Which licence a text is, by words that only one has."""
    plain = re.sub(r"\s+", " ", text)
    for words, licence in _TEXTS:
        if words.lower() in plain.lower():
            return licence
    if _BSD.lower() in plain.lower():
        return "BSD-3-Clause" if _BSD_THIRD.search(plain) else "BSD-2-Clause"
    return None


def artefact_licence(content: bytes, file: str) -> str | None:
    """What an artefact of a package says of its licence; None: nothing that is understood.

    Args:
        content: of a wheel, jar, crate, Go module, npm package or R package; what is none of them has no licence.
        file: its name.
    """
    if len(content) > _MOST_ARTEFACT:
        return None
    try:
        if file.endswith((".whl", ".jar", ".zip")):
            with zipfile.ZipFile(BytesIO(content)) as archive:
                sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
                return _of_members(sizes, archive.read)
        if file.endswith((".tgz", ".tar.gz", ".crate")):
            with tarfile.open(fileobj=BytesIO(content), mode="r:gz") as packed:
                members = {member.name: member for member in packed.getmembers() if member.isreg()}
                sizes = {name: member.size for name, member in members.items()}
                return _of_members(sizes, lambda name: _read(packed, members[name]))
    except (
        OSError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
        tarfile.TarError,
        KeyError,
        RuntimeError,
        NotImplementedError,
    ):
        return None
    return None


def verdict(expression: str | None, allow: Collection[str], deny: Collection[str]) -> Verdict:
    """What a list of allowed and denied licences says to an expression.

    Of `A OR B` one has to pass, of `A AND B` both. Without `allow` everything passes that is not denied. `*` at the end stands
    for any rest: `GPL-*`.

    >>> verdict("MIT OR GPL-3.0-only", (), ("GPL-*",))
    'allowed'
    """
    if expression is None:
        return "unknown"
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)
    found, rest = _either(tokens, allow, deny)
    return "unknown" if rest else "allowed" if found else "denied"


def _either(tokens: Sequence[str], allow: Collection[str], deny: Collection[str]) -> tuple[bool, Sequence[str]]:
    found, rest = _both(tokens, allow, deny)
    while rest and rest[0].upper() == "OR":
        other, rest = _both(rest[1:], allow, deny)
        found = found or other
    return found, rest


def _both(tokens: Sequence[str], allow: Collection[str], deny: Collection[str]) -> tuple[bool, Sequence[str]]:
    found, rest = _one(tokens, allow, deny)
    while rest and rest[0].upper() == "AND":
        other, rest = _one(rest[1:], allow, deny)
        found = found and other
    return found, rest


def _one(tokens: Sequence[str], allow: Collection[str], deny: Collection[str]) -> tuple[bool, Sequence[str]]:
    if not tokens:
        return False, ()
    if tokens[0] == "(":
        found, rest = _either(tokens[1:], allow, deny)
        return found, rest[1:]
    name, rest = tokens[0], tokens[1:]
    if len(rest) > 1 and rest[0].upper() == "WITH":
        whole, rest = f"{name} WITH {rest[1]}", rest[2:]
        if _is_in(whole, allow):
            return True, rest
        if _is_in(whole, deny):
            return False, rest
    return not _is_in(name, deny) and (not allow or _is_in(name, allow)), rest


def _is_in(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _read(packed: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = packed.extractfile(member)
    return b"" if stream is None else stream.read(_MOST_TEXT)


def _of_members(sizes: dict[str, int], read: Callable[[str], bytes]) -> str | None:
    """By the file that the format has for it, and by a licence's own text where that says nothing."""
    readers = (
        (r".*\.dist-info/METADATA", _of_wheel), (r"[^/]+/package\.json", _of_npm), (r"[^/]+/Cargo\.toml", _of_crate),
        (r"[^/]+/DESCRIPTION", _of_r), (r"META-INF/maven/.*/pom\.xml", _of_pom), (r"META-INF/MANIFEST\.MF", _of_jar),
    )  # fmt: skip
    for form, reader in readers:
        for name in sorted(sizes):
            if re.fullmatch(form, name) and sizes[name] <= _MOST_TEXT:
                found = reader(read(name).decode("utf-8", "replace"))
                if found is not None:
                    return found
    texts = sorted(
        (name for name in sizes if _LICENCE_FILE.search(name) and sizes[name] <= _MOST_TEXT),
        key=lambda name: name.count("/"),
    )
    return next((found for name in texts[:5] if (found := text_licence(read(name).decode("utf-8", "replace")))), None)


def _of_wheel(text: str) -> str | None:
    told = email.message_from_string(text)
    if told["License-Expression"]:
        return expression_of(str(told["License-Expression"]))
    classifiers = [expression_of(one) for one in told.get_all("Classifier", []) if one.startswith(_CLASSIFIER)]
    known = [one for one in classifiers if one]
    return " AND ".join(dict.fromkeys(known)) if known else expression_of(str(told["License"] or ""))


def _of_npm(text: str) -> str | None:
    document = json.loads(text)
    told = document.get("license") if isinstance(document, dict) else None
    if isinstance(told, dict):
        told = told.get("type")
    return expression_of(told) if isinstance(told, str) else None


def _of_crate(text: str) -> str | None:
    told = tomllib.loads(text).get("package", {}).get("license")
    return expression_of(told) if isinstance(told, str) else None


def _of_r(text: str) -> str | None:
    told = re.search(r"(?m)^License:\s*(.+)$", text)
    return expression_of(told[1]) if told else None


def _of_pom(text: str) -> str | None:
    licences = re.search(r"(?s)<licenses>(.*?)</licenses>", text)
    names = re.findall(r"(?s)<license>.*?<name>\s*(.*?)\s*</name>", licences[1]) if licences else []
    known = [expression_of(name) for name in names]
    return " OR ".join(dict.fromkeys(one for one in known if one)) or None if all(known) else None


def _of_jar(text: str) -> str | None:
    told = email.message_from_string(re.sub(r"\r?\n ", "", text))["Bundle-License"]
    if not told:
        return None
    first = str(told).split(";")[0].strip().strip('"')
    by_address = re.search(
        r"apache\.org/licenses/LICENSE-2\.0|opensource\.org/licenses/mit|eclipse\.org/legal/epl-v?-?([12])", first
    )
    if by_address is None:
        return expression_of(first)
    told_by = by_address[0]
    return "Apache-2.0" if "apache" in told_by else "MIT" if "mit" in told_by else f"EPL-{by_address[1]}.0"
