"""What can be wrong with a bundle, a contract, a lock or an environment."""

from muster.vocabulary.errors import Conflict, Damaged, Invalid, NotFound, Refused, Unavailable


class ContractBroken(Invalid):
    """What was sent does not keep the contract of the endpoint or version.

    The message names the field, the row (counted from 0), the value (shortened) and what was expected; the facts hold
    the same under `field`, `row`, `value`, `expected`.
    """

    code = "contract.broken"
    advice = "Compare with the contract: `muster show MODEL:N`, or GET /v2/models/ENDPOINT."


class ContractMalformed(Invalid):
    """A contract contradicts itself: no fields, a name twice, limits that exclude all, labels that do not fit."""

    code = "contract.malformed"
    advice = "Mend the part [contract] of muster.toml; docs/reference/contract.md describes every key."


class SampleUnusable(Invalid):
    """A sample or golden table holds something that a contract cannot express."""

    code = "packaging.sample-unusable"
    advice = (
        "Contracts hold numbers, booleans, text and fixed-shape tensors. Convert the column in the model or before it."
    )


class BundleMalformed(Invalid):
    """A folder is not a bundle: muster.toml is missing, unreadable or does not keep its format."""

    code = "bundle.malformed"
    advice = "`muster check DIR` lists everything that is missing or wrong, with the remedy for each."


class ManifestMalformed(Invalid):
    """A manifest is not canonical JSON of a format that this Muster knows."""

    code = "bundle.manifest-malformed"


class FileNotPackable(Invalid):
    """A folder holds something that a bundle cannot: a symlink, a device, a name that is not UTF-8, two names alike."""

    code = "bundle.file-not-packable"
    advice = (
        "Bundles hold regular files with names that every machine can have: put the file itself in the place of a link, rename "
        "what is named oddly, and take out what does not belong to the model; very large files go into [[external]]."
    )


class BundleDamaged(Damaged):
    """Files of a bundle are not the files that its manifest names."""

    code = "bundle.damaged"


class ZipRefused(Invalid):
    """A zip is not one that `muster pack` makes: compressed, out of order, hostile names, links, or too large."""

    code = "bundle.zip-refused"
    advice = "Make the zip with `muster pack DIR -o FILE.zip`, or register the folder itself."


class GoldenUnusable(Invalid):
    """golden.parquet cannot be read, or its columns are not those of the contract."""

    code = "golden.unusable"
    advice = "Write it with muster.save(…, golden=…): inputs, and one column expected.<output> per output."


class LockFailed(Refused):
    """The environment of the lab cannot be locked: a package is editable, from a repository, or on no index."""

    code = "lock.failed"


class InterpreterMissing(Unavailable):
    """No Python of the wanted version is installed on this machine."""

    code = "environment.interpreter-missing"
    advice = "Install it, for example with `uv python install VERSION`, and try again."


class EnvironmentFailed(Refused):
    """An environment could not be built from its lock; the message holds the last lines of the installer."""

    code = "environment.failed"


class EnvironmentMissing(NotFound):
    """There is no environment of that id on this machine."""

    code = "environment.missing"
    advice = "It is built again when a version that needs it is certified or served."


class EnvironmentDamaged(Damaged):
    """Files of an environment are not those that were installed."""

    code = "environment.damaged"
    advice = "The environment is built again on its next use; its packages are fetched anew."


class TargetNotABundle(Conflict):
    """The folder to be written exists and is not a bundle: it is left as it is."""

    code = "save.target-not-a-bundle"
    advice = "Name a folder that does not exist yet, or one that muster.save wrote before."


class ModelNotSavable(Refused):
    """The model cannot be written, or what was written does not answer like the model itself."""

    code = "save.model-not-savable"
