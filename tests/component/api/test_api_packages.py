"""What a version is made of and whether that is trusted, over HTTP: bills, rules about packages, twins asked for."""

import pytest

from muster.vocabulary.errors import Invalid, NotAllowed, Refused
from running_control import Control
from small_bundles import SmallBundles

DENIES = """
[[rule]]
package = "pypi:cloudpickle"
effect = "deny"
reason = "executes what it reads"
"""


def test_rules_are_an_admins_and_on_record(control: Control) -> None:
    """A project begins without rules; an admin sets them with a reason, everybody may read them, nobody else may set them."""
    assert control.as_("vera").package_rules().rules == ""
    for name in ("ana", "ben", "olga", "vera", "shop"):
        with pytest.raises(NotAllowed):
            control.as_(name).set_package_rules(DENIES, "because")
    found = control.as_("admin").set_package_rules(DENIES, "a finding of our security people")
    assert (found.rules, found.set_by) == (DENIES, "admin")
    assert control.as_("vera").package_rules() == found
    events = control.as_("admin").audit_events(subject="packages of default").events
    assert [(event.action, event.reason) for event in events] == [
        ("packages.rules-set", "a finding of our security people")
    ]
    assert control.as_("admin").set_package_rules("", "never mind").rules == ""


def test_rules_that_cannot_be_read_change_nothing(control: Control) -> None:
    """The old rules stay in force, and the message says which rule is wrong."""
    admin = control.as_("admin")
    before = admin.package_rules()
    with pytest.raises(Invalid, match="rule 1") as refused:
        admin.set_package_rules("[[rule]]\npackage = 'numpy'\neffect = 'allow'", "a typing error")
    assert refused.value.code == "environments.package-rules-malformed"
    assert admin.package_rules() == before


def test_a_version_that_is_not_sealed_has_no_bill(control: Control, bundles: SmallBundles) -> None:
    """Nobody can say which bytes it is made of, so it is refused and told what to do."""
    version = control.accepted(bundles.new())
    with pytest.raises(Refused, match="not sealed") as refused:
        control.as_("vera").sbom(version)
    assert refused.value.code == "environments.not-sealed"


def test_certification_goes_by_the_rules_and_seals(control: Control, bundles: SmallBundles) -> None:
    """What is denied ends the examination before anything is installed; without the rule the version is sealed and has a bill."""
    admin, ana = control.as_("admin"), control.as_("ana")
    version = ana.register(bundles.new(description="judged")).version
    with control.working():
        admin.set_package_rules(DENIES, "for this test")
        refused = ana.certify(version)
        admin.set_package_rules("", "for this test")
        passed = ana.certify(version)
    assert [(check.name, check.passed) for check in refused.checks] == [
        ("bundle-complete", True),
        ("packages-trusted", False),
    ]
    assert "executes what it reads" in refused.checks[-1].detail
    assert passed.passed, [check for check in passed.checks if not check.passed]
    bill = ana.sbom(version)
    assert bill["metadata"]["component"]["version"] == version.partition(":")[2]
    assert "pkg:pypi/cloudpickle@3.1.2" in [component["bom-ref"] for component in bill["components"]]
    certificate = ana.version(version).certificate
    assert certificate is not None
    assert certificate.seal is not None
    assert certificate.twin is None


def test_a_twin_that_cannot_be_made_fails_the_certification_and_nothing_else(
    control: Control, bundles: SmallBundles
) -> None:
    """The check says why; the certified version stays as it was, and its certificate too."""
    ana = control.as_("ana")
    version = control.accepted(bundles.new(description="no estimator"))
    before = ana.version(version)
    with control.working():
        found = ana.certify(version, twin=True, twin_tolerance={"abs": 1e-6})
    assert not found.passed
    assert (found.checks[-1].name, found.checks[-1].figure) == ("twin-agrees", "certification.twin-not-made")
    assert ana.version(version) == before


def test_what_differs_between_seals_is_in_the_diff(control: Control, bundles: SmallBundles) -> None:
    """Two versions of one machine and one builder differ in no surroundings; without seals nothing is said of them."""
    ana = control.as_("ana")
    one, other = (ana.register(bundles.new(description=text)).version for text in ("before", "after"))
    found = ana.diff(one, other)
    assert found.environment == ()
    assert [difference.what for difference in found.declared] == ["description"]
