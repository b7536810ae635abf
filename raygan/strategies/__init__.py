"""The papers, one file each; the file's name is the strategy's name in a config.

Law: plain PyTorch decides and trains. Nothing here imports Ray; a strategy returns orders, someone else carries them out.
"""

NOT_COMPONENTS = (
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
