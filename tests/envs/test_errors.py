"""Messages for people."""

import pytest

from vjepa_sim.envs.errors import UserError, printable, unknown_name
from vjepa_sim.envs.franka import open_driver


def test_unknown_names_get_a_suggestion():
    assert str(unknown_name("task", "grap", ["grasp", "reach"])) == (
        "Unknown task 'grap'. Did you mean 'grasp'? Choose one of: grasp, reach."
    )


def test_texts_from_files_cannot_steer_the_terminal():
    assert printable("pick\x1b[2J up\u202e\r\n\tthe bóx") == "pick\\x1b[2J up\\u202e\\r\n\tthe bóx"


@pytest.mark.parametrize("host", ["172.16.0.2:1337", "fe80::1", "[::1]", "http://robot", ""])
def test_a_robots_address_has_no_port_and_is_ipv4(host):
    with pytest.raises(UserError, match="without a port"):
        open_driver("franky", host)
