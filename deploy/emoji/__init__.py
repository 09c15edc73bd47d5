"""Emoji of our own for Slack, and what draws them."""
