"""A plugin's task, which can't be done with the cup and for which the expert has no skill."""

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.tasks import Reach


class Slide(Reach):
    """Reach, but not with the cup."""

    name = "slide"

    @classmethod
    def check_object(cls, thing):
        """See :meth:`.Task.check_object`."""
        if thing.name == "cup":
            raise UserError("A cup does not slide.")
