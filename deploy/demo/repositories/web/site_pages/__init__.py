"""Renders the public site from the text files in `pages/`."""
