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
 * The result bundle has `status` (`ok` or `error`), `message`, and the JSON in pieces: `result.count`,
 * `result.0`, `result.1`, ...: what passes between processes is limited to 1 MB, a line of logs to less.
 */
class CommandInstrumentation : Instrumentation() {
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
            json.chunked(PIECE).also { pieces ->
                answer.putString("result.count", pieces.size.toString())
                pieces.forEachIndexed { i, piece -> answer.putString("result.$i", piece) }
            }
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
