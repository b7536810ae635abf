"""Data that may not leave its worker (UA-GAN, 2021; MD-GAN, 2019): settings, strategy, the centre
with G0, the sites with a D and their data each, and what their words become together.
"""

from raygan.strategies.federated.strategy import Federated as Federated
