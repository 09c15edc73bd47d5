"""Messages go out once and in order."""

import unittest

from notify.queue import Message, Queue
from notify.templates import WELCOME, fill


class QueueTest(unittest.TestCase):
    def test_messages_keep_their_order(self) -> None:
        queue = Queue()
        queue.put(Message("ada", "one"))
        queue.put(Message("ada", "two"))
        self.assertEqual([queue.send_next().text, queue.send_next().text], ["one", "two"])

    def test_an_empty_queue_sends_nothing(self) -> None:
        self.assertIsNone(Queue().send_next())


class TemplateTest(unittest.TestCase):
    def test_blanks_are_filled_in(self) -> None:
        self.assertEqual(fill(WELCOME, name="Ada"), "Welcome, Ada! Your account is ready.")


if __name__ == "__main__":
    unittest.main()
