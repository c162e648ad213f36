package dev.edgepipeline.app.state

import android.content.Context
import android.net.Uri
import dev.edgepipeline.app.CrashGuard
import dev.edgepipeline.app.Library
import dev.edgepipeline.app.Live
import dev.edgepipeline.app.Settings
import dev.edgepipeline.app.Worker
import dev.edgepipeline.app.availableEngines
import dev.edgepipeline.app.explain
import dev.edgepipeline.core.Artifact
import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.Choice
import dev.edgepipeline.core.EngineKind
import dev.edgepipeline.core.Refused
import dev.edgepipeline.core.Verdict
import dev.edgepipeline.core.chooseArtifact

/** A bundle of the library, as far as it is checked. */
class BundleItem(val id: String, val isImported: Boolean, val state: BundleState) {
    val bundle: Bundle? get() = (state as? BundleState.Ready)?.bundle
    val title: String get() = bundle?.manifest?.name ?: id.substringAfter(':')
}

sealed class BundleState {
    class Checking(val share: Double) : BundleState()
    class Ready(val bundle: Bundle) : BundleState()

    /** [code] is null where the bundle could not be read at all. */
    class Bad(val code: String?, val message: String) : BundleState()
}

sealed class Importing {
    object Idle : Importing()
    class Running(val share: Double) : Importing()
    class Failed(val code: String?, val message: String) : Importing()
}

/** Everything that the screens show, and what they can ask for. Main thread only. */
class AppState(context: Context) {
    val worker = Worker()
    val settings = Settings(context)
    val library = Library(context)
    private val guard = CrashGuard(context)
    private val slot = EngineSlot(guard)

    val bundles = Live<List<BundleItem>>(emptyList())
    val engines = Live<List<EngineKind>>(emptyList())
    val importing = Live<Importing>(Importing.Idle)

    /** The engine that the last process died in. */
    val crashed = Live(guard.takeCrashed())

    /** Why no engine could be loaded, or the bundles not listed. */
    val broken = Live<String?>(null)

    /** Null until a bundle is checked, or where nothing of it fits the engine. */
    val choice = Live<Choice?>(null)

    val tries = TryState(this, context, slot)
    val check = CheckState(this, slot)
    val bench = BenchState(this, slot)

    init {
        if (crashed.value != null) settings.engineId = "cpu"
        worker.run({ availableEngines() to library.ids() }) { result ->
            result.onSuccess { (kinds, ids) ->
                engines.value = kinds
                bundles.value = ids.map { BundleItem(it, library.isImported(it), BundleState.Checking(0.0)) }
                ids.forEach(::open)
            }.onFailure { broken.value = explain(it) }
        }
    }

    private fun open(id: String) {
        val progress = { share: Double -> worker.post { put(id, BundleState.Checking(share)) } }
        worker.run({ library.open(id, inSteps(progress)) }) { result ->
            put(id, result.fold({ BundleState.Ready(it) }, { BundleState.Bad((it as? Refused)?.code, it.message ?: explain(it)) }))
            choose()
        }
    }

    private fun put(id: String, state: BundleState) {
        bundles.value = bundles.value.map { if (it.id == id) BundleItem(id, it.isImported, state) else it }
    }

    /** Takes a zip that the system's picker gave. */
    fun import(uri: Uri) {
        if (importing.value is Importing.Running) return
        importing.value = Importing.Running(0.0)
        val progress = { share: Double -> worker.post { importing.value = Importing.Running(share) } }
        worker.run({ library.import(uri, inSteps(progress)) }) { result ->
            result.onSuccess { id ->
                importing.value = Importing.Idle
                bundles.value = bundles.value.filter { it.id != id } + BundleItem(id, true, BundleState.Checking(0.0))
                settings.bundleId = id
                settings.artifactId = null
                open(id)
            }.onFailure {
                importing.value = Importing.Failed((it as? Refused)?.code, it.message ?: explain(it))
            }
        }
    }

    fun remove(id: String) {
        worker.run({
            slot.close()
            library.remove(id)
        }) {
            bundles.value = bundles.value.filter { it.id != id }
            choose()
        }
    }

    fun take(item: BundleItem, artifact: Artifact) {
        settings.bundleId = item.id
        settings.artifactId = artifact.id
        val current = engines.value.find { it.id == settings.engineId }
        if (current?.format != artifact.format) {
            engines.value.find { it.format == artifact.format }?.let { settings.engineId = it.id }
        }
        choose()
    }

    fun takeEngine(kind: EngineKind) {
        settings.engineId = kind.id
        choose()
    }

    fun takeThreads(threads: Int) {
        settings.threads = threads
        choose()
    }

    fun dismissCrash() {
        crashed.value = null
    }

    fun keepVerdict(choice: Choice, verdict: Verdict) {
        settings.setLastCheck(choice.bundle.digest, choice.artifact.id, verdict)
        bundles.value = bundles.value // the badges
    }

    /** What the settings name, as far as it is there; else the bundle's own first choice. */
    private fun choose() {
        val ready = bundles.value.filter { it.bundle != null }
        val bundle = (ready.find { it.id == settings.bundleId } ?: ready.firstOrNull())?.bundle
        val kind = engines.value.find { it.id == settings.engineId } ?: engines.value.firstOrNull()
        val artifact = if (bundle == null || kind == null) null else artifactFor(bundle, kind)
        choice.value = if (artifact == null) null else Choice(bundle!!, artifact, kind!!, settings.threads)
    }

    private fun artifactFor(bundle: Bundle, kind: EngineKind): Artifact? {
        val named = settings.artifactId?.let(bundle.manifest::artifact)
        return named?.takeIf { it.format == kind.format }
            ?: chooseArtifact(bundle.manifest, setOf(kind.format))
            ?: bundle.manifest.artifacts.find { it.format == kind.format }
    }
}

/** Passes on every twentieth part, not every block. */
private fun inSteps(progress: (Double) -> Unit): (Double) -> Unit {
    var last = 0
    return { share ->
        val step = (share * 20).toInt()
        if (step != last) {
            last = step
            progress(share)
        }
    }
}
