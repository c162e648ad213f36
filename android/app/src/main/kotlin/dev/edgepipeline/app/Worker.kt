package dev.edgepipeline.app

import android.os.Handler
import android.os.Looper
import java.util.concurrent.Executors
import java.util.concurrent.Future

/**
 * The one thread that opens bundles and runs models, in the order asked: two models at once would
 * slow each other, and an engine takes one thread at a time. It outlives activities.
 */
class Worker {
    private val thread = Executors.newSingleThreadExecutor { Thread(it, "models") }
    private val main = Handler(Looper.getMainLooper())

    /** Runs [task] on the worker, then [done] on the main thread with its result or failure. */
    fun <T> run(task: () -> T, done: (Result<T>) -> Unit): Future<*> = thread.submit {
        val result = try {
            Result.success(task())
        } catch (error: Throwable) {
            // Out of memory, too: what is shown for it is better than the end of the app.
            Result.failure(error)
        }
        main.post { done(result) }
    }

    /** From the worker: something on the main thread. */
    fun post(action: () -> Unit) {
        main.post(action)
    }
}
