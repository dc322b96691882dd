"""archives.py OUT FORM: writes one image as a tool keeps it, for a test, without any container tool.

OUT is a directory or a tar, as the form is. The image is the same in all forms."""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

IMAGE = "application/vnd.oci.image."


def tar(entries, link=tarfile.SYMTYPE, end=True):
    """Entries are (name, content); content is None for a directory, a str for a link's target."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = 0o755, 1000000000
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = link, content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
        length = archive.offset
    return data.getvalue() if end else data.getvalue()[:length]


LOWER = [("bin", None), ("bin/sh", b"#!shell\n"), ("etc", None), ("etc/release", b"lower")]
UPPER = [("etc/release", b"upper"), ("etc/.wh.gone", b"")]
OTHER = [("bin", None), ("bin/sh", b"#!another\n")]
LAYERS = [tar(LOWER), tar(UPPER)]


def hexed(content):
    return hashlib.sha256(content).hexdigest()


def config(layers=LAYERS, architecture="amd64", **more):
    digests = ["sha256:" + hexed(layer) for layer in layers]
    rootfs = {"type": "layers", "diff_ids": digests}
    run = {"Env": ["A=b"]}
    return {"architecture": architecture, "os": "linux", "config": run, "rootfs": rootfs, **more}


class Layout(dict):
    """The files of an OCI layout by name."""

    def blob(self, content, media):
        self["blobs/sha256/" + hexed(content)] = content
        return {"mediaType": media, "digest": "sha256:" + hexed(content), "size": len(content)}

    def document(self, content, media):
        return self.blob(json.dumps(content).encode(), media)

    def manifest(self, layers=LAYERS, layer_media=IMAGE + "layer.v1.tar+gzip", pack=gzip.compress, settings=None, **more):
        described = self.document(settings or config(layers), IMAGE + "config.v1+json")
        listed = [self.blob(pack(layer), layer_media) for layer in layers]
        return {"schemaVersion": 2, "config": described, "layers": listed, **more}

    def image(self, *arguments, **named):
        return self.document(self.manifest(*arguments, **named), IMAGE + "manifest.v1+json")

    def index(self, *described):
        self["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        self["index.json"] = json.dumps({"schemaVersion": 2, "manifests": described}).encode()
        return self


def named(described, name, **platform):
    tag = name.rpartition(":")[2]
    notes = {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": "docker.io/library/" + name}
    return {**described, "annotations": notes, **({"platform": {"os": "linux", **platform}} if platform else {})}


def statement(layout, media):
    return layout.image([b"{}"], media, pack=lambda layer: layer)


def saved(configured, layers, tags=("x:1",)):
    return json.dumps([{"Config": configured, "RepoTags": list(tags), "Layers": layers}]).encode()


def plain():
    layout = Layout()
    return layout.index(layout.image())


def two_tags():
    layout = Layout()
    image = layout.image()
    return layout.index(named(image, "x:latest"), named(image, "x:1"))


def docker25(wrong):
    """Its list was good; its index had images without a tag left out, or layers out of order."""
    layout = Layout()
    good = layout.manifest(pack=bytes)
    order = [layer["digest"].replace("sha256:", "blobs/sha256/") for layer in good["layers"]]
    good["layers"].reverse()
    bad = layout.document(good, IMAGE + "manifest.v1+json")
    layout.index(*([named(bad, "x:1")] if wrong == "order" else []))
    layout["manifest.json"] = saved("blobs/sha256/" + hexed(json.dumps(config()).encode()), order)
    return layout


def docker29():
    """Of the platforms that its index lists one is there, and a statement of how it was built."""
    layout = Layout()
    platform = {"os": "linux", "architecture": "amd64"}
    gone = {"digest": "sha256:" + "0" * 64, "size": 1, "platform": {"os": "linux", "architecture": "arm64"}}
    gone2 = {"digest": "sha256:" + "1" * 64, "size": 1, "platform": platform}
    built = statement(layout, "application/vnd.in-toto+json")
    built["platform"] = {"os": "unknown", "architecture": "unknown"}
    listed = [gone, gone2, {**layout.image(), "platform": platform}, built]
    inner = layout.document({"schemaVersion": 2, "manifests": listed}, IMAGE + "index.v1+json")
    return layout.index(named(inner, "x:latest"), named(inner, "x:1"))


def cosigned():
    layout = Layout()
    image = {**layout.image(), "annotations": {"kind": "dev.cosignproject.cosign/image"}}
    signed = {
        **statement(layout, "application/vnd.dev.cosign.simplesigning.v1+json"),
        "annotations": {"kind": "dev.cosignproject.cosign/sigs"},
    }
    attested = {
        **statement(layout, "application/vnd.dsse.envelope.v1+json"),
        "annotations": {"kind": "dev.cosignproject.cosign/atts"},
    }
    kept = layout.manifest([b"{}"], "application/octet-stream", artifactType="application/spdx")
    return layout.index(image, signed, attested, layout.document(kept, IMAGE + "manifest.v1+json"))


def variants():
    layout = Layout()
    other = layout.image([tar(OTHER)])
    third = layout.image([tar(OTHER + UPPER)])
    return layout.index(
        named(third, "x:1", architecture="amd64", variant="v3"),
        named(layout.image(), "x:1", architecture="amd64"),
        named(other, "x:1", architecture="amd64", variant="v2"),
    )


def several():
    layout = Layout()
    other = config([tar(OTHER)], "arm64")
    return layout.index(
        named(layout.image(), "x:1"), named(layout.image([tar(OTHER)]), "y:2"), named(layout.image([tar(OTHER)], settings=other), "x:1")
    )


def jib():
    files = {hexed(gzip.compress(layer, mtime=0)) + ".tar.gz": gzip.compress(layer, mtime=0) for layer in LAYERS}
    return {**files, "config.json": json.dumps(config()).encode(), "manifest.json": saved("config.json", list(files))}


def crane():
    """And kaniko."""
    layers = {hexed(layer) + ".tar.gz": gzip.compress(layer) for layer in LAYERS}
    text = json.dumps(config()).encode()
    name = "sha256:" + hexed(text)
    return {name: text, **layers, "manifest.json": saved(name, list(layers))}


def bazel():
    layers = {"layers/%d.tar.gz" % n: gzip.compress(layer) for n, layer in enumerate(LAYERS)}
    return {**layers, "config": json.dumps(config()).encode(), "manifest.json": saved("config", list(layers))}


def directories(config_name, extra, layers=LAYERS):
    files = {".": None, **extra}
    names = []
    for n, layer in enumerate(layers):
        name = hexed(b"%d" % n)
        files[name] = None
        files.update({name + "/VERSION": b"1.0", name + "/json": b"{}", name + "/layer.tar": layer})
        names.append("./" + name + "/layer.tar")
    text = json.dumps(config(layers)).encode()
    return {**files, config_name: text, "manifest.json": saved(config_name, names)}


def nix():
    return directories(hexed(b"nix") + ".json", {})


def links():
    """Layers and configuration are links at the top, and some of them to links."""
    files = {"a%d.tar" % n: "./L/%d" % n for n in range(len(LAYERS))}
    files["0.json"] = "L/up/config"
    order = list(files)[: len(LAYERS)]
    files.update({"L": None, "L/up": None, "L/up/config": "../../real"})
    files.update({"L/%d" % n: layer for n, layer in enumerate(LAYERS)})
    return {**files, "real": json.dumps(config()).encode(), "manifest.json": saved("0.json", order)}


def docker19():
    files = {}
    below = {}
    for n, layer in enumerate(LAYERS):
        name = hexed(b"%d" % n)
        about = {"id": name, "architecture": "amd64", "os": "linux", "config": {"Env": ["A=b"]}, **below}
        files.update({name: None, name + "/VERSION": b"1.0", name + "/json": json.dumps(about).encode()})
        files[name + "/layer.tar"] = layer
        below = {"parent": name}
    return {**files, "repositories": json.dumps({"x": {"1": below["parent"], "latest": below["parent"]}}).encode()}


def skopeo(everything):
    layout = Layout()
    manifest = layout.manifest()
    files = {name.rpartition("/")[2]: content for name, content in layout.items()}
    files["version"] = b"Directory Transport Version: 1.1\n"
    files["manifest.json"] = json.dumps(manifest).encode()
    if everything:
        name = hexed(files["manifest.json"])
        files[name + ".manifest.json"] = files["manifest.json"]
        listed = [{"digest": "sha256:" + name, "size": 1, "platform": {"os": "linux", "architecture": "amd64"}}]
        files["manifest.json"] = json.dumps({"schemaVersion": 2, "manifests": listed}).encode()
    return files


def unmarked():
    """Layers without end mark, without the padding of their last file, and of no bytes."""
    return directories("c.json", {}, [tar(LOWER, end=False), tar(UPPER[::-1], end=False)[: 5 - 512], b""])


def unmarked_unproved():
    files = docker19()
    files[hexed(b"0") + "/layer.tar"] = tar(LOWER, end=False)
    return files


FORMS = {
    "plain": plain,
    "two-tags": two_tags,
    "docker25-untagged": lambda: docker25("none"),
    "docker25-order": lambda: docker25("order"),
    "docker29": docker29,
    "cosigned": cosigned,
    "variants": variants,
    "several": several,
    "jib": jib,
    "crane": crane,
    "bazel": bazel,
    "nix": nix,
    "links": links,
    "docker19": docker19,
    "skopeo-dir": lambda: skopeo(False),
    "skopeo-dir-all": lambda: skopeo(True),
    "unmarked": unmarked,
    "unmarked-unproved": unmarked_unproved,
}


def main(out, form):
    files = FORMS[form]()
    if out.endswith(".tar"):
        with open(out, "wb") as file:
            file.write(tar(files.items()))
        return
    for name, content in files.items():
        path = os.path.join(out, name)
        os.makedirs(path if content is None else os.path.dirname(path), exist_ok=True)
        if isinstance(content, str):
            os.symlink(content, path)
        elif content is not None:
            with open(path, "wb") as file:
                file.write(content)


main(*sys.argv[1:])
