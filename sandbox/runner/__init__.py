"""The one program inside the box: standard library only, Python 3.8 on, nothing of the rest of the project.

It is mounted read-only into the box and runs there under another package name, hence the relative imports.
"""

VERSION = 3
