"""What a page for Prometheus says, read as Prometheus reads it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.request import urlopen

from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Page:
    """One reading of a page."""

    families: dict[str, Family]

    def values(self, name: str, **labels: str) -> list[float]:
        """Give the values of the samples of a name that have these labels; an absent label is an empty one."""
        return [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and all(sample.labels.get(key, "") == value for key, value in labels.items())
        ]

    def value(self, name: str, **labels: str) -> float:
        """Give the one value there is. AssertionError when there is none or another one too."""
        found = self.values(name, **labels)
        assert len(found) == 1, f"{name}{labels}: {found}"
        return found[0]

    def labels(self, name: str) -> set[str]:
        """Give the label names of a family's samples."""
        return {label for sample in self.families[name].samples for label in sample.labels}

    def state(self, name: str, **labels: str) -> str:
        """Give the state whose sample is 1, among those of a family with one sample for each state."""
        (found,) = (
            sample.labels["state"]
            for sample in self.families[name].samples
            if sample.value == 1 and labels.items() <= sample.labels.items()
        )
        return found


def read_page(port: int) -> Page:
    """Read the page on a port of this machine. OSError when there is none."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain")
        return Page({family.name: family for family in text_string_to_metric_families(reply.read().decode())})


async def page_of(port: int) -> Page:
    """Read the page while the event loop goes on."""
    return await asyncio.to_thread(read_page, port)


async def page_when(port: int, wanted: Callable[[Page], bool], seconds: float = 20.0) -> Page:
    """Read the page until it is as wanted. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            page = await page_of(port)
            if wanted(page):
                return page
            await asyncio.sleep(0.05)
