package dev.edgepipeline.core

import org.junit.Test
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

/** ONNX Runtime is loaded where its telemetry is off, and nowhere else. */
class TelemetryTest {
    @Test
    fun `an environment that leaves it on is refused with the remedy`() {
        for (value in listOf(null, "", "0", "false")) {
            val refused = assertFailsWith<IllegalStateException> { Telemetry.checkOff(value) }
            assertTrue("ORT_DISABLE_TELEMETRY=1" in refused.message.orEmpty())
        }
        Telemetry.checkOff("1")
    }
}
