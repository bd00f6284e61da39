"""A zip file as Python writes it, deflated: Tests/Fixtures/files/deflated.zip."""

import io
import pathlib
import zipfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "files"
FOLDER.mkdir(exist_ok=True)


class Pipe(io.RawIOBase):
    """Can't seek: so zipfile writes a member's sizes behind it."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


with open(FOLDER / "deflated.zip", "wb") as file:
    with zipfile.ZipFile(Pipe(file), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("streamed"), b"abc" * 1000, zipfile.ZIP_DEFLATED)
    # The second member is appended to a file that can seek.
with zipfile.ZipFile(FOLDER / "deflated.zip", "a", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(zipfile.ZipInfo("text"), b"abc" * 1000, zipfile.ZIP_DEFLATED)
