package dev.edgepipeline.app

import android.content.Context
import dev.edgepipeline.core.Artifact
import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.Choice
import dev.edgepipeline.core.EngineKind
import dev.edgepipeline.core.Refused
import dev.edgepipeline.core.RunFailed
import dev.edgepipeline.core.benchJson
import dev.edgepipeline.core.benchmark
import dev.edgepipeline.core.checkJson
import dev.edgepipeline.core.chooseArtifact
import dev.edgepipeline.core.failedJson
import dev.edgepipeline.core.selfCheck
import dev.edgepipeline.core.threadsOf
import dev.edgepipeline.core.toJson

/** What `am instrument` asks for. */
class Command(
    val name: String, val engine: String, val artifact: String?, val threads: Int, val bundle: String?,
)

/** Throws IllegalArgumentException that says what there is. */
fun readCommand(argument: (String) -> String?): Command {
    val name = argument("command")
    require(name == "selfcheck" || name == "benchmark") { "command is ${name ?: "missing"}; selfcheck or benchmark" }
    val threads = argument("threads") ?: "1"
    return Command(
        name, argument("engine") ?: "cpu", argument("artifact"),
        threadsOf(requireNotNull(threads.toIntOrNull()) { "threads is $threads; a number, 0 for all cores" }),
        argument("bundle"),
    )
}

/** The answer as JSON. Blocks; not on the main thread. */
fun runCommand(context: Context, command: Command): String {
    prepareExtraEngines(context)
    val library = Library(context)
    val bundle = library.open(findBundle(library.ids(), command.bundle))
    val engines = availableEngines()
    val kind = engines.find { it.id == command.engine }
    requireNotNull(kind) { "there is no engine ${command.engine}; there are: ${engines.joinToString(" ") { it.id }}" }
    val guard = CrashGuard(context)
    val results = artifactsFor(bundle, kind, command).map { artifact ->
        guard.around(kind.id) {
            val choice = Choice(bundle, artifact, kind, command.threads)
            if (command.name == "selfcheck") check(choice) else benchJson(choice, checkNotNull(benchmark(choice)))
        }
    }
    return toJson(mapOf("schema" to 1, "command" to command.name, "device" to thisDevice(context).json(), "results" to results))
}

private fun findBundle(ids: List<String>, name: String?): String {
    val names = ids.associateBy { it.substringAfter(':') }
    require(ids.isNotEmpty()) { "the app has no bundle" }
    if (name == null) return ids.first()
    return requireNotNull(names[name] ?: names["$name.bundle"]) { "there is no bundle $name; there are: ${names.keys.joinToString(" ")}" }
}

/** The one that is named; else all that the engine can check, or the first to measure. */
private fun artifactsFor(bundle: Bundle, kind: EngineKind, command: Command): List<Artifact> {
    val all = bundle.manifest.artifacts
    if (command.artifact != null) {
        val found = requireNotNull(bundle.manifest.artifact(command.artifact)) {
            "there is no artifact ${command.artifact}; there are: ${all.joinToString(" ") { it.id }}"
        }
        require(found.format == kind.format) { "${found.id} is ${found.format.word}, which the engine ${kind.id} cannot run" }
        return listOf(found)
    }
    val fitting = all.filter { it.format == kind.format }
    require(fitting.isNotEmpty()) { "the bundle has no ${kind.format.word} artifact for the engine ${kind.id}" }
    return if (command.name == "selfcheck") fitting else listOf(chooseArtifact(bundle.manifest, setOf(kind.format)) ?: fitting.first())
}

private fun check(choice: Choice): Map<String, Any?> = try {
    choice.open().use { checkJson(choice, it.warnings, selfCheck(choice.bundle, choice.artifact, it)) }
} catch (error: Refused) {
    throw error
} catch (error: Exception) {
    // One artifact that cannot be opened is an answer about it, not the end of the others.
    failedJson(choice, explain(error))
}

/** A failure in words: with its code where it has one. */
fun explain(error: Throwable): String = when (error) {
    is Refused -> "${error.code}: ${error.message}"
    is RunFailed -> "${error.code}: ${error.message}"
    is OutOfMemoryError -> "this device has not enough memory for the model"
    else -> error.message ?: error.javaClass.simpleName
}
