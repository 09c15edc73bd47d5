"""The starter by itself, with the system call it usually uses and without."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sandbox.environments.runner_launch import RUNNER_SOURCE
from sandbox.runner.starter import clone_number

# In a process of its own, which becomes the one that orphans come to.
PROGRAM = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from runner.starter import PR_SET_CHILD_SUBREAPER, StarterGone, libc, split_off
libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
starter = split_off(json.loads(sys.argv[2]))
found = []
for arguments, directory in (
    (["sh", "-c", "pwd; ls /proc/self/fd | wc -l; echo $NAME; exit 7"], "/"),
    (["/nowhere"], "/"),
    (["sh"], "/nowhere"),
    (["sh", "-c", "kill -TERM $$"], "/"),
):
    reading, writing = os.pipe()
    try:
        pid = starter.start(arguments, directory, {"PATH": os.environ["PATH"], "NAME": "v"}, writing, True)
    except OSError as error:
        found.append(error.errno)
        continue
    finally:
        os.close(writing)
    said = b""
    while data := os.read(reading, 100):
        said += data
    status = os.waitpid(pid, 0)[1]
    found.append([said.decode().split(), os.WEXITSTATUS(status), os.WTERMSIG(status)])
os.kill(starter.pid, 9)
os.waitpid(starter.pid, 0)
try:
    starter.start(["sh"], "/", {}, 1, True)
except StarterGone as error:
    found.append(error.asked)
print(json.dumps(found))
"""


@pytest.mark.parametrize("clone", [clone_number(), None])
def test_what_it_starts_is_a_child_of_whoever_asked(clone: int | None) -> None:
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(RUNNER_SOURCE.parent), json.dumps(clone)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout) == [[["/", "4", "v"], 7, 0], 2, 2, [[], 0, 15], False]
