"""The Dagster code location: definitions under the settings of the environment."""

from kronos import settings
from kronos.defs.assembly import assemble
from kronos.defs.resources import Kronos

defs = assemble(Kronos(settings.load()))
