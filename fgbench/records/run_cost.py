"""Time, memory and energy of a run, measured and estimated."""

from fgbench.util.validation import Count, StrictModel


class Expected(StrictModel):
    """Cost of a run as it was estimated before the run."""

    device: str
    """Name of the device for which it was estimated."""
    source: str
    """How the rates of the device were obtained."""
    phase_s: dict[str, float]
    """Seconds of each phase."""
    part_s: dict[str, float]
    """Seconds of each kind of work: `arithmetic`, `launches`, `feeding`, `writing`, `svm`."""
    disk_mib: float
    """Largest size of the files of the run, with its decoded images."""
    host_mib: float
    """Largest resident memory of the process."""
    device_mib: float | None
    """Largest memory of the GPU; None on a CPU."""

    @property
    def wall_s(self) -> float:
        """Seconds of all phases."""
        return sum(self.phase_s.values())


class Cost(StrictModel):
    """Time, memory and energy of a run."""

    wall_s: float
    """Seconds over all sessions of the run; a session is one start of the program."""
    phase_s: dict[str, float]
    """Seconds of each phase."""
    peak_mib: float
    """Largest resident memory of the process over all sessions, mapped files included."""
    phase_peak_mib: dict[str, float] = {}
    """Largest resident memory of each phase; empty if the system cannot measure it."""
    device_peak_mib: float | None = None
    """Largest memory of tensors on the GPU of the first process over all sessions; None on a CPU."""
    test_fps: float | None = None
    """Test images per second, from decoded pixels to scores. Mirror images are computed but not counted.
    None if cached results of an earlier run were used."""
    recalled: Count = 0
    """Number of images, mirror images included, whose network output was read from the cache of an earlier run. The
    time of their computation is in no field."""
    energy_j: float | None = None
    """Energy of the GPU boards over the phases of the run, in joule, without the rest of the machine."""
    energy_note: str = ""
    """Why `energy_j` is missing or incomplete."""
    sittings: Count = 1
    """Number of sessions: how often the run was started until it was finished."""
    expected: Expected | None = None
    """The cost that `--dry-run` estimated before the run; None without one."""
