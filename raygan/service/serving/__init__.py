"""`raygan serve`: a generator behind HTTP, on Ray Serve.

source.py    what is served, and its newest state, without Ray
app.py       the routes, as a Serve deployment
running.py   from the command to the address, and to the end
"""
