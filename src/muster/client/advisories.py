"""The verbs of known vulnerabilities."""

from pathlib import Path

from muster.client.transport import FileBody, Transport
from muster.wire import advisories


class Advisories:
    """What a factory's client can say about known vulnerabilities; part of `muster.client.control.Factory`."""

    _transport: Transport
    _project: str

    def import_vulnerabilities(self, file: str | Path, reason: str) -> advisories.VulnerabilityFile:
        """Take a file of known vulnerabilities in; certifications from now on go by it.

        Args:
            file: in the format of OSV: one record, a list, one per line, or a zip as https://osv.dev exports it.
            reason: why.
        """
        path = Path(file)
        return self._transport.post(
            f"{self._project}/vulnerabilities",
            advisories.VulnerabilityFile,
            FileBody(file=path, media_type="application/octet-stream"),
            wait_s=600.0,
            reason=reason,
            name=path.name,
        )

    def vulnerability_files(self) -> advisories.VulnerabilityFiles:
        """The files of the project, the newest first; the newest counts."""
        return self._transport.get(f"{self._project}/vulnerabilities", advisories.VulnerabilityFiles)

    def affected_versions(self) -> advisories.AffectedVersions:
        """Which certified and accepted versions the newest file hits; those that are served first."""
        return self._transport.get(f"{self._project}/vulnerabilities/affected", advisories.AffectedVersions)
