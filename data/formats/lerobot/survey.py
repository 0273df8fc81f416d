"""A look at all episodes of a set before it is written: what they have in common becomes the set's features.

A LeRobot set has the same features in every episode; real collections don't: labs have other cameras and arrays, and
some episodes lack a camera.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from urllib.parse import unquote

from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats.lerobot import layout
from vjepa_sim.data.formats.lerobot.content import Kind, columns_of, features_of, nominal_rate
from vjepa_sim.data.formats.lerobot.layout import Feature
from vjepa_sim.data.left_out import MAX_SHARE
from vjepa_sim.envs.errors import UserError

# Columns that are kept only if all episodes have them; for others, a few episodes may be left out instead.
OPTIONAL = (layout.EXTRAS, layout.PRIVILEGED, layout.NEXT_SUCCESS, layout.SUCCESS)
SHOWN = 8  # most names in a sentence

Variant = tuple[str, int]  # a feature's name, and the number of one of its forms


class Survey:
    """Counts of the features of episodes."""

    def __init__(self, episodes: Iterable[Episode]):
        self._forms: dict[str, list[Feature]] = defaultdict(list)
        self._rates: Counter[int] = Counter()
        self._episodes: Counter[frozenset[Variant]] = Counter()  # episodes by their features
        for episode in episodes:
            try:
                columns = columns_of(episode)
                self._rates[nominal_rate(1 / episode.period)] += 1
                features = features_of(episode, columns)
            except UserError:  # left out when it is written
                continue
            self._episodes[frozenset((name, self._form(name, feature)) for name, feature in features.items())] += 1
        self.total = self._episodes.total()
        self._counts: Counter[Variant] = Counter()
        for variants, count in self._episodes.items():
            self._counts.update({variant: count for variant in variants})

    def _form(self, name: str, feature: Feature) -> int:
        forms = self._forms[name]
        if feature not in forms:
            forms.append(feature)
        return forms.index(feature)

    def kind(self) -> Kind | None:
        """The most frequent rate, and the features that the set gets; None without episodes.

        These are those that all episodes have. Cameras, joints or commands that some lack stay, too, if at most a tenth
        of the episodes is left out then.
        """
        if not self.total:
            return None
        usual = [
            max(((name, form) for form in range(len(forms))), key=lambda each: self._counts[each])
            for name, forms in self._forms.items()
        ]
        kept = [each for each in usual if not each[0].startswith(OPTIONAL) and self._lacking([each]) <= self._few]
        while self._lacking(kept) > self._few:
            kept.remove(min(kept, key=lambda each: self._counts[each]))
        written = [variants for variants in self._episodes if variants.issuperset(kept)]
        shared = frozenset.intersection(*written)
        kept = [each for each in usual if each in kept or (each[0].startswith(OPTIONAL) and each in shared)]
        return Kind(self._rates.most_common(1)[0][0], {name: self._forms[name][form] for name, form in kept})

    def missing(self, kind: Kind) -> list[str]:
        """Sentences on the features that some episodes have and the set doesn't get, and on those left out for it."""
        lost = {name: max(self._counts[name, form] for form in range(len(forms)))
                for name, forms in self._forms.items() if name not in kind.features}  # fmt: skip
        arrays = [f"{_shown(name)} (in {count})" for name, count in lost.items() if not name.startswith(layout.IMAGES)]
        found = [
            f"{name}: only {count} of {self.total} episodes have this camera with images of one size; it is left out "
            "of all."
            for name, count in lost.items()
            if name.startswith(layout.IMAGES)
        ]
        if arrays:
            more = f" and {len(arrays) - SHOWN} more" if len(arrays) > SHOWN else ""
            found.append(
                f"not alike in all {self.total} episodes and left out of all: {', '.join(arrays[:SHOWN])}{more}."
            )
        return found

    @property
    def _few(self) -> int:
        return int(MAX_SHARE * self.total)

    def _lacking(self, kept: list[Variant]) -> int:
        """Number of episodes without some of these."""
        return sum(count for variants, count in self._episodes.items() if not variants.issuperset(kept))


def _shown(name: str) -> str:
    prefix = next((prefix for prefix in (layout.EXTRAS, layout.PRIVILEGED) if name.startswith(prefix)), "")
    return unquote(name.removeprefix(prefix))
