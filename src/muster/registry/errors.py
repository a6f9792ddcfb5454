"""What can go wrong with models and versions."""

from muster.vocabulary.errors import Conflict, Damaged, Invalid, NotAllowed, NotFound, Refused


class ModelNotFound(NotFound):
    """The project has no model of this name."""

    code = "registry.model-not-found"
    advice = "`muster models` shows the models there are."


class VersionNotFound(NotFound):
    """The model has no version of this number in the project."""

    code = "registry.version-not-found"
    advice = "`muster show MODEL` shows the versions there are."


class FileNotFound(NotFound):
    """The version's bundle holds no file of this path."""

    code = "registry.file-not-found"
    advice = "`muster show MODEL:N` lists the files of a version."


class ModelNameOther(Invalid):
    """The bundle says in `muster.toml` that it is of another model than the one it was to be registered under."""

    code = "registry.model-name-other"
    advice = "Register it under the name in its muster.toml, or save it again with the right name."


class BundleRefused(Refused):
    """The bundle is incomplete or contradicts itself; nothing was registered."""

    code = "registry.bundle-refused"
    advice = "`muster check DIR` shows the same findings in the lab, each with its remedy."


class VersionStateUnfit(Conflict):
    """The state of the version does not permit this deed."""

    code = "registry.version-state-unfit"
    advice = "docs/reference/states.md shows which deed is possible in which state."


class VersionAltered(Damaged):
    """A row of the registry was changed by other means than Muster: its digest is not the one in the audit chain."""

    code = "registry.version-altered"
    advice = "Run `muster audit verify`, find out who wrote to the database, and restore it from a copy."


class VersionInUse(Conflict):
    """The version is in a release that is served or about to be."""

    code = "registry.version-in-use"
    advice = "Release another version there first, then retire this one. To stop it at once, ban it."


class ReasonMissing(Invalid):
    """A deed that goes on record for good was asked for without a reason."""

    code = "registry.reason-missing"
    advice = "Say why: `--reason TEXT`."


class OwnerGone(Refused):
    """The owner of a model has no role in the project any more: nobody answers for it, so it is not released."""

    code = "registry.owner-gone"
    advice = "Name another owner first: `muster model set MODEL --owner NAME --reason TEXT`."


class OwnerUnfit(Conflict):
    """Whoever is to own a model, or to stand in for its owner, has no role in the project, or is to be both."""

    code = "registry.owner-unfit"
    advice = "Name somebody of the project; `muster user list` shows who that is."


class ModelFactsMalformed(Invalid):
    """What is to be said of a model is too long, holds characters that cannot be kept, or says nothing at all."""

    code = "registry.model-facts-malformed"


class NotYourModel(NotAllowed):
    """What a model carries is changed by its owner, or by who has the right manage-models."""

    code = "registry.not-your-model"
    advice = "Ask the owner, whom `muster model show MODEL` names, or an admin."
