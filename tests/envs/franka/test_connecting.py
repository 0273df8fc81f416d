"""How a connection begins, and how it ends with its program."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from tests.envs.loopback import FCI_PORT, REST, free_address, wait_for_rest, wait_until
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import ConnectionLost

pytest.importorskip("franka_sim", exc_type=ImportError)

from tests.envs.franka.motion import works_again
from vjepa_sim.envs.franka import connecting, open_driver

pytestmark = pytest.mark.slow


def test_second_client_does_not_hang(robot, connect, library, monkeypatch):
    servo, driver = connect(robot)
    with monkeypatch.context() as patch:
        patch.setattr(connecting, "CONNECT_TIMEOUT", 0.5)
        start = time.monotonic()
        with pytest.raises(ConnectionLost, match="another program"):
            open_driver(library, robot.host)
        assert time.monotonic() - start < 1.0
    assert servo.running and servo.state.mode == "Move"
    servo.stop()
    driver.close()
    works_again(robot, connect)  # the client that gave up has not taken the robot after all


@pytest.fixture
def panda():
    """Answers as a robot of version 5 does, and sends no states. Its address, and the versions it was asked for."""
    address, asked = free_address(), []
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, FCI_PORT))
        listener.listen()
        threading.Thread(target=shake_hands, args=(listener, asked), daemon=True).start()
        yield address, asked


def shake_hands(listener, asked):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            command, number, size = struct.unpack("<III", client.recv(12))
            asked.append(struct.unpack("<HH", client.recv(size - 12))[0])
            client.sendall(struct.pack("<IIIBH", command, number, 15, asked[-1] != 5, 5))
            client.recv(1)  # until the client has read it and hung up


def test_franky_for_robots_of_another_version_is_named(panda):
    pytest.importorskip("franky", exc_type=ImportError)
    with pytest.raises(UserError) as raised:
        open_driver("franky", panda[0])
    assert (
        "pip install --force-reinstall --no-deps "
        '--index-url "https://timschneider42.github.io/franky/whl/by-robot-server-version/5/" franky-control'
    ) in str(raised.value)
    assert 'pip install "vjepa-sim[franka-rs]"' in str(raised.value)


def test_franka_rs_shakes_hands_with_a_robot_of_version_5(panda):
    """And then waits for states; more of version 5 is not tested."""
    pytest.importorskip("franka", exc_type=ImportError)
    address, asked = panda
    with pytest.raises(ConnectionLost, match="UDP"):
        open_driver("franka-rs", address)
    assert asked == [10, 5]


@pytest.mark.parametrize(
    ("library", "package", "extra"), [("franky", "franky", "franka"), ("franka-rs", "franka", "franka-rs")]
)
def test_missing_package_names_the_extra(monkeypatch, library, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf'pip install "vjepa-sim\[{extra}\]"'):
        open_driver(library, "127.0.0.1")


def test_unknown_driver_names_the_known_ones():
    with pytest.raises(UserError, match="franka-rs"):
        open_driver("franka_rs", "127.0.0.1")


def test_no_robot_at_all(library):
    with pytest.raises(ConnectionLost, match="FCI"):
        open_driver(library, free_address())


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
@pytest.mark.parametrize("kind", ["pose", "joints", "arm"])
def test_arm_rests_when_its_program_ends(robot, connect, library, kind, end):
    command = [sys.executable, "-m", "tests.envs.franka.moving_client", library, robot.host, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "moving\n", client.stderr.read()
        wait_until(lambda: robot.moving() > 3 * REST or client.poll() is not None)
        assert client.poll() is None, client.stderr.read()
        client.send_signal(end)
        _, errors = client.communicate(timeout=20.0)
    assert client.returncode == -end, errors
    assert end == signal.SIGKILL or errors.rstrip().endswith("KeyboardInterrupt")
    wait_for_rest(robot, timeout=2.0)
    works_again(robot, connect)
