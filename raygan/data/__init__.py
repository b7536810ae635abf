"""Data sets, one file each; the file's name is the data set's name in a config. Nothing here
imports Ray.

A data component's `load(seed)` gives one immutable Samples; the driver loads it once, and every
player indexes it.
"""

NOT_COMPONENTS = (
    "base",
    "search",
    "files",
    "idx_format",
    "room",
    "plain",
    "npy_format",
    "arrays",
    "pixels",
    "record",
    "table",
    "first_row",
    "features",
    "cells",
    "digits",
    "lines",
    "split",
    "odd",
    "labels",
    "hdf5_elsewhere",
    "label_column",
    "partition",
    "clusters",
    "rows",
    "cache",
    "download",
    "fitting",
    "kept",
    "keeping",
    "stored",
    "layout",
    "scaling",
    "ranges",
    "cache_sources",
    "written",
    "walking",
    "thousands",
    "tensors",
    "shards",
)
