"""The shop as it truly is: its time, its catalogue, its people and what they order."""

from typing import NamedTuple

from resources.simulation.catalogue import Catalogue, make_catalogue
from resources.simulation.orders import Orders, make_orders
from resources.simulation.population import Population, make_population
from resources.simulation.settings import SimulationSettings
from resources.simulation.timeline import Timeline


class World(NamedTuple):
    """Everything about a shop that is settled before its members are watched."""

    settings: SimulationSettings
    timeline: Timeline
    catalogue: Catalogue
    population: Population
    orders: Orders


def make_world(settings: SimulationSettings) -> World:
    """Draw a shop; the same settings give the same shop."""
    timeline = Timeline(settings)
    catalogue = make_catalogue(settings)
    population = make_population(settings, timeline)
    orders = make_orders(settings, timeline, catalogue, population)
    return World(settings, timeline, catalogue, population, orders)
