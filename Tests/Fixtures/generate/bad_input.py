"""Bad input for the `backprop` command: files, arguments, and what is said of them, pinned in bad_input.json.

    bad_input.py PROGRAM     runs the program on every case and writes down what it says, to be read before it is committed
"""

import base64
import gzip
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile
import io

import fixture

FILES = fixture.FOLDER / "files"
IMAGES = fixture.FOLDER / "images"


def known(name):
    return (FILES / name).read_bytes()


def patched(name, *changes):
    data = bytearray(known(name) if isinstance(name, str) else name)
    for offset, value in changes:
        data[offset : offset + len(value)] = value
    return bytes(data)


def npy(header, data=b""):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def safetensors(header, data=b"", length=None):
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def idx(code, sizes, data=b""):
    return bytes([0, 0, code, len(sizes)]) + b"".join(struct.pack(">I", s) for s in sizes) + data


def archive(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name, data in members.items():
            target.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def keras(change=None, weights=True, config=True):
    """A model of one dense layer with its configuration changed."""
    # The fuzzer's input is configuration and weights with a zero byte between them.
    text, h5 = (FILES.parent.parent.parent / "Fuzz/corpus/keras/dense").read_bytes().split(b"\0", 1)
    metadata = b'{"keras_version": "3.15.1", "date_saved": "2026-11-24@16:34:51"}'
    members = {"metadata.json": metadata, "config.json": text, "model.weights.h5": h5}
    if change:
        text = members["config.json"].decode()
        if callable(change):
            text = change(text)
        else:
            assert change[0] in text, change
            text = text.replace(*change)
        members["config.json"] = text.encode()
    if not weights:
        del members["model.weights.h5"]
    if not config:
        del members["config.json"]
    return archive(members)


cases = []


def case(*arguments, files=None, input=""):
    cases.append({"arguments": list(arguments), "files": files or {}, "input": input})


# Tables
train = ("train", "--epochs", "1", "--data")
case(*train, "a.csv", files={"a.csv": b""})
case(*train, "a.csv", files={"a.csv": b"a,b,c\n"})
case(*train, "a.csv", files={"a.csv": b"1,2,0\n3,1\n"})
case(*train, "a.csv", files={"a.csv": b"1,2,0\n3,4,1,5\n"})
case(*train, "a.csv", files={"a.csv": b"a,b\n1,2\n3,\n"})
case(*train, "a.csv", files={"a.csv": b"1,2\n3,4x\n"})
case(*train, "a.csv", files={"a.csv": b'1,"2\n3,4\n'})
case(*train, "a.csv", files={"a.csv": b"1,inf\n2,3\n"})
case(*train, "a.csv", files={"a.csv": b"1,2\n1e999,3\n"})
case(*train, "a.csv", files={"a.csv": b"\xff\xfe1\x00,\x00"})
case(*train, "a.csv", files={"a.csv": b"5\n6\n"})
case(*train, "a.csv", "--label", "9", files={"a.csv": b"1,2\n3,4\n"})
case(*train, "a.csv", "--label", "name", files={"a.csv": b"1,2\n3,4\n"})
case(*train, "a.csv", "--delimiter", "tab", files={"a.csv": b"1,2\n3,4\n"})
case(*train, "a.csv", "--task", "classification", files={"a.csv": b"1,-2\n3,4\n"})
case(*train, "a.csv", "--validation-split", "0.01", files={"a.csv": b"1,0\n3,1\n"})
case(*train, "missing.csv")
case(*train, "a.csv", "--labels", "b.idx", files={"a.csv": b"1,2\n"})

# IDX
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": b"\0\0"})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": idx(8, [3, 2])[:7]})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": idx(7, [1], b"\0")})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": idx(8, [3, 2], b"12345")})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": idx(8, [3, 2], b"1234567")})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": idx(14, [0xFFFFFFFF] * 4)})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": idx(8, [])})
case(*train, "a.idx", files={"a.idx": idx(8, [2], b"12")})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": idx(8, [2, 1], b"12")})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": idx(8, [2, 1], b"12"), "b.idx": idx(8, [3], b"012")})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": gzip.compress(idx(8, [2, 1], b"12"), mtime=0)[:-9]})
case(*train, "a.idx", "--labels", "b.idx", files={"a.idx": b"\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff"})
case(
    *train, "a.idx", "--labels", "b.idx",
    files={"a.idx": idx(13, [2, 1], struct.pack(">ff", 1, float("nan"))), "b.idx": idx(8, [2], b"\0\1")},
)

# Tensors
case("inspect", "a.npy", files={"a.npy": b"\x93NUMPY"})
case("inspect", "a.npy", files={"a.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", b"\0" * 8)})
case("inspect", "a.npy", files={"a.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", b"\0" * 16)})
case("inspect", "a.npy", files={"a.npy": npy("{'descr': '<f4', 'shape': (3,), }")})
case("inspect", "a.npy", files={"a.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }")})
case("inspect", "a.npy", files={"a.npy": npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**62}, 8), }}")})
case("inspect", "a.npy", files={"a.npy": npy("{'descr': '<x9', 'fortran_order': False, 'shape': (3,), }")})
case("inspect", "a.npy", files={"a.npy": npy("not a dictionary")})
case("inspect", "a.npy", files={"a.npy": patched("matrix.npy", (6, b"\x09"))})
for name in ("half", "objects", "order", "structure"):
    case("inspect", "a.npy", files={"a.npy": f"refused-{name}.npy"})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234")})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, b"12345678")})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors({"a": {"dtype": "F9", "shape": [2], "data_offsets": [0, 8]}}, b"12345678")})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, b"12345678")})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, b"12345678")})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors({"a": {"dtype": "F32", "shape": [2]}}, b"12345678")})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors('{"a": ')})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors("{}", length=1 << 40)})
case("inspect", "a.safetensors", files={"a.safetensors": safetensors("{}", length=(1 << 63) + 5)})
case("inspect", "a.safetensors", files={"a.safetensors": "refused-dtype.safetensors"})
case("inspect", "a.npz", files={"a.npz": archive({"a.npy": b"nothing"})})
case("inspect", "a.npz", files={"a.npz": known("tensors.npz")[:-30]})
case("inspect", "a.zip", files={"a.zip": patched("deflated.zip", (known("deflated.zip").rindex(b"PK\1\2") + 8, b"\1"))})
case("inspect", "a.zip", files={"a.zip": patched("deflated.zip", (known("deflated.zip").rindex(b"PK\1\2") + 10, b"\x0c"))})
case("inspect", "a.zip", files={"a.zip": patched("deflated.zip", (known("deflated.zip").rindex(b"PK\5\6") + 4, b"\1"))})
case("inspect", "a.h5", files={"a.h5": known("small.h5")[:600]})
case("inspect", "a.h5", files={"a.h5": patched("small.h5", (8, b"\x07"))})
for name in ("big-endian", "external-data", "external-link", "hard-link", "soft-link", "unwritten", "virtual"):
    case("inspect", "a.h5", files={"a.h5": f"refused-{name}.h5"})
case("inspect", "a.txt", files={"a.txt": b"just text"})
case("inspect", "a.txt", files={"a.txt": b""})
case("inspect", "nowhere.npy")
case("inspect", ".")
case("inspect", "a.npy", "b.npy", files={"a.npy": "matrix.npy"})
case("inspect")
case("inspect", "a", "b", "c")

# Models
for name in ("class", "custom", "huge", "lambda", "missing", "operation", "policy", "type", "units"):
    case("summary", "a.keras", files={"a.keras": f"refused-{name}.keras"})
case("summary", "a.keras", files={"a.keras": keras(weights=False)})
case("summary", "a.keras", files={"a.keras": keras(config=False)})
case("summary", "a.keras", files={"a.keras": keras(lambda text: text[:-40])})
case("summary", "a.keras", files={"a.keras": keras(lambda text: "[]")})
case("summary", "a.keras", files={"a.keras": keras(('"units": 1', '"units": 2'))})
case("summary", "a.keras", files={"a.keras": keras(('"units": 1', '"units": -1'))})
case("summary", "a.keras", files={"a.keras": keras(('"units": 1', '"units": "one"'))})
case("summary", "a.keras", files={"a.keras": keras(('"units": 1', '"units": 1000000000'))})
case("summary", "a.keras", files={"a.keras": keras(('"activation": "linear"', '"activation": "liner"'))})
case("summary", "a.keras", files={"a.keras": keras(('"class_name": "Dense"', '"class_name": "Dens"'))})
case("summary", "a.keras", files={"a.keras": keras(('"use_bias": true', '"use_bias": 7'))})
case("summary", "a.keras", files={"a.keras": b"no zip file"})
case("summary", "a.keras", files={"a.keras": b""})
case("summary", "a.h5", files={"a.h5": "small.h5"})
case("summary", "nowhere.keras")
case("evaluate", "a.keras", "--data", "b.csv", files={"a.keras": keras(), "b.csv": b"1,2,3,4\n"})
case("evaluate", "a.keras", "--data", "b.csv", files={"a.keras": keras(), "b.csv": b"1,2,x\n"})
case("predict", "a.keras", "b.csv", files={"a.keras": keras(), "b.csv": b"1,2,3\n"})
case("predict", "a.keras", "-", files={"a.keras": keras()}, input="1,2\n3\n")
case("predict", "a.keras", "-", files={"a.keras": keras()}, input="1,nan\n")
case("predict", "a.keras", "mnits", files={"a.keras": keras()})
case("predict", "a.keras", "b.png", files={"a.keras": keras(), "b.png": "../images/birds/rgb.png"})
case("predict", "a.keras", "b.png", files={"a.keras": keras(), "b.png": (IMAGES / "birds/rgb.png").read_bytes()[:100]})
case("predict", "a.keras", "b.jpg", files={"a.keras": keras(), "b.jpg": (IMAGES / "dogs/grey.jpg").read_bytes()[:300]})
case("predict", "a.keras", "pictures", files={"a.keras": keras(), "pictures/a.gif": b"GIF89a"})
case("predict", "a.keras", "pictures", files={"a.keras": keras(), "pictures/a.txt": b"text"})
case("predict")
case(*train, "pictures", files={"pictures/a/a.jpg": b"no picture"})
case(*train, "pictures", files={"pictures/a/readme.md": b"no picture"})
case(*train, "pictures", "--image-size", "64", files={"pictures/a/readme.md": b"no picture"})
case("train", "--start", "a.keras", files={"a.keras": keras(('"class_name": "Dense"', '"class_name": "Dens"'))})
case("train", "--start", "a.keras", "--data", "b.csv", files={"a.keras": keras(), "b.csv": b"1,2,3,4\n5,6,7,8\n"})
case("train", "--start", "a.keras", "--activation", "relu", files={"a.keras": keras()})

# What is written
case("train", "--epochs", "1", "--output", "a.txt")
case("train", "--epochs", "1", "--output", "nowhere/a.keras")
case("train", "--epochs", "1", "--report", "nowhere/a.html")
case("train", "--epochs", "1", "--csv-log", "nowhere/a.csv")
case("train", "--epochs", "1", "--tensorboard", "a.txt", files={"a.txt": b"a file"})
case("train", "--epochs", "1", "--checkpoint", "a.txt", files={"a.txt": b"a file"})
case("train", "--resume")
case("train", "--checkpoint-steps", "3")
case("train", "--epochs", "1", "--checkpoint", "run", files={"run/training.safetensors": b"anything"})
case("train", "--epochs", "1", "--checkpoint", "run", "--resume", files={"run/training.safetensors": b"anything"})
case("train", "--epochs", "1", "--checkpoint", "run", "--resume", files={"run/training.safetensors": "tensors.safetensors"})
case(
    "train", "--epochs", "1", "--checkpoint", "run", "--resume",
    files={"run/training.safetensors": (fixture.FOLDER.parent.parent / "Fuzz/corpus/checkpoint/training.safetensors").read_bytes()},
)
case("convert", "a.npz", "a.npy", files={"a.npz": "tensors.npz"})
case("convert", "a.npz", "a.keras", files={"a.npz": "tensors.npz"})
case("convert", "a.npz", "a.xyz", files={"a.npz": "tensors.npz"})
case("convert", "a.keras", "a.h5", files={"a.keras": keras()})
case("convert", "a.keras", "nowhere/a.npz", files={"a.keras": keras()})
case("convert", "a.keras", "a.npz", "--model", "b.keras", files={"a.keras": "tensors.npz", "b.keras": keras()})
case("convert", "a.npz", "b.npz", "--model", "b.keras", files={"a.npz": "tensors.npz", "b.keras": keras()})
case("convert", "a.npz")

# Explaining, profiling
case("explain", "--sample", "1,x")
case("explain", "--sample", "1,2,3", "a.keras", files={"a.keras": keras()})
case("explain", "--target", "")
case("explain", "--hidden", "2,,3")
case("explain", "--learning-rate", "-1")
case("explain", "--html", "nowhere/a.html")
case("explain", "a.keras", files={"a.keras": "functional-several.keras"})
case("explain", "nowhere.keras")
case("profile", "--runs", "0")
case("profile", "a.keras", "--data", "b.csv", files={"a.keras": keras(), "b.csv": b"1,2,3,4\n"})
case("completions", "fish")
case("doctor", "extra")
case("help", "trian")
case("summary", "--data", "a.csv", files={"a.csv": b"x,y\n1,z\n"})

program = str(pathlib.Path(sys.argv[1]).resolve())
result = fixture.Fixture("bad_input")
for entry in cases:
    with tempfile.TemporaryDirectory() as folder:
        stored = {}
        for name, data in entry["files"].items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, str):
                stored[name] = {"file": data}
                data = known(data)
            else:
                stored[name] = {"base64": base64.b64encode(data).decode()}
            path.write_bytes(data)
        run = subprocess.run(
            [program, *entry["arguments"]], input=entry["input"].encode(), capture_output=True, cwd=folder, timeout=20
        )
        message = run.stderr.decode()
        print(entry["arguments"], run.returncode, message, run.stdout.decode()[:100] and "OUTPUT", sep=" | ", end="\n" if run.stdout else "")
        result.add(arguments=entry["arguments"], files=stored, input=entry["input"], status=run.returncode, errors=message)
result.write()
