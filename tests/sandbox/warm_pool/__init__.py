"""Tests of boxes that wait."""
