"""Heads of requests that need not be parsed: of a request that is refused unread, and of one that a caller sends again and again."""

import re

LENGTH = b"content-length"
#: Longer heads are parsed each time: far below what a head may have, whatever the length of the body is.
LONGEST = 16 * 1024
_PLAIN_LINES = rb"(?:(?!transfer-encoding|expect|upgrade|content-length|connection(?!: ?keep-alive\r\n))[!-9;-~]{1,64}:[ -~]{0,1024}\r\n)*"
#: A request for scores as nearly every client sends it: lines without surprises, one length, no chunks, nothing expected.
SCORING_HEAD = re.compile(
    rb"POST /(?:v2/models|score)/[!-~]{1,512} HTTP/1\.1\r\n%bcontent-length: ?(\d{1,7})\r\n%b\r\n"
    % (_PLAIN_LINES, _PLAIN_LINES),
    re.IGNORECASE,
)


def whole_scoring_head(data: bytes) -> re.Match[bytes] | None:
    """The head of a plain request for scores that is there as a whole, with nothing behind it."""
    head = SCORING_HEAD.match(data)
    if head is None or head.end() > LONGEST or len(data) != head.end() + int(head.group(1)):
        return None
    if head.group(0).lower().count(LENGTH) != 1:
        return None
    return head


class UsualHead:
    """A head that the parser has found to be right, but for the number that is the length of the body.

    A caller that keeps its connection sends the same head again and again. What is the same to the byte means the same, so it
    need not be parsed anew.
    """

    __slots__ = ("after", "before", "digits", "headers", "target")

    def __init__(self, data: bytes, head: re.Match[bytes], target: bytes, headers: dict[bytes, bytes]) -> None:
        self.before = data[: head.start(1)]
        self.digits = head.group(1)
        self.after = data[head.end(1) : head.end()]
        self.target = target
        self.headers = headers

    def body_of(self, data: bytes) -> tuple[dict[bytes, bytes], bytes] | None:
        """The headers and the body of a request that has this head and is there as a whole; None: it is another."""
        before = self.before
        if not data.startswith(before):
            return None
        begin = len(before)
        end = data.find(b"\r", begin, begin + 8)
        digits = data[begin:end]
        if not digits.isdigit() or not data.startswith(self.after, end):
            return None
        body = data[end + len(self.after) :]
        if len(body) != int(digits):
            return None
        return (self.headers if digits == self.digits else {**self.headers, LENGTH: digits}), body
