"""What can go wrong with environments.

Unavailable
├── ToolchainMissing
└── PartMissing
Refused
├── LockUnresolved
├── BuildFailed
├── PartDiffers
├── PartUnsafe
└── EnvironmentUnsealed
Invalid
├── SealMalformed
└── RemotesMalformed
NotFound
└── RemoteUnknown
"""

from muster.vocabulary.errors import Invalid, NotFound, Refused, Unavailable


class ToolchainMissing(Unavailable):
    """A compiler, interpreter or client that a bundle needs is not on this machine, or is another version than it names."""

    code = "environments.toolchain-missing"
    advice = "Install what the message names; `make test-deps` installs all of them on Debian."


class PartMissing(Unavailable):
    """A part that an environment is made of is neither on this machine nor in the store."""

    code = "environments.part-missing"
    advice = (
        "Certify the version on a machine with a network: that seals its environment. "
        "Or rebuild it from an export: `muster env rebuild FILE.tar`."
    )


class LockUnresolved(Refused):
    """A lock names a package or a version that cannot be had: it does not exist, or no registry answers."""

    code = "environments.lock-unresolved"
    advice = (
        "Make the lock anew with `muster assemble`; "
        "without a network, rebuild from the seal: `muster env rebuild VERSION --offline`."
    )


class BuildFailed(Refused):
    """An environment could not be built from its parts; the message holds the last lines of the compiler or installer."""

    code = "environments.build-failed"
    advice = "`muster env build DIR` builds it here, with everything that the tools say."


class PartDiffers(Refused):
    """An artefact has another hash than the lock says."""

    code = "environments.part-differs"
    advice = "Somebody has put other bytes under that version. Make the lock anew only if you know why."


class PartUnsafe(Refused):
    """An archive holds names that lead out of it, or links out of it."""

    code = "environments.part-unsafe"
    advice = "Use another version of the package; this one could write anywhere."


class MachineDiffers(Refused):
    """Packages or programs that belong to the machine itself are not those that the bundle's lock names."""

    code = "environments.machine-differs"
    advice = (
        "Install the versions that the message names, or make the lock anew on this machine with `muster assemble`."
    )


class EnvironmentUnsealed(Refused):
    """The store does not hold what a version's environment is made of, so it could not be rebuilt in years."""

    code = "environments.not-sealed"
    advice = "Certify the version again: that puts the parts into the store and proves them by a rebuild."


class SealMalformed(Invalid):
    """A seal, or an export of one, is not of a format that this Muster knows."""

    code = "environments.seal-malformed"


class PackageRulesMalformed(Invalid):
    """The rules about packages that a project trusts cannot be read."""

    code = "environments.package-rules-malformed"
    advice = "docs/reference/environments.md describes the rules; `muster env trust show` prints those in force."


class RemotesMalformed(Invalid):
    """remotes.toml cannot be read, or may be read by others."""

    code = "environments.remotes-malformed"
    advice = "docs/how-to/bring-a-model/remote.md describes every key; chmod 600 keeps its tokens to you."


class RemoteUnknown(NotFound):
    """A bundle of kind remote names an entry that remotes.toml does not have."""

    code = "environments.remote-unknown"
    advice = "Whoever runs this factory writes the entry into HOME/remotes.toml."
