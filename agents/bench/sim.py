"""Time of a control step with an image, compared with a robosuite environment with the same camera."""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np

from vjepa_sim.agents.bench.timing import seconds
from vjepa_sim.envs.errors import UserError

SIZE = 256
ROUNDS = 7
STEPS = 8
MAX_BLACK = 0.3  # share of black pixels above which an image counts as broken


def bench_sim() -> dict:
    """Measure seconds per 4 Hz step with a 256 × 256 image in both environments, and their ratio per round.

    Each environment runs in its own process: two renderers in one process can draw into each other's context.
    """
    context = get_context("spawn")
    # robosuite compiles functions on first use, and a process that has compiled some renders broken images about every
    # other time with a software renderer. So they are compiled, and cached, in a process of their own first.
    compiling = context.Process(target=_compile_robosuite)
    compiling.start()
    compiling.join()
    sides = {}
    for name, serve in (("ours", _serve_ours), ("robosuite", _serve_robosuite)):
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there,), daemon=True)
        process.start()
        there.close()  # so that the end of the process is noticed
        sides[name] = (process, here)
    times: dict[str, list[float]] = {name: [] for name in sides}
    try:
        for _ in range(ROUNDS + 1):  # the first is a warm-up
            for name, (_, pipe) in sides.items():
                try:
                    pipe.send(STEPS)
                    times[name].append(pipe.recv())
                except (EOFError, BrokenPipeError):
                    raise UserError(f"The benchmark of {name!r} failed; its own message is above.") from None
    finally:
        for process, pipe in sides.values():
            pipe.close()
            process.terminate()
            process.join()
    ours, theirs = np.array(times["ours"][1:]), np.array(times["robosuite"][1:])
    return {
        "image_size": SIZE,
        "ours_seconds_per_step": float(np.median(ours)),
        "robosuite_seconds_per_step": float(np.median(theirs)),
        "speedup_median": float(np.median(theirs / ours)),
        "speedup_min": float((theirs / ours).min()),
        "speedup_max": float((theirs / ours).max()),
    }


def _serve_ours(pipe: Connection) -> None:
    from vjepa_sim.envs.sim_env import SimEnv

    env = SimEnv("grasp", "box", size=SIZE)
    env.reset(seed=0)
    env.action_space.seed(0)
    _serve(pipe, lambda: env.step(env.action_space.sample() * np.float32(0.3)))


def _serve_robosuite(pipe: Connection) -> None:
    env = _make_robosuite()
    rng = np.random.default_rng(0)
    low, high = env.action_spec
    image = env.step(np.zeros_like(low))[0]["frontview_image"]
    if (image == 0).all(-1).mean() > MAX_BLACK:
        raise RuntimeError("robosuite rendered a broken image, so there is nothing to compare with. Run bench again.")
    _serve(pipe, lambda: env.step(rng.uniform(low, high) * 0.3))


def _compile_robosuite() -> None:
    env = _make_robosuite()
    env.step(np.zeros_like(env.action_spec[0]))


def _make_robosuite():
    """robosuite's lifting task with the same gripper, camera and control period."""
    from vjepa_sim.envs.gl import select_backend

    select_backend()
    import contextlib
    import io
    import logging

    from vjepa_sim.envs.scene.cameras import LEFT

    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import robosuite

        env = robosuite.make(
            "Lift",
            robots="Panda",
            gripper_types="Robotiq85Gripper",
            has_renderer=False,
            has_offscreen_renderer=True,
            use_camera_obs=True,
            camera_names="frontview",
            camera_heights=SIZE,
            camera_widths=SIZE,
            control_freq=4,
            ignore_done=True,
        )
        env.reset()
        camera = env.sim.model.camera_name2id("frontview")
        base = env.sim.data.get_body_xpos("robot0_base")
        env.sim.model.cam_pos[camera] = base + LEFT.viewpoint.position
        env.sim.model.cam_quat[camera] = LEFT.viewpoint.quaternion()
        env.sim.model.cam_fovy[camera] = LEFT.viewpoint.fovy
    return env


def _serve(pipe: Connection, step) -> None:
    while True:
        try:
            steps = pipe.recv()
        except EOFError:
            return
        pipe.send(seconds(step, steps))
