"""Images whose every byte is known: busybox, and files under /data that a seed makes.

A file's bytes follow from the image's id and the file's number alone, so what a step prints of any image, in any version,
can be compared without asking anybody. The id is in /etc/os-release.
"""

import hashlib
import os
import random
import shutil

import cluster

APPLETS = "sh cat md5sum sleep ls true id".split()
MOVED = 1_700_000_000  # of all files: the same tree is the same image


class Image:
    """An image's content: `files` files of `size` bytes."""

    def __init__(self, ident, files, size):
        self.ident = ident
        self.files = files
        self.size = size
        self._sums = {}

    def data(self, number):
        return random.Random(f"{self.ident}/{number}").randbytes(self.size)

    def sum(self, number):
        """The MD5 of a file, in hex."""
        if number not in self._sums:
            self._sums[number] = hashlib.md5(self.data(number)).hexdigest()
        return self._sums[number]

    def write(self, tree):
        shutil.rmtree(tree, ignore_errors=True)
        for folder in ("bin", "etc", "data"):
            os.makedirs(os.path.join(tree, folder))
        shutil.copy("/bin/busybox", os.path.join(tree, "bin/busybox"))
        for applet in APPLETS:
            os.symlink("busybox", os.path.join(tree, "bin", applet))
        with open(os.path.join(tree, "etc/os-release"), "w") as file:
            file.write(f"ID={self.ident}\n")
        for number in range(self.files):
            with open(os.path.join(tree, "data", str(number)), "wb") as file:
                file.write(self.data(number))
        for folder, folders, files in os.walk(tree, topdown=False):
            for name in [*folders, *files, ""]:
                os.utime(os.path.join(folder, name), (MOVED, MOVED), follow_symlinks=False)


def small(ident):
    return Image(ident, 3, 300_000)


def large(ident):
    """Takes long enough to arrive that faults meet it on its way."""
    return Image(ident, 60, 1_000_000)


class Library:
    """All images of the campaign. `expected` is by the id that a step prints."""

    def __init__(self, scratch):
        self.scratch = os.path.join(scratch, "campaign")
        self.by_ident = {}

    def add(self, image):
        self.by_ident[image.ident] = image
        return image

    def tree(self, image):
        """Writes the tree, for all to read; its path for users."""
        os.makedirs(self.scratch, exist_ok=True)
        path = os.path.join(self.scratch, image.ident)
        image.write(path)
        return f"/scratch/campaign/{image.ident}"

    def drop(self, image):
        shutil.rmtree(os.path.join(self.scratch, image.ident), ignore_errors=True)

    def push(self, user, image, name):
        self.add(image)
        cluster.as_user(user, f"layercake push {self.tree(image)} {name}").text()
        self.drop(image)

    def wrong(self, ident, number, digest):
        """Whether that is not the MD5 of this file in that image."""
        image = self.by_ident.get(ident)
        return image is None or number >= image.files or image.sum(number) != digest
