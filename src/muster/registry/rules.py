"""What a project says about packages: kept as the TOML that somebody wrote, with who set it and when."""

from dataclasses import dataclass
from datetime import datetime

from muster.environments.trust import ALLOW_ALL, Rules, rules_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRules:
    """The rules of a project."""

    text: str
    """TOML, as it was set; empty: nothing was ever said, and every package is trusted."""
    set_by: str | None
    set_at: datetime | None

    @property
    def rules(self) -> Rules:
        """What they say."""
        return rules_of(self.text) if self.text else ALLOW_ALL


#: What holds in a project that has said nothing.
NOTHING_SAID = PackageRules(text="", set_by=None, set_at=None)
