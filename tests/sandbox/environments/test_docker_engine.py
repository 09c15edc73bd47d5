"""What holds for containers alone: the flags of every one, the system-call filter, other images."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from docker import DockerClient

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.hardening import SECCOMP_PROFILE, softened
from sandbox.environments.protocol import EnvironmentUnavailable, Sandbox, SandboxFailed
from tests.sandbox.environments.boxes import Bench, call_id, run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.needs("docker")]

# Numbers on x86_64 and in the generic table that arm64 uses.
SYSCALLS = """\
import ctypes, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
numbers = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "keyctl": 250 if x86 else 219, "bpf": 321 if x86 else 280, "unshare": 272 if x86 else 97,
    "mount": 165 if x86 else 40, "setns": 308 if x86 else 268, "perf_event_open": 298 if x86 else 241,
    "userfaultfd": 323 if x86 else 282, "kexec_load": 246 if x86 else 104,
}
for name, number in numbers.items():
    ctypes.set_errno(0)
    print(name, libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno())
for family in (1, 2, 10, 16, 17, 31, 38, 40, 44):
    try:
        socket.socket(family, socket.SOCK_RAW if family in (16, 17) else socket.SOCK_STREAM).close()
        print("family", family, "open")
    except OSError as error:
        print("family", family, error.errno)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def container(containers: Bench) -> AsyncIterator[Sandbox]:
    async with containers.box() as sandbox:
        yield sandbox


async def test_every_container_of_ours_has_every_flag(container: Sandbox, engine: DockerClient) -> None:
    seccomp = SECCOMP_PROFILE.read_text()
    # Another run of these tests may remove its own meanwhile.
    found = engine.containers.list(all=True, filters={"label": "bellhop.box"}, ignore_removed=True)
    assert container.name in [box.labels["bellhop.box"] for box in found]
    # A service has a rule of its own (test_docker_services.py), and there is no third kind.
    owned = engine.containers.list(all=True, filters={"label": "bellhop.owner"}, ignore_removed=True)
    assert all({"bellhop.box", "bellhop.service"} & set(each.labels) for each in owned)
    for box in found:
        assert softened(box.attrs["HostConfig"], seccomp) == []
        assert box.attrs["Config"]["User"] == "10001:10001"
        assert box.attrs["Config"]["NetworkDisabled"]
        binds = {
            mount["Destination"]: mount["RW"] for mount in box.attrs["Mounts"] if mount["Type"] == "bind"
        }
        door = {"/run/bellhop-door": False} if "/run/bellhop-door" in binds else {}
        own = {"/opt/bellhop/runner": False, "/etc/hosts": False, "/bellhop/in": False, "/run/bellhop": True}
        assert binds == {**own, **door}


async def test_an_engine_needs_to_see_the_state_directory_alone(
    container: Sandbox, containers: Bench, engine: DockerClient
) -> None:
    (found,) = engine.containers.list(filters={"label": f"bellhop.box={container.name}"})
    sources = [Path(mount["Source"]) for mount in found.attrs["Mounts"] if mount["Type"] == "bind"]
    assert len(sources) == 4
    assert all(source.is_relative_to(containers.directory) for source in sources)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NetworkMode", "host"),
        ("CapDrop", None),
        ("CapAdd", ["SYS_ADMIN"]),
        ("SecurityOpt", ["no-new-privileges:true"]),
        ("Privileged", True),
        ("PidsLimit", 0),
        ("MemorySwap", -1),
        ("PidMode", "host"),
        ("Binds", ["/:/host"]),
        ("Devices", [{"PathOnHost": "/dev/kvm"}]),
        ("Ulimits", []),
        ("ExtraHosts", ["registry:10.0.0.1"]),
        ("Tmpfs", {"/tmp": "", "/data": ""}),
        ("Sysctls", {"net.ipv4.ip_forward": "1"}),
        ("Mounts", [{"Type": "bind", "Source": "/", "Target": "/host", "ReadOnly": True}]),
        ("Mounts", [{"Type": "bind", "Source": "/doors/a", "Target": "/run/bellhop-door"}]),
        ("Mounts", [{"Type": "volume", "Source": "v", "Target": "/bellhop/in", "ReadOnly": True}]),
    ],
)
async def test_a_flag_that_is_missing_is_noticed(
    container: Sandbox, engine: DockerClient, key: str, value: object
) -> None:
    (found,) = engine.containers.list(filters={"label": f"bellhop.box={container.name}"})
    attributes = found.attrs["HostConfig"]
    assert softened({**attributes, key: value}, SECCOMP_PROFILE.read_text()) != []


async def test_the_kernel_s_wide_doors_are_shut(container: Sandbox) -> None:
    await container.runner.write_file(call_id(), "doors.py", SYSCALLS)
    done = await run(container, "python3 doors.py")
    said = dict(line.rsplit(maxsplit=1) for line in done.output.splitlines())
    refused = {name: said[name] for name in said if name.endswith("-1")}
    assert len(refused) == 11
    # EPERM, or ENOSYS where this kernel has no such call at all.
    assert set(refused.values()) <= {"1", "38"}
    families = {name.removeprefix("family "): said[name] for name in said if name.startswith("family")}
    assert {family for family, end in families.items() if end == "open"} == {"1", "2", "10", "16"}
    assert {end for family, end in families.items() if family in ("17", "38", "40")} == {"1"}


async def test_the_stack_has_only_loopback_and_no_routes(container: Sandbox) -> None:
    done = await run(
        container,
        "ls /sys/class/net; tail -n +2 /proc/net/route; cat /proc/net/if_inet6;"
        " grep -c . /etc/resolv.conf; python3 -c 'import socket; print(socket.gethostbyname(\"localhost\"))'",
    )
    assert done.output.split() == ["lo", "0", "127.0.0.1"]


async def test_nothing_in_the_box_fills_the_engine_s_log_or_kills_the_runner(
    containers: Bench, engine: DockerClient
) -> None:
    async with containers.box() as box:
        done = await run(box, "for f in /proc/[0-9]*/fd/[12]; do echo flood >> $f; done; kill -9 1; echo end")
        assert done.output.endswith("end\n")
        (found,) = engine.containers.list(filters={"label": f"bellhop.box={box.name}"})
        assert found.logs() == b""
        assert (await run(box, "tr '\\0' ' ' < /proc/1/cmdline")).output.startswith("python3 -I")


async def test_the_out_of_memory_counter_is_read_from_the_box_s_own_cgroup(containers: Bench) -> None:
    async with containers.box() as box:
        before = (await box.stats()).oom_kills
        done = await run(box, "exec python3 -c 'x = b\"x\" * (1 << 30)'")
        assert (done.exit_code, done.cause) == (137, "out of memory")
        after = (await box.stats()).oom_kills
        assert before == 0
        assert after is not None
        assert after >= 1
        assert (await run(box, "exit 4")).cause is None


async def test_an_image_without_our_user_and_directories_works_too(
    containers: Bench, engine: DockerClient, base_image: str
) -> None:
    plain = engine.containers.create(base_image, ["true"], network_mode="none", user="0:0", working_dir="/")
    name = f"bellhop-test/plain-{uuid4().hex[:8]}"
    try:
        plain.commit(name, "1", changes='LABEL bellhop.ready=""\nUSER 0:0')
    finally:
        plain.remove()
    try:
        async with containers.box(containers.spec(image=f"{name}:1")) as box:
            done = await run(box, "echo made > file; id -u; stat -c %u . ~ file")
            assert set(done.output.split()) == {"10001"}
    finally:
        engine.images.remove(f"{name}:1")


async def test_two_installations_share_an_engine_and_not_their_boxes(
    containers: Bench, container: Sandbox, docker_host: str, base_image: str, tmp_path: Path
) -> None:
    other = DockerEnvironment(
        run_directory=tmp_path / "run", base_image=base_image, cache=tmp_path, base_url=docker_host
    )
    assert await other.list() == []
    await other.remove(container.name)
    same_name = containers.spec(name=container.name)
    async with await other.open(same_name) as box:
        assert box.origin == "created"
        await run(box, "touch other")
        assert (await run(container, "ls other")).exit_code != 0
    await other.remove(container.name)
    assert container.name in [info.name for info in await containers.environment.list()]
    assert (await run(container, "true")).exit_code == 0
    await other.aclose()


async def test_an_image_that_is_not_there_is_said(containers: Bench) -> None:
    with pytest.raises(SandboxFailed, match="there is no image bellhop-test/none:1"):
        await containers.environment.open(containers.spec(image="bellhop-test/none:1"))


async def test_an_engine_that_does_not_answer_is_said(tmp_path: Path) -> None:
    nowhere = DockerEnvironment(
        run_directory=tmp_path, base_image="none:1", cache=tmp_path, base_url=f"unix://{tmp_path}/no.sock"
    )
    with pytest.raises(EnvironmentUnavailable, match="start one, set DOCKER_HOST"):
        await nowhere.check()
    await nowhere.aclose()


async def test_a_move_to_a_new_container_that_was_cut_off_loses_nothing(
    containers: Bench, engine: DockerClient
) -> None:
    spec = containers.spec()
    async with containers.box(spec) as box:
        await box.runner.write_file(call_id(), "kept", "work")
        (found,) = engine.containers.list(filters={"label": f"bellhop.box={spec.name}"})
        title = str(found.name)
        found.rename(f"{title}.next")
        async with await containers.environment.open(spec) as again:
            assert again.origin == "adopted"
            assert (await again.runner.read_file("kept")).text == "work"
        assert engine.containers.get(title).id == found.id
