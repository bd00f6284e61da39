"""HDF5 files as h5py writes them, for the reader: Tests/Fixtures/files/*.h5.

Element i of every dataset, in row-major order, is i modulo 100 (i modulo 2 for bool), so that tests need no list of values.
"""

import pathlib

import h5py
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "files"
FOLDER.mkdir(exist_ok=True)


def values(shape, dtype):
    count = int(np.prod(shape))
    return (np.arange(count) % (2 if dtype == "bool" else 100)).astype(dtype).reshape(shape)


def write(name, fill, **options):
    path = FOLDER / name
    with h5py.File(path, "w", **options) as file:
        fill(file)
    print(f"{name}: {path.stat().st_size / 1024:.1f} kB")


def types(file):
    for dtype in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"):
        file.create_dataset(f"types/{dtype}", data=values((3, 5), dtype))
    # As Keras stores bfloat16: the upper halves of float32 numbers.
    upper = (values((3, 5), "float32").view("uint32") >> 16).astype("uint16")
    half = file.create_dataset("types/bfloat16", data=upper.view("V2"))
    half.attrs["dtype"] = "bfloat16"
    file["shapes/scalar"] = np.float32(7)
    file.create_dataset("shapes/empty", data=np.zeros((0, 3), "float32"))
    file.create_dataset("shapes/rank5", data=values((1, 2, 3, 2, 1), "int32"))
    file.create_group("nothing")
    file.attrs["name"] = "a name with ümlauts"
    file["types"].attrs["fixed"] = np.bytes_("fixed")
    file["types"].attrs["names"] = ["a", "", "long enough to be anywhere"]
    for index in range(12):  # a continued header
        file["shapes"].attrs[f"attribute{index}"] = f"value {index}"


def chunks(file):
    data = values((23, 17), "float32")
    file.create_dataset("plain", data=data, chunks=(8, 5))
    file.create_dataset("deflate", data=data, chunks=(8, 17), compression="gzip")
    file.create_dataset("shuffled", data=data, chunks=(23, 4), compression="gzip", shuffle=True)
    file.create_dataset("checked", data=data, chunks=(10, 10), fletcher32=True)
    file.create_dataset("all", data=data, chunks=(6, 6), compression="gzip", shuffle=True, fletcher32=True)
    file.create_dataset("rank3", data=values((5, 4, 7), "int16"), chunks=(2, 3, 4))
    space = h5py.h5s.create_simple((2, 3))
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_layout(h5py.h5d.COMPACT)
    compact = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, create)
    compact.write(h5py.h5s.ALL, h5py.h5s.ALL, values((2, 3), "float32"))


def many(file):
    """More children than one level of a B-tree holds (32 nodes of 8 entries)."""
    for index in range(300):
        file[f"vars/{index}"] = np.int8(index % 100)


def small(file):
    """A little of everything, for damaging byte by byte."""
    file.create_dataset("chunks", data=values((5, 3), "float32"), chunks=(2, 2), compression="gzip", shuffle=True, fletcher32=True)
    file["flags"] = values((3,), "bool")
    file["flags"].attrs["fixed"] = np.bytes_("fixed")


def newest(file):
    file["group/matrix"] = values((3, 5), "float32")
    file["group"].attrs["name"] = "newest"


def soft_link(file):
    file["here"] = values((2,), "float32")
    file["there"] = h5py.SoftLink("/here")


def external_link(file):
    file["there"] = h5py.ExternalLink("/etc/passwd", "/here")


def hard_link(file):
    file["here/x"] = values((2,), "float32")
    file["there"] = file["here"]


def external_data(file):
    file.create_dataset("x", (2,), "float32", external=[("/etc/passwd", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((2,), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
    file.create_virtual_dataset("x", layout)


def big_endian(file):
    file["x"] = values((2,), ">f4")


def unwritten(file):
    file.create_dataset("x", (1 << 40,), "float32")


write("types.h5", types)
write("chunks.h5", chunks)
write("many.h5", many)
write("small.h5", small)
write("newest.h5", newest, libver="latest")
write("userblock.h5", newest, userblock_size=1024)
for name, fill in [
    ("soft-link", soft_link), ("external-link", external_link), ("hard-link", hard_link), ("external-data", external_data),
    ("virtual", virtual), ("big-endian", big_endian), ("unwritten", unwritten),
]:
    write(f"refused-{name}.h5", fill)
