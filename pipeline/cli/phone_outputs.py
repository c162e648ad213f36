"""What `--json` prints of a phone's answers."""

from pipeline.workspace.results.base import Result
from pipeline.workspace.results.bench import BenchRow
from pipeline.workspace.results.verdict import Outcome, VerdictRow


class PhoneVerdict(Result):
    """`pipeline android verify`: the phone's rows, and the verdict of all rows with them."""

    rows: list[VerdictRow]
    verdict: Outcome


class PhoneBench(Result):
    """`pipeline android bench`: the phone's rows."""

    rows: list[BenchRow]
