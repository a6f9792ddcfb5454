"""What can be wrong with a profile."""

from muster.vocabulary.errors import Invalid


class ProfileMalformed(Invalid):
    """A document is no profile of a format that this Muster knows, or contradicts itself."""

    code = "profile.malformed"
    advice = "Save the bundle again with the keyword `profile` of muster.save, or take profile.json out of it."


class ProfilesUnlike(Invalid):
    """Two profiles cannot be added up: they have other fields, edges or categories."""

    code = "profile.unlike"
    advice = "Count both tables into the same profile; only the places of one profile add up exactly."
