"""What can go wrong between Muster and a host."""

from muster.vocabulary.errors import Damaged, Invalid, Refused, TimedOut, Unavailable


class HostLoadFailed(Refused):
    """The model could not be loaded in its own environment; the message ends with what its code said."""

    code = "runtimes.load-failed"
    advice = (
        "`muster try BUNDLE ROWS` does the same in the lab. Python: usually a module is missing from requirements.lock, or from "
        "the folders named in runtime.code. Programs: a file is not in the bundle. PMML and ONNX: the document has other "
        "names than muster.toml."
    )


class OrderBroken(Invalid):
    """A load order lacks something, or asks for something that the host does not know."""

    code = "runtimes.order-broken"
    advice = "Write the bundle again with `muster.save`, or mend [runtime] in its muster.toml; docs/reference/bundle.md lists the keys."


class HostNotStarted(Unavailable):
    """The host program could not be started, or did not say hello."""

    code = "runtimes.not-started"
    advice = "See the host's log; the interpreter of the environment may be damaged: build the environment again."


class HostGone(Unavailable):
    """The host process has ended, or its socket is closed."""

    code = "runtimes.host-gone"
    advice = "See the host's log for the reason; a host that is supervised is started again."


class HostTimedOut(TimedOut):
    """The host did not answer within the time it was given; its answer may still come."""

    code = "runtimes.host-timed-out"


class TableRefused(Invalid):
    """The host refused the table of inputs: its columns are not those of the model's contract."""

    code = "runtimes.table-refused"


class ProtocolBroken(Damaged):
    """What the peer sent is not host protocol v1."""

    code = "runtimes.protocol-broken"
    advice = "Muster and the host program must come from the same installation."


class SocketPathTooLong(Invalid):
    """A Unix socket's path has at most 107 bytes."""

    code = "runtimes.socket-path-too-long"
    advice = "Use a shorter home or run directory."
