"""Every page renders, safely."""

import unittest

from site_pages.render import render, render_all


class RenderTest(unittest.TestCase):
    def test_the_first_line_is_the_title(self) -> None:
        self.assertIn("<h1>Hello</h1>", render("Hello\n\nWorld"))

    def test_text_is_escaped(self) -> None:
        self.assertIn("<p>a &lt; b</p>", render("Signs\n\na < b"))

    def test_all_pages_render(self) -> None:
        self.assertEqual(set(render_all()), {"bells", "home"})


if __name__ == "__main__":
    unittest.main()
