"""The papers: a strategy's file is named as in a config (sgan.py), its parts beside it (sgan_crew.py).

Law: plain PyTorch decides and trains. Nothing here imports Ray; a strategy returns orders, someone else carries them out.
"""

NOT_COMPONENTS = (
    "partition",
    "strategy",
    "orders",
    "roles",
    "pack",
    "stack",
    "pmgan_generator",
    "pmgan_judge",
    "pmgan_slots",
    "sgan_crew",
    "sgan_opponents",
    "sgan_players",
)
