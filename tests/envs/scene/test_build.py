"""The cache of compiled scenes."""

from dataclasses import replace
from functools import partial

from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.scene.build import _recipe_hash


def couple(spec, stiffness=1.0):
    pass


class Coupling:
    def __call__(self, spec):
        pass


def test_parts_whose_functions_differ_are_other_scenes():
    """A function, one with arguments, and an object that is called."""
    couplings = (couple, partial(couple, stiffness=2.0), partial(couple, stiffness=3.0), Coupling())
    parts = [replace(GRIPPERS["robotiq"], couple=each) for each in couplings]
    hashes = [_recipe_hash(ARMS["panda"], part, OBJECTS["box"]) for part in parts]
    assert hashes[0] == hashes[3]  # one source file holds both
    assert len({*hashes}) == 3
