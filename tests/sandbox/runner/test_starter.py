"""The starter by itself, with the system call it usually uses and without."""

from __future__ import annotations

import errno
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

def run(arguments, directory):
    reading, writing = os.pipe()
    started = starter.start(arguments, directory, {"PATH": os.environ["PATH"], "NAME": "v"}, writing, True)
    os.close(writing)
    said = b""
    while data := os.read(reading, 100):
        said += data
    status = os.waitpid(started.pid, 0)[1]
    os.close(reading)
    return [said.decode().split(), os.WEXITSTATUS(status), os.WTERMSIG(status), started.failure()]

found = [
    run(["sh", "-c", "pwd; ls /proc/self/fd | wc -l; echo $NAME; exit 7"], "/"),
    run(["/nowhere"], "/"),
    run(["sh"], "/nowhere"),
    run(["sh", "-c", "kill -TERM $$"], "/"),
]
(spare,) = starter.processes - {starter.pid}
os.kill(spare, 9)
os.waitpid(spare, 0)
found.append(run(["sh", "-c", "echo after the spare"], "/"))
own = starter.processes
for each in own:
    os.kill(each, 9)
for each in own:
    os.waitpid(each, 0)
try:
    run(["sh"], "/")
except StarterGone:
    found.append("gone")
print(json.dumps(found))
"""


@pytest.mark.parametrize("clone", [clone_number(), None])
def test_what_it_starts_is_a_child_of_whoever_asked(clone: int | None) -> None:
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(RUNNER_SOURCE.parent), json.dumps(clone)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [
        [["/", "4", "v"], 7, 0, 0],
        [[], 127, 0, errno.ENOENT],
        [[], 127, 0, errno.ENOENT],
        [[], 0, 15, 0],
        [["after", "the", "spare"], 0, 0, 0],
        "gone",
    ]
