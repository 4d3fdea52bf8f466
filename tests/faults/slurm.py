"""Slurm on this machine: one node, with daemons and files of a test's own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")

CONFIGURATION = """
ClusterName=degu
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=one Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def installed():
    """Whether it can be started here: its programs are there, and this is root."""
    return os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))


class Slurm:
    """A cluster of one node, from `__enter__` to `__exit__`."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="degu-slurm-"))
        self.processes = []

    def __enter__(self):
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait()
        shutil.rmtree(self.folder)

    def run(self, *command):
        """The output of a command of Slurm."""
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def _begin(self):
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir()
        munge = self.folder / "munge"
        (munge / "key").write_bytes(os.urandom(128))
        (munge / "key").chmod(0o600)
        for path in (munge, munge / "key"):
            shutil.chown(path, "munge", "munge")
        self.folder.chmod(0o711)  # munged, another user, passes through
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid"}
        names |= {"log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={munge / name}" for option, name in names.items()]
        self._daemon("munged", "--foreground", "--force", *options, user="munge")
        ports = [self._port(), self._port()]
        configuration = self.folder / "slurm.conf"
        configuration.write_text(
            CONFIGURATION.format(
                host=socket.gethostname().split(".")[0],
                folder=self.folder,
                ports=ports,
                cpus=os.cpu_count(),
            )
        )
        self.environment = {**os.environ, "SLURM_CONF": str(configuration)}
        self._wait(lambda: (munge / "socket").exists(), "munged")
        self._daemon("slurmctld", "-D", "-c", "-f", str(configuration))
        self._daemon("slurmd", "-D", "-f", str(configuration))
        self._wait(lambda: "idle" in self._nodes(), "the node")

    def _nodes(self):
        command = ["sinfo", "--noheader", "--format=%T"]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=20
        ).stdout

    def _daemon(self, *command, user=None):
        with open(self.folder / f"{command[0]}.out", "w") as out:
            self.processes.append(
                subprocess.Popen(command, stdout=out, stderr=out, user=user, group=user)
            )

    def _wait(self, ready, what):
        until = time.monotonic() + 60
        while not ready():
            ended = [process.args[0] for process in self.processes if process.poll() is not None]
            assert not ended, f"{ended} ended: {self._logs()}"
            assert time.monotonic() < until, f"{what} is not ready: {self._logs()}"
            time.sleep(0.1)

    def _logs(self):
        return "".join(file.read_text() for file in sorted(self.folder.glob("*.out")))

    @staticmethod
    def _port():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]
