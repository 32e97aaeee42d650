"""A run on Dask.distributed: workers on this machine, or those of a scheduler that runs somewhere.

Each worker process loads the model once and holds two studies at most: one is segmented while the other is read or
written. What goes to another machine are the paths of the study's files and the identifiers that are needed to read
them; the names of tasks, which its logs and pages show, are keys.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import subprocess
import threading
import time
import uuid
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.batch.engine import LostStudy, StudyRunner, drained
from SegAnyPETLib.batch.outcome import StudyOutcome
from SegAnyPETLib.batch.run_folder import judge_study
from SegAnyPETLib.batch.run_log import NOTHING_TOLD
from SegAnyPETLib.errors import InputError, SetupError, WorkerError

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy

STUDIES_PER_WORKER = 2
CONNECT_S = 30.0
LOOK_S = 2.0  # between two looks at how many workers there are
MESSAGES_KEPT = 10  # by Dask, for its own logs; they hold whole studies, a quarter of a megabyte each
SEVERAL_CORES = 4  # that one worker uses; fewer leave torch waiting for its threads

_AT_ONCE = threading.BoundedSemaphore(STUDIES_PER_WORKER)  # of the worker process, whatever threads Dask gives it
# Of the worker process: folder and driver of a run -> whether it was asked to stop.
_CANCELLED: dict[tuple[str, str], threading.Event] = {}


class DaskEngine:
    """Sends studies to workers, a few at a time, and notices when one dies."""

    def __init__(
        self,
        run_one: StudyRunner,
        *,
        settings: BatchSettings,
        out: Path,
        client: Client,
        cluster: LocalCluster | None = None,
        dashboard: str = "",
    ) -> None:
        self.name = "Dask"
        self.dashboard = dashboard
        self._run_one, self._settings, self._out = run_one, settings, out.absolute()
        self._client, self._cluster = client, cluster
        self._token = uuid.uuid4().hex[:8]
        self._ended: queue.SimpleQueue[StudyOutcome | LostStudy] = queue.SimpleQueue()
        self._futures: dict[str, Future] = {}  # Dask forgets a task that nobody holds
        self._workers = 0
        self._looked_at = -LOOK_S

    @classmethod
    def on_this_machine(
        cls, run_one: StudyRunner, *, settings: BatchSettings, out: Path, workers: int | None = None
    ) -> DaskEngine:
        """Start worker processes: one for each GPU, or for every four cores.

        Raises:
            SetupError: Dask.distributed is not installed, or its workers cannot be started.
        """
        distributed = _distributed()
        import dask
        from distributed.system import MEMORY_LIMIT

        gpus = gpu_count() if settings.device in ("auto", "cuda") else 0
        count = workers or sensible_workers(os.cpu_count() or 1, gpus)
        threads = max(1, (os.cpu_count() or 1) // count)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        # Death is counted in the journal, study by study; Dask must not try again by itself.
        with dask.config.set(
            {"distributed.scheduler.allowed-failures": 0, "distributed.admin.low-level-log-length": MESSAGES_KEPT}
        ):
            try:
                cluster = distributed.LocalCluster(
                    n_workers=count,
                    threads_per_worker=STUDIES_PER_WORKER,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    memory_limit=MEMORY_LIMIT // count,
                    silence_logs=logging.CRITICAL,
                    env=dict.fromkeys(names, str(threads)),
                )
                client = distributed.Client(cluster, timeout=CONNECT_S)
            except (OSError, RuntimeError) as error:
                msg = f"Expected {count} worker processes; they did not start: {error}. Use --scheduler none."
                raise SetupError(msg) from error
        client.register_plugin(_plugin(gpus), name="seganypet")
        link = client.dashboard_link if find_spec("bokeh") is not None else ""
        return cls(run_one, settings=settings, out=out, client=client, cluster=cluster, dashboard=link or "")

    @classmethod
    def at(cls, address: str, run_one: StudyRunner, *, settings: BatchSettings, out: Path) -> DaskEngine:
        """Use the workers of a scheduler; they must see the same files under the same paths.

        Raises:
            SetupError: Dask.distributed is not installed.
            InputError: Nothing answers there.
        """
        distributed = _distributed()
        try:
            client = distributed.Client(address, timeout=CONNECT_S)
        except (OSError, ValueError) as error:
            msg = f"Expected a Dask scheduler at {address}; nothing answers. Start one with `dask scheduler`."
            raise InputError(msg) from error
        client.register_plugin(_plugin(0), name="seganypet")
        link = client.dashboard_link if client.run_on_scheduler(_has_pages) else ""
        engine = cls(run_one, settings=settings, out=out, client=client, dashboard=link or "")
        # Of a driver that died there may be studies on the way still: two must not write into one folder.
        client.run(cancel_others, str(engine._out), engine._token, on_error="ignore")
        return engine

    def capacity(self) -> int:
        """Two for each worker that is there now."""
        if time.monotonic() - self._looked_at > LOOK_S:
            self._looked_at = time.monotonic()
            self._require_scheduler()
            try:
                self._workers = len(self._client.nthreads())
            except OSError:  # no answer: Dask tries to reach the scheduler again before it gives up
                self._workers = 0
        return STUDIES_PER_WORKER * self._workers

    def submit(self, study: FoundStudy, *, must_redo: bool) -> None:
        """Send a study."""
        if self._cluster is None:
            study = _bare(study)
        future = self._client.submit(
            run_on_worker,
            self._run_one,
            study,
            settings=self._settings,
            out=self._out,
            token=self._token,
            must_redo=must_redo,
            key=f"study-{study.key}-{uuid.uuid4().hex[:8]}",
            pure=False,
        )
        self._futures[study.key] = future
        future.add_done_callback(lambda done: self._ended.put(_ending(done, study.key)))

    def collect(self, timeout_s: float) -> list[StudyOutcome | LostStudy]:
        """What has ended since the last call.

        Raises:
            WorkerError: The scheduler is gone.
        """
        ended = drained(self._ended, timeout_s)
        for item in ended:
            self._futures.pop(item.key, None)
        if not ended and self._futures:
            self._require_scheduler()
        return ended

    def drop(self) -> None:
        """Ask every worker to end the studies of this run before their next step."""
        self._client.run(cancel_run, str(self._out), self._token, on_error="ignore")

    def close(self) -> None:
        """Leave the scheduler; end the workers that were started here."""
        self._futures.clear()
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _require_scheduler(self) -> None:
        if self._client.status in ("closing", "closed"):
            msg = "Expected an answer of Dask's scheduler; it is gone. Start it again, and resume the run."
            raise WorkerError(msg)


def run_on_worker(
    run_one: StudyRunner, study: FoundStudy, *, settings: BatchSettings, out: Path, token: str, must_redo: bool
) -> StudyOutcome:
    """In a worker process: do one study, two at most at a time."""
    from distributed import get_worker

    with _AT_ONCE:
        cancel = _CANCELLED.setdefault((str(out), token), threading.Event())
        # Where a worker dies after a study and before its answer arrived, Dask sends the study to another one.
        outcome = None if must_redo else judge_study(out, study, settings)
        outcome = outcome or run_one(study, settings=settings, out=out, cancel=cancel)
        return replace(outcome, worker=f"worker {get_worker().name}")


def cancel_run(out: str, token: str) -> None:
    """In a worker process: end the studies of one driver, those to come as well."""
    _CANCELLED.setdefault((out, token), threading.Event()).set()


def cancel_others(out: str, token: str) -> None:
    """In a worker process: end the studies of every other driver of the same folder."""
    for (folder, other), cancel in list(_CANCELLED.items()):
        if folder == out and other != token:
            cancel.set()


def sensible_workers(cores: int, gpus: int) -> int:
    """How many worker processes a machine should have: one for each GPU, or for every four cores."""
    return gpus or max(1, cores // SEVERAL_CORES)


def usual_scheduler(settings: BatchSettings) -> str:
    """Whether worker processes or this process alone suit the machine."""
    gpus = gpu_count() if settings.device in ("auto", "cuda") else 0
    return "local" if sensible_workers(os.cpu_count() or 1, gpus) > 1 else "none"


def gpu_count() -> int:
    """How many NVIDIA GPUs this machine offers, found without torch, which would stay in the driver's memory."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    program = shutil.which("nvidia-smi")
    if program is None or visible == "":
        return 0
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    count = sum(line.startswith("GPU ") for line in listed.splitlines())
    return min(count, len(visible.split(","))) if visible else count


def _bare(study: FoundStudy) -> FoundStudy:
    """The study without its source and descriptions, which may name people and which no worker needs."""
    pet = replace(study.pet, description="") if study.pet is not None else None
    ct = replace(study.ct, description="") if study.ct is not None else None
    return replace(study, source="", pet=pet, ct=ct)


def _ending(done: Future, key: str) -> StudyOutcome | LostStudy:
    """What became of a task; a study cannot raise, so an error is Dask's."""
    from distributed import KilledWorker

    if done.cancelled() or done.status == "lost":
        return StudyOutcome(key, "dropped")
    error = done.exception()
    if isinstance(error, KilledWorker):
        return LostStudy(key, "a worker process ended", deaths=error.allowed_failures + 1)
    if error is not None:
        reason = f"Unexpected {type(error).__name__} around the study. Do the workers have this version of seganypet?"
        return StudyOutcome(key, "failed", reason, "unexpected")
    outcome: StudyOutcome = done.result()
    return outcome


def _distributed() -> Any:  # distributed ships no types
    try:
        import distributed
    except ImportError as error:
        msg = (
            "Dask.distributed is needed for this; it is not installed. Install `distributed`, or use --scheduler none."
        )
        raise SetupError(msg) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its logs quote arguments, which hold paths
    return distributed


def _has_pages() -> bool:
    return find_spec("bokeh") is not None


def _plugin(gpus: int) -> Any:  # a distributed.WorkerPlugin; the class can only be made where Dask is installed
    from distributed import WorkerPlugin

    class PrepareWorker(WorkerPlugin):  # type: ignore[misc]  # distributed ships no types
        """One GPU for each worker; no warnings and logs, which may quote a patient's values, in its output."""

        def setup(self, worker: Any) -> None:  # a distributed.Worker
            warnings.simplefilter("ignore")
            logging.getLogger("pydicom").setLevel(NOTHING_TOLD)
            if gpus:
                os.environ["CUDA_VISIBLE_DEVICES"] = _gpu_of(worker.name, gpus)

    return PrepareWorker()


def _gpu_of(name: object, gpus: int) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    listed = visible.split(",") if visible else [str(index) for index in range(gpus)]
    return listed[int(str(name)) % len(listed)]
