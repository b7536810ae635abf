"""Names of those who are no local pairs or generators; imports nothing, so that verbs that only look need no torch."""

GLOBAL = "global"
"""SGAN's global pair (G0, D0)."""
JUDGE = "judge"
"""PMGAN's discriminator and classifier."""
ROLES = (GLOBAL, JUDGE)
MIXTURE = "mixture"
"""All generators of a run as one, each with an equal share."""
