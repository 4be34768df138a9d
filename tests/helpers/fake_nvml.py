"""A simulated NVML with GPU boards whose counters and faults tests set."""

from dataclasses import dataclass, field


class FakeError(Exception):
    pass


@dataclass
class FakeBoard:
    uuid: str
    watts: float = 100.0
    """Power while the clock runs."""
    base_j: float = 5000.0
    counts: bool = True
    sm: int = 1700
    memory: int = 2600
    reasons: int = 0
    programs: int = 1
    offset_j: float = 0.0
    """Added to the counter; negative after a reset."""


@dataclass
class FakeNvml:
    """The functions of `pynvml` that fgbench calls."""

    boards: list[FakeBoard]
    now_s: float = 0.0
    starts: bool = True
    renamed: bool = True
    """Whether the driver knows the new name of the reasons for low clocks."""
    tells_driver: bool = True
    asked: list[str] = field(default_factory=list)

    NVMLError = FakeError
    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    def clock(self):
        return self.now_s

    def pass_time(self, seconds):
        self.now_s += seconds

    def nvmlInit(self):
        if not self.starts:
            raise FakeError("NVML Shared Library Not Found")

    def nvmlSystemGetDriverVersion(self):
        if not self.tells_driver:
            raise FakeError("Not Supported")
        return "580.95.05"

    def nvmlDeviceGetHandleByUUID(self, uuid):
        self.asked.append(uuid)
        for board in self.boards:
            if board.uuid == uuid:
                return board
        raise FakeError("Not Found")

    def nvmlDeviceGetName(self, board):
        return f"Fake {board.uuid}"

    def nvmlDeviceGetTotalEnergyConsumption(self, board):
        if not board.counts:
            raise FakeError("Not Supported")
        return round(1000 * (board.base_j + board.offset_j + board.watts * self.now_s))

    def nvmlDeviceGetClockInfo(self, board, kind):
        return board.sm if kind == self.NVML_CLOCK_SM else board.memory

    def nvmlDeviceGetCurrentClocksEventReasons(self, board):
        if not self.renamed:
            raise FakeError("Function Not Found")
        return board.reasons

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, board):
        return board.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, board):
        if board.programs < 0:
            raise FakeError("Not Supported")
        return [object()] * board.programs
