package dev.edgepipeline.core

/**
 * ONNX Runtime's telemetry, which would begin where its library is loaded, and write and look up
 * addresses from there on. What keeps it from that is a variable of the environment alone, and no
 * program can set it for itself from Java: on Android the app does by `android.system.Os`, a JVM must
 * be started with it.
 */
object Telemetry {
    const val VARIABLE = "ORT_DISABLE_TELEMETRY"
    const val OFF = "1"

    /** To be called before the library is loaded. Throws IllegalStateException where it would begin. */
    fun checkOff(value: String? = System.getenv(VARIABLE)) = check(value == OFF) {
        "ONNX Runtime would call home: start this program with $VARIABLE=$OFF in its environment"
    }
}
