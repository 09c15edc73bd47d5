"""A queue of messages that keeps their order per customer."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Message:
    """One message to one customer."""

    customer: str
    text: str


@dataclass
class Queue:
    """First in, first out; what was sent is counted."""

    waiting: deque[Message] = field(default_factory=deque)
    sent: int = 0

    def put(self, message: Message) -> None:
        """Puts a message at the end of the line."""
        self.waiting.append(message)

    def send_next(self) -> Message | None:
        """Takes the next message out and counts it; None when there is none."""
        if not self.waiting:
            return None
        self.sent += 1
        return self.waiting.popleft()
