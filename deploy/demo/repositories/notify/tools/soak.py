"""Keeps the queue busy for a while and says how it is doing once a second."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from notify.queue import Message, Queue


def main() -> None:
    """Runs until the time is up; fails when a message was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    seconds = parser.parse_args().seconds
    queue, put, started, said = Queue(), 0, time.monotonic(), 0.0
    while (elapsed := time.monotonic() - started) < seconds:
        for _ in range(100):
            queue.put(Message("ada", f"message {put}"))
            put += 1
            queue.send_next()
        if elapsed - said >= 1:
            said = elapsed
            print(f"{elapsed:5.0f} s  {queue.sent} sent, {put - queue.sent} waiting", flush=True)
        time.sleep(0.005)
    if queue.sent != put:
        raise SystemExit(f"lost {put - queue.sent} messages")
    print(f"done: {queue.sent} sent, none lost")


if __name__ == "__main__":
    main()
