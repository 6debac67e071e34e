#!/usr/bin/python3
"""Writes the example guests' initramfs: busybox, /init and the first device nodes.

Usage: mkinitrd.py OUT BUSYBOX INIT [FILE...]     (more files come into /lib)

The archive is "newc" cpio (Linux: Documentation/driver-api/early-userspace/
buffer-format.rst), written here rather than by cpio so that device nodes need
no root and the same inputs give the same bytes.
"""
import os
import stat
import sys


class Archive:
    def __init__(self):
        self.data = bytearray()
        self.inode = 0

    def add(self, name, mode, content=b"", device=(0, 0)):
        self.inode += 1
        nlink = 2 if stat.S_ISDIR(mode) else 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, nlink, 0, len(content), 0, 0,
                  device[0], device[1], len(encoded), 0)
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields) + encoded
        self.pad(4)
        self.data += content
        self.pad(4)

    def pad(self, unit):
        self.data += bytes(-len(self.data) % unit)

    def finish(self):
        self.inode = -1  # the trailer's is 0
        self.add("TRAILER!!!", 0)
        self.pad(512)
        return bytes(self.data)


def main():
    out, busybox, init, *more = sys.argv[1:]
    archive = Archive()
    for name in ("bin", "dev", "lib", "proc", "sbin", "sys", "tmp", "root", "usr", "usr/bin",
                 "usr/sbin"):
        archive.add(name, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    with open(busybox, "rb") as f:
        archive.add("bin/busybox", stat.S_IFREG | 0o755, f.read())
    with open(init, "rb") as f:
        archive.add("init", stat.S_IFREG | 0o755, f.read())
    for path in more:
        with open(path, "rb") as f:
            archive.add("lib/" + os.path.basename(path), stat.S_IFREG | 0o644, f.read())
    with open(out + ".new", "wb") as f:
        f.write(archive.finish())
    os.replace(out + ".new", out)


if __name__ == "__main__":
    main()
