"""Boxes that are there before their session: how many, how they are made, who gets one."""
