"""A real Orthanc server on this machine, for one run of the tests."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import requests

PLUGIN_FOLDERS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc/plugins"))
USER, PASSWORD = "reader", "p@ss:word"


def why_not_installed() -> str | None:
    if executable() is None:
        return "Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)"
    return None if plugin() else "Orthanc has no DICOMweb plugin (Debian: orthanc-dicomweb)"


def executable() -> str | None:
    return shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def plugin() -> Path | None:
    paths = [folder / "libOrthancDicomWeb.so" for folder in PLUGIN_FOLDERS]
    return next((path for path in paths if path.exists()), None)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Orthanc:
    http_port: int
    dicom_port: int

    @property
    def web(self) -> str:
        return f"dicomweb+http://reader:p%40ss%3Aword@127.0.0.1:{self.http_port}/dicom-web"

    @property
    def dimse(self) -> str:
        return f"dimse://ARCHIVE@127.0.0.1:{self.dicom_port}"

    def rest(self, method: str, path: str, **options: object) -> requests.Response:
        answer = requests.request(
            method, f"http://127.0.0.1:{self.http_port}{path}", auth=(USER, PASSWORD), timeout=10, **options
        )
        answer.raise_for_status()
        return answer

    def store(self, files: Iterable[Path]) -> None:
        for file in files:
            self.rest("POST", "/instances", data=file.read_bytes())

    def is_ready(self) -> bool:
        try:
            return self.rest("GET", "/system").ok
        except requests.RequestException:
            return False


def start(folder: Path) -> tuple[Orthanc, subprocess.Popen]:
    server = Orthanc(free_port(), free_port())
    configuration = {
        "Name": "Archive",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(plugin())],
        "HttpPort": server.http_port,
        "DicomPort": server.dicom_port,
        "DicomAet": "ARCHIVE",
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen([executable(), str(path)], stdout=log, stderr=log, cwd=folder)
    until = time.monotonic() + 30
    while not server.is_ready():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            process.wait()
            raise RuntimeError((folder / "log.txt").read_text()[-2000:])
        time.sleep(0.1)
    return server, process
