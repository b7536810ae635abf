"""Users' own parts: where their source lies, what is in it, how it travels, and who has said that
it may run.

names.py      ./nets.py:MyNet, my_pkg.losses:Focal; settled: nets.py:MyNet@3f2a9c1b7d04
source.py     the text, its SHA-256, and the module that is made of it
trust.py      what a run folder brings is not executed unless somebody says so
find.py       the one component in a module, or the line that says why there is none
installed.py  entry points of installed packages
objects.py    Python objects as the names above
script.py     what a class needs of a script or a notebook
alike.py      is what is made again what it was?

Law: nothing here imports torch, Ray or any other part of raygan but errors and paths by name; kinds
are looked up.
"""
