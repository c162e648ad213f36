package dev.edgepipeline.jvm

import dev.edgepipeline.core.Artifact
import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.Engine
import dev.edgepipeline.core.FolderSource
import dev.edgepipeline.core.OnnxKind
import dev.edgepipeline.core.Refused
import dev.edgepipeline.core.RunFailed
import java.io.BufferedInputStream
import java.io.BufferedOutputStream
import java.nio.file.Paths
import kotlin.system.exitProcess

/**
 * The app's core on a desktop's JVM, asked as `edge-runner exec` is: `BUNDLE ARTIFACT THREADS`, then
 * frames on the standard input, each answered by one on the standard output. docs/cpp-runner.md has
 * the frames. It ends where its input does. It must be started with ORT_DISABLE_TELEMETRY=1 in its
 * environment, which Java cannot change: else it answers with an error, and loads nothing.
 */
fun main(args: Array<String>) {
    val answers = Frames(BufferedInputStream(System.`in`), BufferedOutputStream(System.out))
    System.setOut(System.err) // what a library may print is no frame
    val (folder, id, threads) = args
    val engine = try {
        open(folder, id, threads.toInt(), answers)
    } catch (error: Exception) {
        answers.write(failure(error))
        exitProcess(1)
    }
    engine.use { answerAll(it, answers) }
}

private fun open(folder: String, id: String, threads: Int, answers: Frames): Engine {
    val start = System.nanoTime()
    val bundle = Bundle.open(FolderSource(Paths.get(folder)))
    val artifact: Artifact = requireNotNull(bundle.manifest.artifact(id)) { "the bundle has no artifact $id" }
    val engine = OnnxKind.CPU.open(bundle, artifact, threads)
    val runner = mapOf(
        "backend" to "onnxruntime",
        "version" to OnnxKind.CPU.runtime.substringAfterLast(' '),
        "threads" to engine.threads,
        "spinning" to false,
        "java" to System.getProperty("java.version"),
    )
    answers.write(
        mapOf(
            "artifact" to artifact.id,
            "runner" to runner,
            "load_ms" to (System.nanoTime() - start) / 1e6,
            "warnings" to engine.warnings,
        ),
    )
    return engine
}

/** A run that fails is an answer, too. */
private fun answerAll(engine: Engine, answers: Frames) {
    while (true) {
        val inputs = answers.read() ?: return
        try {
            val start = System.nanoTime()
            val outputs = engine.run(inputs)
            answers.write(mapOf("nanoseconds" to System.nanoTime() - start), outputs)
        } catch (error: Exception) {
            answers.write(failure(error))
        }
    }
}

private fun failure(error: Exception): Map<String, Any?> {
    val code = when (error) {
        is Refused -> error.code.toString()
        is RunFailed -> error.code
        else -> "backend-failed"
    }
    return mapOf("error" to mapOf("code" to code, "message" to (error.message ?: error.javaClass.simpleName)))
}
