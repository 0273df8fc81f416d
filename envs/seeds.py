"""Seeds of training and of evaluation, from different halves of the 32-bit numbers so that none is shared."""

from __future__ import annotations

from vjepa_sim.envs.errors import UserError

FIRST_TRAINING_SEED = 2**31
EPISODES_PER_COLLECTION = 1_000_000
MAX_COLLECTION_SEED = (2**32 - FIRST_TRAINING_SEED) // EPISODES_PER_COLLECTION - 1


def training_seed(collection_seed: int, index: int) -> int:
    """The environment's seed for episode ``index`` of a collection: 2³¹ and above."""
    if not 0 <= collection_seed <= MAX_COLLECTION_SEED:
        raise UserError(f"--seed {collection_seed}: a collection's seed must lie in 0..{MAX_COLLECTION_SEED}.")
    if not 0 <= index < EPISODES_PER_COLLECTION:
        raise UserError(f"Episode {index}: a collection holds at most {EPISODES_PER_COLLECTION} episodes.")
    return FIRST_TRAINING_SEED + collection_seed * EPISODES_PER_COLLECTION + index


def evaluation_seed(first: int, index: int) -> int:
    """The environment's seed for evaluation episode ``index``: below 2³¹."""
    seed = first + index
    if first < 0 or seed >= FIRST_TRAINING_SEED:
        raise UserError(
            f"--seed {first}: evaluation seeds must lie in 0..{FIRST_TRAINING_SEED - 1}; larger ones are for training."
        )
    return seed
