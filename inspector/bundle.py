"""Read, verify and write model bundles; the only code that touches a bundle's files."""

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from inspector.errors import BundleError
from inspector.manifest import FORMAT_VERSION, Calibration, FileEntry, Manifest

MANIFEST = "manifest.json"
_MANIFEST_LIMIT = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: the folder or `.tar` it was loaded from.
        folder: where its files lie (an extracted copy for a `.tar`).
        manifest: the validated manifest.
        identity: `name@first 12 hex digits of the manifest's sha256`.
    """

    path: Path
    folder: Path
    manifest: Manifest
    identity: str

    def model_path(self, precision: str = "fp32") -> Path:
        """The model file of one rung; raises `BundleError` when the bundle has no such rung."""
        for entry in self.manifest.models:
            if entry.precision == precision:
                return self.folder / entry.path
        raise BundleError(f"bundle {self.path} has no {precision} model: export one, or ask for another rung")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def load(path: Path) -> Bundle:
    """Load a bundle folder or `.tar` and verify every file it lists.

    Raises:
        BundleError: missing, unreadable, of another format version, or any file differs from its checksum;
            the message names the file.
    """
    folder = _extract(path) if path.is_file() else path
    manifest_path = folder / MANIFEST
    try:
        if manifest_path.stat().st_size > _MANIFEST_LIMIT:
            raise BundleError(f"{manifest_path} is larger than {_MANIFEST_LIMIT} bytes: not a bundle's manifest")
        raw = manifest_path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(f"no bundle at {path}: {MANIFEST} is missing; make one with 'inandout-train build'") from None
    except OSError as error:
        raise BundleError(f"cannot read {manifest_path}: {error.strerror}") from error
    manifest = _parse(raw, manifest_path)
    for entry in [*manifest.models, *manifest.files]:
        _verify(folder, entry)
    return Bundle(path, folder, manifest, f"{manifest.name}@{hashlib.sha256(raw).hexdigest()[:12]}")


def describe(path: Path) -> FileEntry:
    """Checksum a file into a manifest entry named by its base name."""
    return FileEntry(path=path.name, sha256=sha256_of(path), bytes=path.stat().st_size)


def write(destination: Path, manifest: Manifest, files: Mapping[str, Path]) -> Bundle:
    """Write a new bundle folder atomically, replacing an older one at the same place.

    Args:
        destination: the bundle's folder.
        manifest: lists every file of `files` with its checksum.
        files: file name in the bundle -> where to copy it from.

    Raises:
        BundleError: the manifest and `files` disagree, or the disk refuses; nothing is left half-written.
    """
    listed = {entry.path for entry in [*manifest.models, *manifest.files]}
    if listed != set(files):
        raise BundleError(f"manifest and files of {destination} differ: {sorted(listed ^ set(files))}")
    staging: Path | None = None
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        staging.chmod(0o755)
        for name, origin in files.items():
            shutil.copyfile(origin, staging / name)
            _sync(staging / name)
        _write_text(staging / MANIFEST, _dump(manifest))
        load(staging)
        retired = destination.with_name(f".{destination.name}.retired")
        shutil.rmtree(retired, ignore_errors=True)
        if destination.exists():
            destination.rename(retired)
        staging.rename(destination)
        _sync(destination.parent)
        shutil.rmtree(retired, ignore_errors=True)
    except OSError as error:
        raise BundleError(f"cannot write bundle {destination}: {error.strerror or error}") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return load(destination)


def recalibrate(path: Path, calibration: Calibration) -> Bundle:
    """Put a new operating point in force; the old one moves to the history. Atomic.

    Raises:
        BundleError: `path` is not a bundle folder, or cannot be written; the old bundle is then untouched.
    """
    if path.is_file():
        raise BundleError(f"{path} is an archive and cannot be rewritten in place: extract it, then calibrate")
    bundle = load(path)
    old = bundle.manifest
    manifest = old.model_copy(update={"calibration": calibration, "history": [*old.history, old.calibration]})
    temporary = path / f".{MANIFEST}.{os.getpid()}"
    try:
        _write_text(temporary, _dump(manifest))
        temporary.replace(path / MANIFEST)
        _sync(path)
    except OSError as error:
        raise BundleError(f"cannot write {path / MANIFEST}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return load(path)


def _parse(raw: bytes, where: Path) -> Manifest:
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise BundleError(f"{where} is not JSON ({error}): the bundle is damaged, copy it again") from None
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{where} has format version {version!r}, this inandout reads {FORMAT_VERSION}: "
            "use the release that made it, or build the bundle again"
        )
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise BundleError(f"{where} is not a valid manifest: {problems}") from None


def _verify(folder: Path, entry: FileEntry) -> None:
    path = folder / entry.path
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"bundle file {path} is missing: copy the bundle again")
    try:
        same = path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256
    except OSError as error:
        raise BundleError(f"cannot read bundle file {path}: {error.strerror}") from error
    if not same:
        raise BundleError(f"bundle file {path} does not match its checksum: it is damaged, copy it again")


def _extract(path: Path) -> Path:
    """Unpack a `.tar` beside a content-addressed cache; plain files at its top level (or one folder) only."""
    import atexit

    folder = Path(tempfile.mkdtemp(prefix="inandout-bundle-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if member.isdir():
                    continue
                if not member.isfile() or len(name.parts) > 2 or ".." in name.parts or name.is_absolute():
                    raise BundleError(f"{path} holds {member.name!r}, which does not belong in a bundle")
                origin = archive.extractfile(member)
                assert origin is not None  # a regular file
                with origin, (folder / name.name).open("xb") as target:
                    shutil.copyfileobj(origin, target)
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"{path} is not a readable bundle archive: {error}") from error
    except OSError as error:
        raise BundleError(f"cannot unpack {path}: {error.strerror or error}") from error
    return folder


def _dump(manifest: Manifest) -> str:
    return manifest.model_dump_json(indent=2) + "\n"


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
