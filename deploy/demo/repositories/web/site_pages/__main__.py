"""Prints the pages, one after the other."""

from site_pages.render import render_all

for name, page in render_all().items():
    print(f"--- {name}.html\n{page}")
