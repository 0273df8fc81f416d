"""One argument switches the arm: ``gymnasium.make("vjepa_sim/FrankaReach-v0", backend="sim")``.

From one backend to the next there is more of the real robot. An agent uses all of them in the same way.

- ``sim``: the simulator.
- ``noisy-sim``: the simulator with camera latency, image and state noise, and actuator delay and lag.
- ``loopback``: a simulated robot that speaks the real one's network protocol, with the real client.
- ``franka``: the real robot.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any

import gymnasium

from vjepa_sim.envs.arms import PANDA
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.robot import Robot
from vjepa_sim.envs.safety import SafetyLimits, check_limits, default_limits
from vjepa_sim.envs.start import Start, check_start

if TYPE_CHECKING:
    from vjepa_sim.envs.robot_env import RobotEnv

LIMITED = ("max_force", "max_camera_age")  # safety limits that the robot itself is given too
LATE = 3.0  # s


@dataclass(frozen=True)
class BackendSpec:
    """A kind of robot that an agent is deployed on.

    Attributes:
        name: name on the command line.
        robot: ``module:function`` that opens its :class:`.Robot`; imported only when it is used. Its parameters are the
            backend's settings.
        simulated: whether the robot is a simulated one.
        arms: names of the arms that it drives, the usual one first; None for any, which its setting ``arm`` chooses.
        asks: whether a person must confirm before anything moves.
        repeats: whether every episode from one start is the same.
        limits: maps the default safety limits of arm and gripper to the backend's.
    """

    name: str
    robot: str
    _: KW_ONLY
    simulated: bool
    arms: tuple[str, ...] | None = (PANDA.name,)
    asks: bool = True
    repeats: bool = False
    limits: Callable[[SafetyLimits], SafetyLimits] = lambda limits: limits

    def opener(self) -> Callable[..., Robot]:
        """The function that opens the robot."""
        module, _, name = self.robot.partition(":")
        return getattr(importlib.import_module(module), name)

    def takes(self) -> dict[str, inspect.Parameter]:
        """Settings of the backend, by name."""
        return dict(inspect.signature(self.opener()).parameters)

    @property
    def usual_arm(self) -> str:
        """Name of the arm where none is chosen."""
        return PANDA.name if self.arms is None else self.arms[0]

    def check_arm(self, arm: str) -> None:
        """Raise :class:`.UserError` for an arm that the backend does not drive."""
        if self.arms is not None and arm not in self.arms:
            raise UserError(f"Backend {self.name!r} drives {' or '.join(map(repr, self.arms))}; arm {arm!r} was given.")


def _late(limits: SafetyLimits) -> SafetyLimits:
    """Wider limits of age: robot, camera and agent share one computer, so each is late now and then."""
    return replace(limits, max_camera_age=LATE, max_clock_age=LATE)


BACKENDS: Registry[BackendSpec] = Registry("backend", BackendSpec)
for _backend in (
    BackendSpec(
        "sim", "vjepa_sim.envs.simulation.sim_robot:SimRobot", simulated=True, arms=None, asks=False, repeats=True
    ),
    BackendSpec("noisy-sim", "vjepa_sim.envs.simulation.noisy_robot:NoisyRobot", simulated=True, arms=None, asks=False),
    BackendSpec("loopback", "vjepa_sim.envs.loopback.twin:LoopbackArm", simulated=True, limits=_late),
    BackendSpec("franka", "vjepa_sim.envs.franka:open_arm", simulated=False),
):
    BACKENDS.register(_backend)


def make(
    task: str, backend: str = "sim", arm: str | None = None, goal_conditioned: bool = False, **settings: Any
) -> gymnasium.Env:
    """The environment of a task.

    Args:
        task: name of one of :data:`.TASKS`.
        backend: name of one of :data:`BACKENDS`. With ``sim`` the environment samples its own episodes.
        arm: name of one of :data:`.ARMS`; the backend's usual one if not given.
        goal_conditioned: whether observations hold achieved and desired goals as vectors, see
            :class:`.GoalConditioned`.
        settings: arguments of :class:`.SimEnv` for ``sim``, else of :func:`make_robot`.

    Raises:
        UserError: there is no such backend, or it has no such setting.
    """
    if backend != "sim":
        if goal_conditioned:
            raise UserError(f"Backend {backend!r} has no goal-conditioned form; only 'sim' measures achieved goals.")
        return make_robot(task, backend, arm=arm, **settings)
    from vjepa_sim.envs.goal_conditioned import GoalConditioned, HindsightSimEnv
    from vjepa_sim.envs.sim_env import SimEnv

    settings = {"arm": arm or BACKENDS[backend].usual_arm, **_known(settings, backend, SimEnv)}
    return GoalConditioned(HindsightSimEnv(task, **settings)) if goal_conditioned else SimEnv(task, **settings)


def make_robot(task: str, backend: str, arm: str | None = None, **settings: Any) -> RobotEnv:
    """The environment of a task on a backend's robot, the same for every backend.

    Args:
        task: name of one of :data:`.TASKS`.
        backend: name of one of :data:`BACKENDS`.
        arm: name of one of :data:`.ARMS`; the backend's usual one if not given.
        settings: arguments of :class:`.RobotEnv` except ``robot``, and the settings of the backend. A setting that is
            also a safety limit (``max_force``, ``max_camera_age``) is taken from ``limits``.

    Raises:
        UserError: there is no such backend, it has no such setting or drives another arm, or the start is another
            task's.
    """
    from vjepa_sim.envs.robot_env import RobotEnv

    chosen = BACKENDS[backend]
    arm = arm or chosen.usual_arm
    chosen.check_arm(arm)
    _check_task_of(settings.get("start"), task)
    takes = chosen.takes()
    if "arm" in takes:
        settings["arm"] = arm
    settings = _known(settings, backend, chosen.opener(), RobotEnv)
    about_robot = {name: settings.pop(name) for name in list(settings) if name in takes and name not in LIMITED}
    limits = settings.pop("limits", None)
    if limits is None:
        limits = usual_limits(backend, arm, about_robot.get("gripper", "robotiq"))
    check_limits(limits)
    about_robot |= {name: getattr(limits, name) for name in LIMITED if name in takes}
    missing = [
        name for name, each in takes.items() if each.default is inspect.Parameter.empty and name not in about_robot
    ]
    if missing:
        raise UserError(f"Backend {backend!r} needs {' and '.join(f'{name}=…' for name in missing)}.")
    robot = chosen.opener()(**about_robot)
    try:
        return RobotEnv(task, robot, limits=limits, **settings)
    except BaseException:
        robot.close()
        raise


def usual_limits(backend: str, arm: str, gripper: str) -> SafetyLimits:
    """Default safety limits of a backend with an arm and a gripper.

    Raises:
        UserError: there is no such backend, arm or gripper.
    """
    return BACKENDS[backend].limits(default_limits(arm, gripper))


def _check_task_of(start: Start | None, task: str) -> None:
    """Refuse a start of another task: its own test would judge the episodes."""
    check_start(start)
    if start is not None and start.task != task:
        raise UserError(
            f"Task {task!r} was given, but the start was sampled for {start.task!r}. Give that task, or another start."
        )


def _names(made: Callable) -> list[str]:
    return [name for name in inspect.signature(made).parameters if name not in ("task", "robot", *LIMITED)]


def _known(settings: dict[str, Any], backend: str, *made: Callable) -> dict[str, Any]:
    """Return the settings if each is a parameter of one of the callables, else raise :class:`.UserError`."""
    valid = [name for each in made for name in _names(each)]
    for name in settings:
        if name not in valid:
            raise unknown_name(f"setting of backend {backend!r}", name, valid)
    return settings
