"""Files that Keras 3.0.5 wrote, one for each class of layers that it can run, and what their models answer:
files/keras-3.0.5.zip.

Takes the folder of a run of `BACKPROP_INTEROP=FOLDER scripts/test --interop`, in which Keras 3.0.5 made them.
"""

import json
import pathlib
import sys
import zipfile

folder = pathlib.Path(sys.argv[1])
done = json.loads((folder / "done-3.0.5.json").read_text())
smallest = {}
for name in done["models"]["keras"]:
    facts = (folder / f"keras-3.0.5-{name}.json").read_text()
    kind = json.loads(facts)["class"]
    size = len(facts)
    if kind not in smallest or size < smallest[kind][0]:
        smallest[kind] = (size, name)
path = pathlib.Path(__file__).resolve().parent.parent / "files" / "keras-3.0.5.zip"
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for kind, (_, name) in sorted(smallest.items()):
        for ending in ("keras", "json"):
            # A date of its own would make each archive another.
            member = zipfile.ZipInfo(f"{kind}.{ending}", (2024, 2, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, (folder / f"keras-3.0.5-{name}.{ending}").read_bytes())
print(f"{path.name}: {len(smallest)} classes, {path.stat().st_size / 1024:.0f} kB")
