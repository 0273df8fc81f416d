"""Tests of two agents on the same episodes: exact, and as strong as they say."""

import itertools

import numpy as np
import pytest

from vjepa_sim.agents.comparison.paired import MOST, Paired, p_over_starts


@pytest.mark.parametrize(("split", "p"), [((6, 0), 0.03125), ((0, 0), 1.0), ((10, 2), 79 * 2 / 2**12), ((5, 5), 1.0)])
def test_mcnemar_is_exact(split, p):
    assert Paired(20, *split, 7).p_value == pytest.approx(p)


def test_seeds_of_one_run_alone_do_not_count():
    paired = Paired.of({1: True, 2: True, 3: False, 9: True}, {1: True, 2: False, 3: True, 4: True})
    assert paired == Paired(1, 1, 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seen", [Paired(30, 12, 4, 10), Paired(0, 3, 0, 2), Paired(1, 1, 0, 1)])
def test_so_many_more_episodes_do_tell(seen):
    """Drawn again and again at the rates seen, and tested."""
    shares = np.array([seen.both + seen.neither, seen.only_first, seen.only_second]) / seen.n

    def found(n):
        draws = np.random.default_rng(0).multinomial(n, shares, 2000)
        return np.mean([Paired(same, first, second, 0).p_value < 0.05 for same, first, second in draws])

    assert 0.77 < found(seen.n + seen.more_to_tell()) < 0.9
    assert found(seen.n + seen.more_to_tell() // 2) < 0.65


def test_what_is_told_already_or_never_needs_no_number():
    assert Paired(20, 6, 0, 7).more_to_tell() == 0
    assert Paired(20, 3, 3, 7).more_to_tell() is None


def test_what_nobody_could_score_is_told_as_more_than_that():
    assert Paired(700, 51, 50, 0).more_to_tell() == MOST


@pytest.mark.parametrize("split", [(6, 0), (0, 0), (7, 2), (3, 3)])
def test_over_starts_of_one_cell_it_is_mcnemars(split):
    wins = [(True, False)] * split[0] + [(False, True)] * split[1] + [(True, True)] * 5
    first, second = ({("reach", "cup", seed): won[side] for seed, won in enumerate(wins)} for side in (0, 1))
    assert p_over_starts(first, second) == pytest.approx(Paired(5, *split, 0).p_value)


def test_over_starts_of_several_cells_whole_starts_are_exchanged():
    """All sixteen exchanges of four starts, one by one."""
    rng = np.random.default_rng(1)
    first, second = (
        {(task, "cup", seed): bool(rng.random() < rate) for task in ("reach", "grasp", "place") for seed in range(4)}
        for rate in (0.8, 0.3)
    )
    uneven = [sum(int(second[k]) - int(first[k]) for k in first if k[2] == seed) for seed in range(4)]
    sums = [abs(np.dot(signs, uneven)) for signs in itertools.product((-1, 1), repeat=4)]
    assert p_over_starts(first, second) == pytest.approx(np.mean([each >= abs(sum(uneven)) for each in sums]))


def test_starts_of_one_run_alone_do_not_count():
    assert p_over_starts({("reach", "cup", 1): True}, {("reach", "cup", 2): False}) == 1
