package dev.edgepipeline.app

import android.app.Activity
import android.app.Instrumentation
import android.os.Bundle as Extras

/**
 * Self-check and benchmark without a hand on the phone:
 *
 *     am instrument -w -e command selfcheck|benchmark [-e engine ID] [-e artifact ID] [-e threads N]
 *         [-e bundle NAME] dev.edgepipeline.app/.CommandInstrumentation
 *
 * The JSON comes in pieces, each by a status of its own, `result.0`, `result.1`, ...: what passes
 * between processes at once is limited to 1 MB. The result has `status` (`ok` or `error`), `message`
 * and `result.count`.
 */
open class CommandInstrumentation : Instrumentation() {
    private var arguments = Extras()

    override fun onCreate(arguments: Extras?) {
        super.onCreate(arguments)
        this.arguments = arguments ?: Extras()
        start()
    }

    /** On a thread of its own, not the main one. */
    override fun onStart() {
        super.onStart()
        val answer = Extras()
        val code = try {
            val json = runCommand(targetContext, readCommand(arguments::getString))
            val pieces = json.chunked(PIECE)
            pieces.forEachIndexed { i, piece ->
                sendStatus(Activity.RESULT_OK, Extras().apply { putString("result.$i", piece) })
            }
            answer.putString("result.count", pieces.size.toString())
            answer.putString("status", "ok")
            answer.putString("message", "")
            Activity.RESULT_OK
        } catch (error: Throwable) {
            answer.putString("status", "error")
            answer.putString("message", explain(error))
            Activity.RESULT_CANCELED
        }
        finish(code, answer)
    }

    private companion object {
        const val PIECE = 16_000
    }
}
