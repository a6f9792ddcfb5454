"""Rules about packages: which a project trusts."""

import pytest

from muster.environments.errors import PackageRulesMalformed
from muster.environments.protocol import Package
from muster.environments.trust import ALLOW_ALL, distrusted, is_older, rules_of

TEXT = """
default = "deny"

[[rule]]
package = "pypi:numpy"
effect = "allow"
minimum = "1.26"
reason = "read by security"

[[rule]]
package = "npm:left-pad"
effect = "deny"

[[rule]]
package = "npm:*"
effect = "allow"

[[rule]]
package = "maven:org.tribuo:*"
effect = "allow"

[[rule]]
package = "pypi:scikit-*"
effect = "allow"
"""


def package(name: str, version: str, ecosystem: str = "pypi") -> Package:
    return Package(ecosystem=ecosystem, name=name, version=version, hashes=frozenset())


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (package("numpy", "1.26.4"), None),
        (package("numpy", "2.4.6"), None),
        (package("numpy", "1.25.2"), "older than 1.26, which the rule for pypi:numpy asks for (read by security)"),
        (package("pandas", "3.1.1"), "named by no rule, and the default is to deny"),
        (package("left-pad", "1.3.0", "npm"), "denied by the rule for npm:left-pad"),
        (package("ml-cart", "2.1.0", "npm"), None),
        (package("org.tribuo:tribuo-core", "4.3.2", "maven"), None),
        (package("org.tribuo.evil:x", "1", "maven"), "named by no rule"),
        (package("Scikit_Learn", "1.9.1"), None),
        (package("scikit", "1.0"), "named by no rule"),
    ],
)
def test_the_first_rule_that_names_a_package_decides(one: Package, why: str | None) -> None:
    """Names are compared as their ecosystem does, a star stands for any rest, and what no rule names falls to the default."""
    found = distrusted([one], rules_of(TEXT))
    assert [told.why for told in found] == ([] if why is None else [found[0].why])
    assert why is None or why in found[0].why


def test_without_rules_everything_is_trusted() -> None:
    """A project that has said nothing trusts every package."""
    assert distrusted([package("anything", "0")], ALLOW_ALL) == ()


@pytest.mark.parametrize(
    ("ecosystem", "older", "newer"),
    [
        ("pypi", "1.26.4", "1.26.10"),
        ("pypi", "2.0rc1", "2.0"),
        ("npm", "1.0.0-rc.2", "1.0.0"),
        ("npm", "1.0.0-rc.2", "1.0.0-rc.11"),
        ("golang", "v0.9.0", "v0.17.0"),
        ("cargo", "0.4.9", "0.4.10"),
        ("npm", "1.0.0-rc-9", "1.0.0-rc-9.1"),
        ("maven", "4.3", "4.3.2"),
        ("maven", "32.1.3", "32.1.3-jre"),
        ("maven", "32.1.2-jre", "32.1.3-android"),
        ("maven", "1.0-alpha-1", "1.0-beta-1"),
        ("maven", "1.0-rc1", "1.0"),
        ("maven", "1.0b2", "1.0-rc1"),
        ("maven", "1.0-SNAPSHOT", "1.0"),
        ("maven", "1-sp", "1-whatever"),
        ("maven", "1.0", "1.0-sp"),
        ("maven", "1", "1-1"),
        ("maven", "1-1", "1.1"),
        ("maven", "1.0.alpha", "1"),
        ("maven", "2.0-9", "2.0-10"),
        ("maven", "4.1.100.Final", "4.1.101.Final"),
        ("cran", "7.3.1", "7.3-60"),
        ("cran", "4.1.3", "4.1-19"),
        ("cran", "1.0-9", "1.0-10"),
        ("cran", "1.0", "1.0.1"),
    ],
)
def test_versions_are_ordered_as_their_ecosystem_does(ecosystem: str, older: str, newer: str) -> None:
    """Numbers count as numbers, and what comes before a release is older than it."""
    assert is_older(ecosystem, older, newer)
    assert not is_older(ecosystem, newer, older)
    assert not is_older(ecosystem, older, older)


@pytest.mark.parametrize("version", ["1", "1.0", "1.0.0", "1-ga", "1.0.Final", "1.0.0-release", "1-0"])
def test_releases_of_maven_have_many_names(version: str) -> None:
    """Zeros at the end and words that mean a release decide nothing."""
    assert not is_older("maven", version, "1.0")
    assert not is_older("maven", "1.0", version)


def test_a_rule_for_an_artefact_of_maven_is_one_for_all_its_classifiers() -> None:
    """The same code for one machine is no other package; a rule may still name one classifier alone."""
    native = package("io.netty:netty-tcnative:linux-x86_64", "2.0.61", "maven")
    other = package("io.netty:netty-tcnative-classes", "2.0.61", "maven")
    rules = rules_of('[[rule]]\npackage = "maven:io.netty:netty-tcnative"\neffect = "deny"')
    assert [one.package for one in distrusted([native, other], rules)] == [native]
    only = rules_of('[[rule]]\npackage = "maven:io.netty:netty-tcnative:linux-x86_64"\neffect = "deny"')
    plain = package("io.netty:netty-tcnative", "2.0.61", "maven")
    assert [one.package for one in distrusted([native, plain], only)] == [native]
    group = rules_of('[[rule]]\npackage = "maven:io.netty"\neffect = "deny"')
    assert distrusted([plain], group) == ()


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0+build.5"])
def test_zeros_at_the_end_and_builds_decide_nothing(version: str) -> None:
    """1, 1.0 and a build of 1.0 are one version."""
    assert not is_older("npm", version, "1.0")
    assert not is_older("npm", "1.0", version)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[rule]]\npackage = 'numpy'\neffect = 'allow'", "rule 1, 'numpy'"),
        ("[[rule]]\npackage = 'pypi:a*b'\neffect = 'allow'", "rule 1"),
        ("[[rule]]\npackage = 'pypi:numpy'\neffect = 'deny'\nminimum = '1'", "minimum is for"),
        ("[[rule]]\npackage = 'pypi:numpy'\neffect = 'allow'\nminimum = 'new'", "is no version"),
        ("[[rule]]\npackage = 'pypi:numpy'\neffect = 'maybe'", "cannot be read"),
        ("[[rules]]\npackage = 'pypi:numpy'", "cannot be read"),
        ("default = allow", "cannot be read"),
    ],
)
def test_rules_that_mean_nothing_are_refused(text: str, told: str) -> None:
    """What is misspelt or contradicts itself is told with the number of the rule."""
    with pytest.raises(PackageRulesMalformed) as refused:
        rules_of(text)
    assert told in refused.value.message
