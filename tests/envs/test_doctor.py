"""The machine that runs the tests."""

from vjepa_sim.envs.doctor import examine


def test_the_doctor_finds_this_machine_fit(tmp_path):
    checks = list(examine(tmp_path / "image.png"))
    assert [check for check in checks if not check.ok] == []
    assert (tmp_path / "image.png").stat().st_size > 1000
