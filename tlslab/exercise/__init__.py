"""Training exercises: objectives, hints that lead all the way, checks that run the real thing.

exercise.py          what an exercise is; answers kept as hashes
progress.py          what the learner has done so far
find_password.py     and one file for every further exercise
"""

from __future__ import annotations

from tlslab.exercise.careless_client import CarelessClient
from tlslab.exercise.encrypted_object import WhichIsEncrypted
from tlslab.exercise.exercise import Exercise
from tlslab.exercise.find_password import FindThePassword
from tlslab.exercise.progress import Progress, Standing

EXERCISES: dict[str, Exercise] = {
    exercise.id: exercise for exercise in (FindThePassword(), CarelessClient(), WhichIsEncrypted())
}
"""Every exercise by its id, in the order in which they are best done."""

__all__ = ["EXERCISES", "Exercise", "Progress", "Standing"]
