"""The base image of the boxes and the filter on their system calls."""
