"""How bad a vulnerability is: the base score of CVSS 2 and 3 from its vector, and the word for it.

Source: FIRST, "Common Vulnerability Scoring System v3.1: Specification Document", sections 5 and 7; "A Complete Guide to CVSS v2.0",
section 3.2.1.
"""

from typing import Literal

Severity = Literal["none", "low", "medium", "high", "critical", "unknown"]
#: Rising; what is unknown is taken for the worst.
ORDER: tuple[Severity, ...] = ("none", "low", "medium", "high", "critical", "unknown")
_WORDS: dict[str, Severity] = {
    "NONE": "none", "LOW": "low", "MODERATE": "medium", "MEDIUM": "medium", "HIGH": "high", "CRITICAL": "critical", "IMPORTANT": "high",
}  # fmt: skip
_THREE = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_CHANGED_PR = {"N": 0.85, "L": 0.68, "H": 0.5}
_TWO = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    "C": {"N": 0.0, "P": 0.275, "C": 0.660},
    "I": {"N": 0.0, "P": 0.275, "C": 0.660},
    "A": {"N": 0.0, "P": 0.275, "C": 0.660},
}


def severity_of_word(word: object) -> Severity:
    """A word of a database: `MODERATE` is `medium`."""
    return _WORDS.get(str(word).upper(), "unknown")


def severity_of_vector(vector: str) -> Severity:
    """The word for a vector of CVSS 2 or 3; `unknown` where it is another's, or none.

    >>> severity_of_vector("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
    'critical'
    """
    score = base_score(vector)
    if score is None:
        return "unknown"
    return (
        "none" if score == 0 else "low" if score < 4 else "medium" if score < 7 else "high" if score < 9 else "critical"
    )


def base_score(vector: str) -> float | None:
    """The base score of a vector, 0 to 10; None: it is none of CVSS 2 or 3.

    >>> base_score("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N")
    6.4
    """
    pieces = dict(piece.split(":", 1) for piece in vector.split("/") if ":" in piece)
    version = pieces.pop("CVSS", "2.0")
    try:
        if version.startswith("3"):
            return _three(pieces)
        return _two(pieces) if version == "2.0" else None
    except KeyError:
        return None


def _three(pieces: dict[str, str]) -> float:
    values = {key: table[pieces[key]] for key, table in _THREE.items()}
    is_changed = pieces["S"] == "C"
    if is_changed:
        values["PR"] = _CHANGED_PR[pieces["PR"]]
    inside = 1 - (1 - values["C"]) * (1 - values["I"]) * (1 - values["A"])
    impact = 7.52 * (inside - 0.029) - 3.25 * (inside - 0.02) ** 15 if is_changed else 6.42 * inside
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * values["AV"] * values["AC"] * values["PR"] * values["UI"]
    return _up(min((1.08 if is_changed else 1.0) * (impact + exploitability), 10.0))


def _up(score: float) -> float:
    """Rounded up to a tenth, by whole numbers, as the specification has it since 3.1."""
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10


def _two(pieces: dict[str, str]) -> float:
    values = {key: table[pieces[key]] for key, table in _TWO.items()}
    impact = 10.41 * (1 - (1 - values["C"]) * (1 - values["I"]) * (1 - values["A"]))
    exploitability = 20 * values["AV"] * values["AC"] * values["Au"]
    return round(((0.6 * impact) + (0.4 * exploitability) - 1.5) * (0 if impact == 0 else 1.176), 1)
