"""Read, verify and write model bundles; the only code that touches a bundle's files."""

import atexit
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from inspector import atomic
from inspector.errors import BundleError
from inspector.manifest import FORMAT_VERSION, Calibration, FileEntry, Manifest

MANIFEST = "manifest.json"
_MANIFEST_LIMIT = 16 * 2**20
_ARCHIVE_MEMBERS = 1000


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
    """Load a bundle folder or `.tar` and verify every file it lists; files it does not list are let be.

    Raises:
        BundleError: missing, unreadable, of another format version, or any file differs from its checksum;
            the message names the file.
    """
    try:
        folder = _extract(path) if path.is_file() else path
        manifest_path = folder / MANIFEST
        if manifest_path.stat().st_size > _MANIFEST_LIMIT:
            raise BundleError(f"{manifest_path} is larger than {_MANIFEST_LIMIT} bytes: not a bundle's manifest")
        raw = manifest_path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(f"no bundle at {path}: {MANIFEST} is missing; make one with 'inandout-train build'") from None
    except OSError as error:
        raise BundleError(f"cannot read bundle {path}: {error.strerror}") from error
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
        destination: the bundle's folder: absent, empty, or a bundle, whose every file is then replaced.
        manifest: lists every file of `files` with its checksum.
        files: file name in the bundle -> where to copy it from.

    Raises:
        BundleError: the manifest and `files` disagree, `destination` is something else than a bundle, or the disk
            refuses; nothing is left half-written.
    """
    listed = {entry.path for entry in [*manifest.models, *manifest.files]}
    if listed != set(files):
        raise BundleError(f"manifest and files of {destination} differ: {sorted(listed ^ set(files))}")
    staging: Path | None = None
    try:
        place = destination.resolve()  # the bundle a link points to is replaced, not the link
        if place.exists() and not (place / MANIFEST).is_file() and not (place.is_dir() and not any(place.iterdir())):
            raise BundleError(f"{destination} is not a bundle and would be deleted: choose another place")
        place.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        staging.chmod(0o755)
        for name, origin in files.items():
            shutil.copyfile(origin, staging / name)
            atomic.sync(staging / name)
        _write_manifest(staging, manifest)
        load(staging)
        atomic.swap_in(staging, place)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in circles
        raise BundleError(f"cannot write bundle {destination}: {getattr(error, 'strerror', None) or error}") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return load(destination)


def recalibrate(path: Path, calibration: Calibration) -> Bundle:
    """Put a new operating point in force; the old one moves to the history. Atomic.

    Raises:
        BundleError: `path` is not a bundle folder, or cannot be written; the old bundle is then untouched.
    """
    old = load(path).manifest
    if path.is_file():
        raise BundleError(f"{path} is an archive and cannot be rewritten in place: extract it, then calibrate")
    manifest = old.model_copy(update={"calibration": calibration, "history": [*old.history, old.calibration]})
    try:
        _write_manifest(path, manifest)
    except OSError as error:
        raise BundleError(f"cannot write {path / MANIFEST}: {error.strerror}") from error
    return load(path)


def _parse(raw: bytes, where: Path) -> Manifest:
    try:
        document = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
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


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _verify(folder: Path, entry: FileEntry) -> None:
    path = folder / entry.path
    try:
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"bundle file {path} is missing or not a regular file: copy the bundle again")
        same = path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256
    except OSError as error:
        raise BundleError(f"cannot read bundle file {path}: {error.strerror}") from error
    if not same:
        raise BundleError(f"bundle file {path} does not match its checksum: it is damaged, copy it again")


def _extract(path: Path) -> Path:
    """Unpack an uncompressed `.tar` into a folder that is deleted at exit.

    Regular files at its top level or in one folder are all it may hold. Without compression and holes they cannot be
    larger than the archive itself.
    """
    folder = Path(tempfile.mkdtemp(prefix="inandout-bundle-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with tarfile.open(path, "r:") as archive:
            for count, member in enumerate(archive):
                name = PurePosixPath(member.name)
                if member.isdir() and len(name.parts) <= 1:
                    continue
                inside = len(name.parts) in (1, 2) and ".." not in name.parts and not name.is_absolute()
                if not member.isreg() or member.issparse() or not inside or count >= _ARCHIVE_MEMBERS:
                    raise BundleError(f"{path} holds {member.name!r}, which does not belong in a bundle")
                origin = archive.extractfile(member)
                assert origin is not None  # a regular file
                with origin, (folder / name.name).open("xb") as target:
                    shutil.copyfileobj(origin, target)
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"{path} is not a bundle: a folder or an uncompressed .tar is wanted ({error})") from error
    except OSError as error:
        raise BundleError(f"cannot unpack {path} into {folder}: {error.strerror or error}") from error
    return folder


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    with atomic.replacing(folder / MANIFEST) as handle:
        handle.write(manifest.model_dump_json(indent=2) + "\n")
