"""Hands the standards of projects down to certification, which does not know them."""

from dataclasses import replace

from muster.certification.demands import NONE, Limits
from muster.certification.records import StandardNamed
from muster.registry.records import Version
from muster.standards.service import Standards
from muster.vocabulary.errors import Damaged, NotFound


class StandardLimits:
    """What projects ask of examinations.

    Args:
        standards: of the projects.
    """

    def __init__(self, standards: Standards) -> None:
        self._standards = standards

    def limits(self, project: str, version: Version) -> Limits:
        """What is asked of a version."""
        try:
            wanted = self._standards.wanted(project, version)
            standing = self._standards.standing(project, version)
        except (Damaged, NotFound) as error:  # the examination finds it, and says what is wrong with the bundle
            return Limits(lacks=(error.message,))
        named = StandardNamed(name=standing.name, number=standing.number, digest=standing.digest)
        lasting = replace(NONE, standard=named, valid=standing.valid, renew=standing.renew)
        if wanted is None:
            return lasting
        return replace(
            lasting,
            limits=wanted.limits,
            optional=wanted.optional,
            waived=wanted.waived,
            lacks=wanted.lacks,
            forgiven=wanted.forgiven,
            options=wanted.options,
            run=wanted.run,
            programs=wanted.programs,
        )
