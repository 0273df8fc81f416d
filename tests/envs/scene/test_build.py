"""The cache of compiled scenes."""

import logging
import os
from dataclasses import replace
from functools import partial

import pytest

from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.scene import build
from vjepa_sim.envs.scene.build import _recipe_hash, load_model

PARTS = ARMS["panda"], GRIPPERS["robotiq"], OBJECTS["box"]
TETRAHEDRON = "v 0 0 0\nv {size} 0 0\nv 0 {size} 0\nv 0 0 {size}\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def couple(spec, stiffness=1.0):
    pass


class Coupling:
    def __call__(self, spec):
        pass


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """A small scene with one mesh, and the number of times that it was built."""
    mesh = tmp_path / "part.obj"
    mesh.write_text(TETRAHEDRON.format(size=0.1))
    built = []

    def build_spec(arm, gripper, thing):
        built.append(thing.name)
        spec = mujoco.MjSpec()
        build._add_object(spec, thing)
        spec.add_mesh(name="part", file=str(mesh))
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="part")
        return spec, [mesh]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "build_spec", build_spec)
    build._warn_once.cache_clear()
    return mesh, built


def size_of(model):
    return model.mesh_vert.max()


def test_a_scene_is_built_once(scene, tmp_path):
    _, built = scene
    first, second = load_model(*PARTS), load_model(*PARTS)
    assert built == ["box"]
    assert size_of(first) == size_of(second)
    (entry,) = (tmp_path / "cache" / "vjepa-sim").iterdir()
    assert entry.suffix == ".mjb"


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"x" * 99])
def test_a_damaged_entry_is_built_again(scene, tmp_path, damage):
    _, built = scene
    load_model(*PARTS)
    (entry,) = (tmp_path / "cache" / "vjepa-sim").iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    load_model(*PARTS), load_model(*PARTS)
    assert len(built) == 2


def test_an_entry_that_mujoco_refuses_is_built_again(scene, tmp_path):
    _, built = scene
    load_model(*PARTS)
    (entry,) = (tmp_path / "cache" / "vjepa-sim").iterdir()
    build.save(entry, b"{}\nof another MuJoCo")
    load_model(*PARTS), load_model(*PARTS)
    assert len(built) == 2


def test_a_scene_follows_its_files(scene):
    mesh, built = scene
    small = load_model(*PARTS)
    mesh.write_text(TETRAHEDRON.format(size=0.25))
    os.utime(mesh, (0, 0))  # MuJoCo keeps meshes, too, by time in seconds
    large = load_model(*PARTS)
    assert len(built) == 2
    assert size_of(large) > 2 * size_of(small)


def test_without_a_cache_there_is_one_warning(scene, monkeypatch, caplog):
    _, built = scene
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with caplog.at_level(logging.WARNING):
        load_model(*PARTS), load_model(*PARTS)
    assert len(built) == 2
    (record,) = caplog.records
    assert "can't be kept in /dev/null/vjepa-sim" in record.getMessage()
    assert "XDG_CACHE_HOME" in record.getMessage()


def test_parts_whose_functions_differ_are_other_scenes():
    """A function, one with arguments, and an object that is called."""
    couplings = (couple, partial(couple, stiffness=2.0), partial(couple, stiffness=3.0), Coupling())
    parts = [replace(GRIPPERS["robotiq"], couple=each) for each in couplings]
    hashes = [_recipe_hash(ARMS["panda"], part, OBJECTS["box"]) for part in parts]
    assert hashes[0] == hashes[3]  # one source file holds both
    assert len({*hashes}) == 3


def test_objects_that_one_function_makes_differently_are_other_scenes():
    """The function's source and the fields are the same."""

    def with_edge(edge):
        def add_geoms(body):
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[edge, 0.02, 0.02], mass=0.1)

        return replace(OBJECTS["box"], add_geoms=add_geoms)

    arm, gripper, _ = PARTS
    assert len({_recipe_hash(arm, gripper, with_edge(edge)) for edge in (0.02, 0.03, 0.03)}) == 2
