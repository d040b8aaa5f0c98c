"""A real Slurm on this machine: two nodes, from Debian's packages, without systemd, cgroups or accounting.

`python tests/slurm/cluster.py` starts one to play with, and stops it at Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PARTITION, NODES, CPUS, MEMORY = "ci", ("node1", "node2"), 4, 4000
SITE = Path("/etc/slurm/slurm.conf")  # job steps forget SLURM_CONF, so that commands inside them look here
_CONFIGURATION = """\
ClusterName=spyraltest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=2,bf_interval=2,defer_batch
ReturnToService=1
MinJobAge=3600
KillWait=2
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=10
PropagateResourceLimits=NONE
{nodes}
PartitionName={partition} Nodes={names} Default=YES MaxTime=60 DefaultTime=10 DefMemPerCPU=200 State=UP
"""


class UnavailableError(Exception):
    """No Slurm can be had here, with the reason."""


def install() -> None:
    """Install what is missing; UnavailableError says why that cannot be, or why this machine must be left alone."""
    if os.geteuid() != 0:
        raise UnavailableError("starting Slurm daemons needs root")
    _clear_leftover()
    if SITE.exists() or SITE.is_symlink():
        raise UnavailableError(f"{SITE} is there: this machine belongs to a cluster")
    wanted = ("slurmctld", "slurmd", "srun", "munged", "setpriv")
    if all(map(shutil.which, wanted)):
        return
    if shutil.which("apt-get") is None:
        raise UnavailableError("Slurm is not installed, and there is no apt-get")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        try:
            done = subprocess.run(
                ["apt-get", *command], env=environment, capture_output=True, text=True, timeout=240, check=False
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"apt-get {command[0]} took more than 4 minutes") from None
        if done.returncode != 0:
            raise UnavailableError(f"apt-get {command[0]} failed: {done.stderr.strip()[-300:]}")


def _clear_leftover() -> None:
    """Remove the files of a cluster like this one whose process was killed."""
    if not SITE.is_symlink():
        return
    folder = SITE.readlink().parent
    owner = folder / "owner.pid"
    if owner.is_file() and not Path(f"/proc/{owner.read_text()}").exists():
        SITE.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(
    what: str, condition: Callable[[], object], seconds: float, of: subprocess.Popen[bytes] | None = None
) -> None:
    """Wait until the condition holds, at most until the process `of` ends; TimeoutError says what did not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or (of is not None and of.poll() is not None):
            raise TimeoutError(f"{what}: not within {seconds:g} s" if of is None else f"{what} did not come")
        time.sleep(0.5)


class Slurm:
    """A running cluster: its commands, its queue, its logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []

    def command(self, *arguments: str, check: bool = True) -> str:
        """What a Slurm command prints."""
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """All jobs since the start, oldest first: id, state, node, minutes (limit), memory, cpus, comment, restarts."""
        fields = {"id": "%i", "state": "%T", "node": "%N", "limit": "%l", "memory": "%m", "cpus": "%C", "comment": "%k"}
        text = self.command("squeue", "--noheader", "--states=all", "--sort=i", "--format=" + "|".join(fields.values()))
        return [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]

    def running(self, *words: str) -> dict[str, str] | None:
        """The running job whose comment has all these words."""
        found = [
            job for job in self.jobs() if job["state"] == "RUNNING" and all(word in job["comment"] for word in words)
        ]
        return found[-1] if found else None

    def idle(self) -> bool:
        """Whether no job is left, not even one that is being ended."""
        return not self.command("squeue", "--noheader", check=False).strip()

    def logs(self) -> str:
        """The end of each daemon's log."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-60:])
            for path in sorted(self.folder.glob("*.log"))
        )

    def start(self) -> None:
        """Start the daemons and wait until a job has run on both nodes."""
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        (self.folder / "owner.pid").write_text(str(os.getpid()))
        configuration = self.folder / "slurm.conf"
        configuration.write_text(_configuration(self.folder))
        SITE.parent.mkdir(exist_ok=True)
        SITE.symlink_to(configuration)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        files = {name: self.folder / f"munge.{name}" for name in ("socket", "pid", "seed")}
        self._daemon(
            "munged",
            *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={files['socket']}"),
            *(f"--pid-file={files['pid']}", f"--seed-file={files['seed']}", f"--log-file={self.folder}/munged.log"),
        )
        wait_for("munged", files["socket"].exists, 10)
        self._daemon("slurmctld", "slurmctld", "-D", "-i")
        for node in NODES:
            self._daemon(f"slurmd-{node}", "slurmd", "-D", "-N", node)
        state = ("sinfo", "--noheader", "--Node", "--format=%T")
        wait_for("idle nodes", lambda: self.command(*state, check=False).split() == ["idle"] * len(NODES), 40)
        self.command("srun", "--nodes=2", "--immediate=20", "--time=1", "true")

    def _daemon(self, name: str, *command: str) -> None:
        """Start a daemon that ends with this process, whatever ends it."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons.append(
                subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdout=log, stderr=log, stdin=log)
            )

    def stop(self) -> None:
        """End all jobs and daemons."""
        with contextlib.suppress(RuntimeError, TimeoutError, subprocess.TimeoutExpired, FileNotFoundError):
            self.command("scancel", "--user=root", check=False)
            wait_for("the end of all jobs", self.idle, 20)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        if SITE.is_symlink() and SITE.readlink() == self.folder / "slurm.conf":
            SITE.unlink()


def _configuration(folder: Path) -> str:
    host = socket.gethostname().split(".")[0]
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(1 + len(NODES))]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} Boards=1 SocketsPerBoard=1 "
        f"CoresPerSocket={CPUS} ThreadsPerCore=1 RealMemory={MEMORY} State=UNKNOWN"
        for node, port in zip(NODES, ports[1:], strict=True)
    )
    return _CONFIGURATION.format(
        folder=folder, host=host, ports=ports, nodes=nodes, names=",".join(NODES), partition=PARTITION
    )


@contextlib.contextmanager
def started() -> Iterator[Slurm]:
    """A cluster that is gone afterwards, with all its files."""
    install()
    folder = Path(tempfile.mkdtemp(prefix="slurm_"))
    folder.chmod(0o755)
    slurm = Slurm(folder)
    try:
        try:
            slurm.start()
        except Exception as error:
            raise RuntimeError(f"Slurm did not start: {error}\n{slurm.logs()}") from error
        yield slurm
    finally:
        slurm.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    try:
        with started() as running:
            print(f"Slurm runs, in {running.folder}; Ctrl-C stops it", flush=True)
            signal.pause()
    except UnavailableError as reason:
        sys.exit(f"no Slurm: {reason}")
    except KeyboardInterrupt:
        print("stopped")
