"""The demo shop: a generative model with known truths that writes a landing folder.

`simulate` is the whole of it. Nothing here reads a clock, the environment or a global seed.
"""

from resources.simulation.settings import SimulationReport, SimulationSettings
from resources.simulation.simulation import simulate

__all__ = ["SimulationReport", "SimulationSettings", "simulate"]
