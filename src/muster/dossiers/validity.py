"""Until when a certificate counts."""

from datetime import datetime

from muster.certification.records import Certificate
from muster.standards.document import Demands


def valid_until(certificate: Certificate, demands: Demands) -> datetime | None:
    """When a certificate lapses, by its own words or by what the standard asks by now; None: never.

    Args:
        certificate: which.
        demands: what the project's standard asks of the version's risk tier now, as gates judge by what holds now.
    """
    ends = [] if certificate.expires is None else [certificate.expires]
    if demands.valid is not None:
        ends.append(certificate.at + demands.valid)
    return min(ends, default=None)
