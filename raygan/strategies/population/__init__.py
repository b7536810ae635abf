"""A population: settings that are drawn, a rank without labels, exploit and explore."""

from raygan.strategies.population.strategy import Population as Population
