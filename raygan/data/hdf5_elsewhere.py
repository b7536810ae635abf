"""What an HDF5 file has in other files: virtual datasets, external links, external storage.

The library gives zeros for a source that is not there, and does not list what lies behind a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raygan.data.npz import USUAL
from raygan.data.record import Record
from raygan.errors import DataError

BLOCKS = re.compile(r"%\d*b")
"""In the name of a virtual dataset's file: the number of a block."""


def found_in(file: Any) -> dict[str, Any]:
    """All datasets by their paths, and what is behind external links: a dataset, a group, or None
    for one that leads nowhere.
    """
    import h5py  # type: ignore[import-not-found, import-untyped, unused-ignore]

    out: dict[str, Any] = {}
    file.visititems(
        lambda name, item: out.update({name: item}) if isinstance(item, h5py.Dataset) else None
    )
    links = list[str]()
    file.visititems_links(
        lambda name, link: links.append(name) if isinstance(link, h5py.ExternalLink) else None
    )
    for name in links:
        try:
            out[name] = file[name]
        except (KeyError, OSError):
            out[name] = None
    return out


def arrays_of(where: str, file: Any, asked: tuple[str | None, ...], record: Record) -> list[str]:
    """The paths of all datasets; links to no array are left out. `asked`: what settings name.
    Raises DataError where a link to none is what would be read.
    """
    import h5py

    found = found_in(file)
    there = [name for name, item in found.items() if isinstance(item, h5py.Dataset)]
    alone = not set(there) - set(asked)
    for name in (n for n in found if n not in there):
        # a group is never taken for an array, whatever its name
        usual = found[name] is None and name in USUAL and asked[0] is None
        if name in asked or usual or (alone and asked[0] is None):
            link = file.get(name, getlink=True)
            raise DataError(
                f"{where}: {name!r} leads to {link.path} in {link.filename}, which is no array, or"
                " not there. Put it back, or set data.key to another."
            )
        record.skip("links to no array", name)
    return there


def files_of(dataset: Any) -> Iterator[tuple[str, list[Path], str]]:
    """Of each part of it that lies in another file: (the file as it is named, where it lies, the
    dataset's path in it).
    """
    home = Path(dataset.file.filename)
    for name, *_ in dataset.external or ():
        yield name, places(home, name), ""
    for source in dataset.virtual_sources() if dataset.is_virtual else ():
        there = [home] if source.file_name == "." else places(home, source.file_name)
        yield source.file_name, there, source.dset_name


def places(home: Path, name: str) -> list[Path]:
    """The files of this name, as the library looks for them: beside the file that names it, then
    as it is named.
    """
    pattern = BLOCKS.sub("*", Path(name).name)
    folders = [home.parent / Path(name).parent, home.parent, Path(name).parent]
    for folder in folders:
        if pattern != Path(name).name and (several := sorted(folder.glob(pattern))):
            return several
        if (folder / Path(name).name).is_file():
            return [folder / Path(name).name]
    return []


def check_there(where: str, dataset: Any, seen: frozenset[tuple[Path, str]] = frozenset()) -> None:
    """Raises DataError for a part that is not there."""
    import h5py

    for name, there, key in files_of(dataset):
        lacks = "" if there else name
        for path in there if key and not BLOCKS.search(key) else ():
            with h5py.File(path, "r") as file:
                if key not in file:
                    lacks = f"{key} in {path}"
                elif (path, key) not in seen:  # one made of itself ends here
                    check_there(where, file[key], seen | {(path, key)})
        if lacks:
            raise DataError(
                f"{where}: {dataset.name!r} is made of other files, and {lacks} is not there. Put"
                " it back, or copy all into one file."
            )


def parts_of(path: Path) -> list[Path]:
    """All other files that its datasets lie in, to know them again."""
    import h5py

    out, waiting = dict[Path, None](), [path]
    while waiting:
        with h5py.File(waiting.pop(), "r") as file:
            for dataset in found_in(file).values():
                if not isinstance(dataset, h5py.Dataset):
                    continue
                parts = [(Path(dataset.file.filename), True)]
                parts += [(p, bool(key)) for _, there, key in files_of(dataset) for p in there]
                for part, is_hdf5 in parts:
                    if part not in out:
                        out[part] = None
                        waiting += [part] * is_hdf5
    return [part for part in out if part != path]
