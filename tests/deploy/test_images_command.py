"""`bellhop images` as operators type it: an image built with its log shown, listed, and taken away."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.deploy.commands import bellhop, whole_environment
from tests.emulators.model.emulator import ModelEmulator
from tests.faults.processes import Program
from tests.sandbox.workbench import Workbench, git


async def test_an_image_is_built_listed_and_pruned(bellhop_home: Path, redis_url: str) -> None:
    async with ModelEmulator(allow_leftovers=True) as model:
        environment = {
            **whole_environment(bellhop_home, model),
            "REDIS_URL": redis_url,
            "SECRET_KEY": "k" * 32,
        }
        catalogue = bellhop_home / "repositories.yaml"
        (entry,) = yaml.safe_load(catalogue.read_text())
        billing, invoices = {**entry, "setup": "sh setup.sh || echo none"}, {**entry, "slug": "acme/invoices"}
        catalogue.write_text(yaml.safe_dump([billing, invoices]))
        away = await bellhop("images", "build", "acme/billing", environment=environment)
        assert away.code == 1
        assert "The broker, which holds all credentials, does not answer." in away.complained

        broker = await Program.start("broker", environment, bellhop_home / "broker.log")
        try:
            await broker.says("serving")
            built = await bellhop("images", "build", "acme/billing", environment=environment)
            assert built.code == 0, built
            assert "$ sh setup.sh || echo none\n" in built.printed
            assert "none\n[exit code 0 after" in built.printed
            assert "is ready (" in built.printed.splitlines()[-1]

            bench = Workbench.clone(bellhop_home / "billing.git", bellhop_home / "more")
            bench.commit("Break", {"setup.sh": "kill $PPID\n"})
            git(bench.path, "push", "--quiet", "origin", "HEAD:main")
            failed = await bellhop("images", "build", "acme/billing", environment=environment)
            assert failed.code == 1
            assert "bellhop: Its set-up command `sh setup.sh || echo none` failed" in failed.complained
            listed = (await bellhop("images", "list", environment=environment)).printed
            assert re.search(r", \d min ago, ", listed), listed
            assert "local-image:acme-billing-" in listed, "the former image stays in service"
            assert "the newest could not be built: Its set-up command" in listed

            # Nobody works in acme/billing any more, so its image is what can be spared first.
            catalogue.write_text(yaml.safe_dump([{**billing, "archived": True}, invoices]))
            short = {**environment, "DISK_MOST_GB": "0.000001"}
            built = await bellhop("images", "build", "acme/invoices", environment=short, seconds=60)
            assert built.code == 0, built
            assert built.printed.splitlines()[0] == "Removed to make room: 1 image."
            assert "local-image:acme-invoices-" in built.printed.splitlines()[-1]
            short["DISK_FREE_GB"] = "1000000"
            full = await bellhop("images", "build", "acme/invoices", environment=short, seconds=60)
            assert full.code == 1
            assert "Removed" not in full.printed, "the only image of a repository stays"
            assert "bellhop: There is no room to build it: this host's disk is too full" in full.complained
            catalogue.write_text(yaml.safe_dump([{**invoices, "archived": True}]))
            pruned = await bellhop("images", "prune", environment=environment)
            assert (pruned.code, pruned.printed) == (0, "1 image is gone.\n")
        finally:
            await broker.kill()
