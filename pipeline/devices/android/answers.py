"""What the app on a phone answers, as docs/android.md has it. A newer app may say more."""

from pydantic import BaseModel, ConfigDict

from pipeline.workspace.results.verdict import Outcome


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Device(Part):
    """The phone; what else it says of itself is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow")

    manufacturer: str
    model: str
    android: str

    @property
    def name(self) -> str:
        """`Google Pixel 8, Android 15`: no serial number, which would name a person's phone."""
        alone = self.model.lower().startswith(self.manufacturer.lower())
        whole = self.model if alone else f"{self.manufacturer} {self.model}"
        return f"{whole[:1].upper()}{whole[1:]}, Android {self.android}"


class Asked(Part):
    """What both answers say of an artifact, by its id and the SHA-256 of its file."""

    artifact: str
    sha256: str
    bundle_digest: str
    engine: str
    runtime: str
    threads: int


class CheckedOutput(Part):
    """One output over the golden samples, as `OutputRow` has it."""

    max_abs: float | None
    max_rel: float | None
    sqnr_db: float | None
    top1: float | None
    cosine: float | None = None
    reasons: list[str]


class Perturbed(Part):
    """A sample that was damaged on purpose, and whether the check saw it."""

    sample: int
    failed: bool


class CheckedSample(Part):
    sample: int


class Checked(Asked):
    verdict: Outcome
    reasons: list[str]
    warnings: list[str]
    outputs: list[CheckedOutput]
    samples: list[CheckedSample]
    perturbed: Perturbed | None


class Measured(Asked):
    """Milliseconds at batch 1."""

    load_ms: float
    first_ms: float
    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    latencies_ms: list[float]
    runs: int
    warmup_runs: int


class SelfCheck(Part):
    device: Device
    results: list[Checked]


class Benchmark(Part):
    device: Device
    results: list[Measured]
