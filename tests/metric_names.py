"""Every metric that a process of a factory exports."""

from muster.api import metrics as of_control
from muster.bootstrap import executor_counts as of_executor
from muster.bootstrap import metrics as of_supervisor
from muster.serving.front import metrics as of_front
from muster.serving.workers import host_counts as of_keeper
from muster.telemetry import process_metrics as of_all

DECLARED = (
    *of_front.METRICS, *of_keeper.METRICS, *of_control.METRICS, *of_executor.METRICS, *of_supervisor.METRICS, *of_all.METRICS,
)  # fmt: skip
