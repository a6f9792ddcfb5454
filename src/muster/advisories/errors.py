"""What can go wrong with files of vulnerabilities.

Invalid
└── VulnerabilitiesMalformed
"""

from muster.vocabulary.errors import Invalid


class VulnerabilitiesMalformed(Invalid):
    """A file of vulnerabilities is not in the format of OSV, or is larger than can be taken in."""

    code = "advisories.vulnerabilities-malformed"
    advice = (
        "Give one record of OSV, a JSON list of them, one per line, or a zip of them as https://osv.dev exports it."
    )
