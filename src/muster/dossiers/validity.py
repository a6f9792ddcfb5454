"""Until when a certificate counts."""

from datetime import datetime

from muster.certification.records import Certificate
from muster.standards.document import Demands


def valid_until(certificate: Certificate, demands: Demands) -> datetime | None:
    """When a certificate lapses; None: never.

    Args:
        certificate: which.
        demands: what the project's standard asks of the version's risk tier now, as gates judge by what holds now.
    """
    return None if demands.valid is None else certificate.at + demands.valid
