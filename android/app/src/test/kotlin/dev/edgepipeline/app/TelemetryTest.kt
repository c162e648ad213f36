package dev.edgepipeline.app

import android.system.Os
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import kotlin.test.assertEquals

/** ONNX Runtime's telemetry is off before anything can load its library. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26, 35], shadows = [ChangedEnvironment::class])
class TelemetryTest {
    @Test
    fun `the app sets the variable before any part of it runs`() {
        assertEquals(listOf(Triple("ORT_DISABLE_TELEMETRY", "1", true)), ChangedEnvironment.set)
    }
}

/** Keeps what is set: Robolectric's framework runs in a JVM, whose environment stays as it is. */
@Implements(Os::class)
class ChangedEnvironment {
    companion object {
        val set = mutableListOf<Triple<String, String, Boolean>>()

        @JvmStatic
        @Implementation
        fun setenv(name: String, value: String, overwrite: Boolean) {
            set += Triple(name, value, overwrite)
        }
    }
}
