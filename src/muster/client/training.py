"""What versions were made of, as `muster.connect` asks about it: data sources, profiles of training data."""

from muster.client.orders import order_of
from muster.client.transport import Transport
from muster.vocabulary.names import VersionName, checked_name
from muster.wire import control, training


class Training:
    """The part of `Factory` that asks what versions were made of."""

    _transport: Transport
    _project: str

    def sources(self) -> tuple[training.DataSource, ...]:
        """The places from which the factory may read data."""
        return self._transport.get(f"{self._project}/sources", training.DataSources).sources

    def add_source(self, name: str, uri: str, reason: str) -> training.DataSource:
        """Register a place from which the factory may read data.

        Args:
            name: how bundles name it: `source:NAME/path.parquet`.
            uri: an absolute folder, `s3://bucket/prefix/` or `https://host/prefix/`.
            reason: why.
        """
        order = order_of(training.SourceOrder, name=name, uri=uri, reason=reason)
        return self._transport.post(f"{self._project}/sources", training.DataSource, order)

    def remove_source(self, name: str, reason: str) -> training.DataSource:
        """Have nothing read from there any more."""
        path = f"{self._project}/sources/{checked_name(name, of='data source')}/remove"
        return self._transport.post(path, training.DataSource, order_of(control.ReasonOrder, reason=reason))

    def profile(self, version: str) -> training.VersionProfile:
        """The profile of the data that a version was trained on.

        Args:
            version: `churn:3`.
        """
        name = VersionName.parse(version)
        path = f"{self._project}/models/{name.model}/versions/{name.number}/profile"
        return self._transport.get(path, training.VersionProfile)
