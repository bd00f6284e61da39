"""Small pictures of every kind in Tests/Fixtures/images, and what TensorFlow and Keras read from them: images.json."""

import contextlib
import io
import pathlib
import shutil
import struct
import tempfile
import zlib

import fixture
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

FOLDER = fixture.FOLDER / "images"
shutil.rmtree(FOLDER, ignore_errors=True)
random = np.random.default_rng(7)

ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def packed(rows, depth):
    """Rows of samples as PNG holds them, each with filter type 0."""
    out = b""
    for row in rows:
        row = np.asarray(row).reshape(-1)
        if depth == 16:
            line = row.astype(">u2").tobytes()
        elif depth == 8:
            line = row.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            line = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        out += b"\0" + line
    return out


def png(samples, kind, depth, interlaced=False, extra=b""):
    """A PNG file of samples [height, width, channels]; Pillow writes neither interlaced nor 16-bit colour ones."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = samples.shape[:2]
    if interlaced:
        passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7]
        data = b"".join(packed(p, depth) for p in passes if p.size)
    else:
        data = packed(samples, depth)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    chunks = b"".join(chunk(name, content) for name, content in extra) if extra else b""
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunks + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")
    )


def samples(height, width, channels, depth):
    return random.integers(0, 1 << depth, (height, width, channels))


def smooth(height, width, channels):
    """What JPEG is for."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 120 * np.sin(x / (3 + c) + c) * np.cos(y / (4 - c / 2)) for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def jpeg(array, mode, **options):
    file = io.BytesIO()
    Image.fromarray(array if array.shape[2] > 1 else array[:, :, 0], mode).save(file, "JPEG", **options)
    return file.getvalue()


palette = random.integers(0, 256, (16, 3)).astype(np.uint8).tobytes()
PLTE, TRNS = (b"PLTE", palette), b"tRNS"
colours = samples(6, 9, 3, 8)
files = {
    "birds/rgb.png": png(colours, 2, 8),
    "birds/rgba.png": png(samples(5, 7, 4, 8), 6, 8),
    "birds/grey.png": png(samples(7, 5, 1, 8), 0, 8),
    "birds/grey-alpha.png": png(samples(5, 6, 2, 8), 4, 8),
    "birds/palette.png": png(samples(6, 7, 1, 4), 3, 4, extra=[PLTE]),
    "birds/palette-transparent.png": png(samples(6, 7, 1, 4), 3, 8, extra=[PLTE, (TRNS, bytes([0, 100, 200]))]),
    "cats/grey1.png": png(samples(9, 11, 1, 1), 0, 1),
    "cats/grey2.png": png(samples(4, 9, 1, 2), 0, 2),
    "cats/grey4.png": png(samples(5, 5, 1, 4), 0, 4),
    "cats/grey16.png": png(samples(5, 4, 1, 16), 0, 16),
    "cats/rgb16.png": png(samples(4, 5, 3, 16), 2, 16),
    "cats/rgba16.png": png(samples(3, 5, 4, 16), 6, 16),
    "cats/rgb-transparent.png": png(colours, 2, 8, extra=[(TRNS, struct.pack(">HHH", *colours[2, 3]))]),
    "cats/interlaced.png": png(samples(11, 13, 3, 8), 2, 8, interlaced=True),
    "cats/Interlaced-palette.PNG": png(samples(9, 9, 1, 2), 3, 2, interlaced=True, extra=[PLTE]),
    "dogs/baseline.jpg": jpeg(smooth(21, 34, 3), "RGB", quality=85),
    "dogs/full.jpeg": jpeg(smooth(17, 9, 3), "RGB", quality=95, subsampling=0),
    "dogs/grey.jpg": jpeg(smooth(18, 20, 1), "L", quality=90),
    "dogs/progressive.jpg": jpeg(smooth(25, 19, 3), "RGB", quality=85, progressive=True),
    "dogs/cmyk.jpg": jpeg(smooth(16, 24, 4), "CMYK", quality=90),
    "dogs/deeper/restarts.jpg": jpeg(smooth(24, 16, 3), "RGB", quality=80, restart_marker_blocks=1),
}
for name, data in files.items():
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
(FOLDER / "notes.txt").write_text("No picture: passed over.\n")

result = fixture.Fixture("images")
for name in sorted(files):
    decoded = {}
    for mode, channels in (("grayscale", 1), ("rgb", 3), ("rgba", 4)):
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            image = tf.io.decode_image(files[name], channels=channels, expand_animations=False)
            image = image.numpy()
            if mode == "rgba" and Image.open(io.BytesIO(files[name])).format == "PNG" and files[name][24] < 8:
                # TensorFlow makes alpha 2^bits - 1, which is next to transparent; here it is Pillow's.
                image = np.asarray(Image.open(io.BytesIO(files[name])).convert("RGBA"))
            decoded[mode] = fixture.tensor(image)
    result.add(kind="decoded", file=name, decoded=decoded)


def relative(paths):
    return [str(pathlib.Path(path).relative_to(FOLDER)) for path in paths]


def dataset(part=None, **options):
    """`part`: which of the two of the subset "both"."""
    data = keras.utils.image_dataset_from_directory(FOLDER, verbose=False, **options)
    if part is not None:
        data = data[part]
        options["part"] = part
    options["image_size"] = list(options.get("image_size", (256, 256)))
    case = {"kind": "dataset", "options": options, "class_names": data.class_names, "files": relative(data.file_paths)}
    if not options.get("shuffle", True):
        batches = list(data)
        if options.get("label_mode", "int"):
            case["images"] = [fixture.tensor(x.numpy()) for x, _ in batches]
            case["labels"] = [fixture.tensor(y.numpy()) for _, y in batches]
        else:
            case["images"] = [fixture.tensor(x.numpy()) for x in batches]
    result.add(**case)


plain = {"shuffle": False, "batch_size": 8}
dataset(**plain, image_size=(5, 7))
dataset(**plain, image_size=(16, 12), label_mode="categorical", color_mode="grayscale", class_names=["birds", "cats"])
dataset(**plain, image_size=(4, 9), crop_to_aspect_ratio=True, label_mode=None)
dataset(**plain, image_size=(9, 4), pad_to_aspect_ratio=True)
dataset(**plain, image_size=(6, 6), interpolation="nearest")
dataset(**plain, image_size=(2, 2), class_names=["dogs", "birds"], label_mode="binary")
dataset(**plain, image_size=(2, 2), validation_split=0.3, subset="training")
dataset(**plain, image_size=(2, 2), validation_split=0.3, subset="validation")
for seed in (0, 1, 1234567):
    dataset(image_size=(2, 2), seed=seed)
    dataset(image_size=(2, 2), seed=seed, validation_split=0.25, subset="training")
    dataset(image_size=(2, 2), seed=seed, validation_split=0.25, subset="validation")
# Of PNG files alone: a JPEG's pixel may be off by one, which the average of many spreads over all of them.
exact = {**plain, "class_names": ["birds", "cats"]}
for interpolation in ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"):
    for size in ((5, 7), (13, 4), (2, 3)):
        dataset(**exact, image_size=size, interpolation=interpolation)
for interpolation in ("area", "lanczos3"):
    dataset(**exact, image_size=(7, 5), interpolation=interpolation, crop_to_aspect_ratio=True)
    dataset(**exact, image_size=(7, 5), interpolation=interpolation, pad_to_aspect_ratio=True)
for part in (0, 1):
    dataset(part, **plain, image_size=(2, 2), validation_split=0.3, subset="both")
    dataset(part, image_size=(2, 2), seed=3, validation_split=0.25, subset="both")
result.write()
