"""Episodes in memory, checked."""

from pathlib import Path

from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats.format import Entry, Reader
from vjepa_sim.data.lint import lint
from vjepa_sim.envs.errors import UserError


class MemoryReader(Reader):
    """Episodes in memory; a UserError in the place of an episode is raised when it is read."""

    format = "memory"

    def __init__(self, episodes: list[Episode | UserError]):
        super().__init__(Path("memory"), [Entry(name=f"episode-{number}") for number in range(len(episodes))])
        self._episodes = episodes

    def read(self, number, views=None, extras=False):
        if isinstance(self._episodes[number], UserError):
            raise self._episodes[number]
        return self._episodes[number]


def check(episodes, view="left"):
    return lint(MemoryReader(episodes), view)


def names(findings):
    return {finding.check for finding in findings}
