"""Live-tests, as `muster.connect` asks for them."""

from muster.client.orders import order_of
from muster.client.transport import Transport
from muster.vocabulary.names import checked_name
from muster.wire import control, livetests


class LiveTesting:
    """The part of `Factory` about live-tests."""

    _transport: Transport
    _project: str

    def start_live_test(
        self,
        endpoint: str,
        version: str,
        reason: str,
        *,
        requests: int | None = None,
        hours: float | None = None,
        share: float = 1.0,
    ) -> livetests.LiveTest:
        """Put an accepted version on trial beside the release that an endpoint serves.

        Args:
            endpoint: whose requests it shall see.
            version: which.
            reason: why.
            requests: how many it shall be asked, at least.
            hours: how long it shall last, at least; with neither, what the project's standard asks for.
            share: of the requests, above 0, at most 1.
        """
        order = order_of(
            livetests.LiveTestOrder, version=version, reason=reason, requests=requests, hours=hours, share=share
        )
        return self._transport.post(self._of_endpoint(endpoint), livetests.LiveTest, order)

    def live_tests(self, endpoint: str | None = None) -> livetests.LiveTests:
        """The newest live-tests of an endpoint; or those of the project that are open."""
        path = f"{self._project}/livetests" if endpoint is None else self._of_endpoint(endpoint)
        return self._transport.get(path, livetests.LiveTests)

    def live_test(self, endpoint: str, number: int) -> livetests.LiveTest:
        """One live-test, with its figures as far as they are counted."""
        return self._transport.get(f"{self._of_endpoint(endpoint)}/{int(number)}", livetests.LiveTest)

    def live_test_report(self, endpoint: str, number: int) -> livetests.LiveTestReport:
        """One live-test with what it shows."""
        return self._transport.get(f"{self._of_endpoint(endpoint)}/{int(number)}/report", livetests.LiveTestReport)

    def stop_live_test(self, endpoint: str, number: int, reason: str) -> livetests.LiveTest:
        """End a live-test before its time; it counts for nothing."""
        order = order_of(control.ReasonOrder, reason=reason)
        return self._transport.post(f"{self._of_endpoint(endpoint)}/{int(number)}/stop", livetests.LiveTest, order)

    def _of_endpoint(self, endpoint: str) -> str:
        return f"{self._project}/endpoints/{checked_name(endpoint, of='endpoint')}/livetests"
