package dev.edgepipeline.core

/** A way to run artifacts on this device. What is chosen is chosen before a model is opened. */
interface EngineKind {
    /** Stable: settings and commands name it. `cpu`, `xnnpack`, `nnapi`, `pytorch`. */
    val id: String

    /** The runtime's name and version, such as `ONNX Runtime 1.29.0`. */
    val runtime: String

    val format: Format

    /** A native crash may end the process: ask the guard, warn the user. */
    val isExperimental: Boolean

    /** Throws where this device cannot run it, or the model cannot be run by it. Never on the UI thread. */
    fun open(bundle: Bundle, artifact: Artifact, threads: Int): Engine
}

/** An opened model. One thread at a time. */
interface Engine : AutoCloseable {
    val kind: EngineKind
    val threads: Int

    /** What a person should know of this choice. */
    val warnings: List<String>

    /** [inputs] in the manifest's order, and so the answers. Throws [RunFailed]. */
    fun run(inputs: List<Tensor>): List<Tensor>
}

/** A run that gave no usable answer. [code] as in the C++ runner: `bad-input`, `not-finite`, ... */
class RunFailed(val code: String, message: String, cause: Throwable? = null) : Exception(message, cause)

const val MAX_THREADS = 1024

/** All cores for 0. */
fun threadsOf(asked: Int): Int {
    require(asked in 0..MAX_THREADS) { "threads is $asked; 0 (all cores) to $MAX_THREADS" }
    return if (asked > 0) asked else Runtime.getRuntime().availableProcessors()
}
