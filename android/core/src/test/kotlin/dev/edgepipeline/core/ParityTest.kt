package dev.edgepipeline.core

import org.junit.Test
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** tests/golden/checks.json: answers, and what the rules of the format make of them. */
class ParityTest {
    @Test
    fun `all cases are judged as in the other languages`() {
        val cases = json("tests/golden/checks.json").asItems()
        assertTrue(cases.size > 20)
        for (case in cases.map { it.asMap() }) {
            val output = case["output"].asMap()
            val dtype = checkNotNull(DType.entries.named(output["dtype"] as String))
            val given = (case["answers_dtype"] as String?)?.let(DType.entries::named) ?: dtype
            val port = Port("y", dtype, emptyList(), null, "", output["kind"] as String, threshold = number(output["threshold"]))
            val check = OutputCheck(port, tolerance(case["tolerances"].asMap()))
            for ((expected, answer) in case["expected"].asItems() zip case["answers"].asItems()) {
                check.add(tensor(expected.asMap(), dtype), tensor(answer.asMap(), given))
            }
            val found = check.result()
            val name = case["name"] as String
            assertEquals(case["verdict"], if (found.reasons.isEmpty()) "pass" else "fail", "$name: ${found.reasons}")
            near(case["max_abs"], found.maxAbs, "$name, max_abs")
            near(case["max_rel"], found.maxRel, "$name, max_rel")
            near(case["sqnr_db"], found.sqnrDb, "$name, sqnr_db")
            near(case["top1"], found.top1, "$name, top1")
        }
    }

    private fun near(wanted: Any?, found: Double?, what: String) {
        val number = number(wanted)
        if (number == null || found == null) assertEquals(number, found, what) else assertEquals(number, found, 1e-9, what)
    }

    private fun tolerance(of: Map<String, Any?>) = Tolerance(
        number(of["max_abs"]), number(of["max_rel"]), number(of["min_sqnr_db"]), number(of["min_top1"]),
        number(of["max_drop"]), number(of["tie"]),
    )

    private fun number(value: Any?): Double? = (value as Number?)?.toDouble()

    private fun tensor(of: Map<String, Any?>, default: DType): Tensor {
        val dtype = (of["dtype"] as String?)?.let { checkNotNull(DType.entries.named(it)) } ?: default
        val values = of["values"].asItems()
        val bytes = ByteBuffer.allocate(values.size * dtype.bytes).order(ByteOrder.LITTLE_ENDIAN)
        for (value in values) {
            val word = value as? String
            val number = when (word) {
                null -> if (value is Boolean) (if (value) 1L else 0L) else value as Number
                "nan", "NaN" -> Double.NaN
                "inf", "Infinity" -> Double.POSITIVE_INFINITY
                "-inf", "-Infinity" -> Double.NEGATIVE_INFINITY
                else -> error("what is $word?")
            }
            when (dtype) {
                DType.FLOAT32 -> bytes.putFloat(number.toFloat())
                DType.FLOAT64 -> bytes.putDouble(number.toDouble())
                DType.FLOAT16 -> bytes.putShort(half(number.toDouble()))
                DType.INT64 -> bytes.putLong(number.toLong())
                DType.INT32 -> bytes.putInt(number.toInt())
                DType.INT16 -> bytes.putShort(number.toShort())
                else -> bytes.put(number.toByte())
            }
        }
        return Tensor(dtype, of["shape"].asItems().map { it as Long }, bytes.array())
    }

    private fun half(value: Double): Short =
        (Short.MIN_VALUE..Short.MAX_VALUE).first { halfToDouble(it.toShort()) == value }.toShort()

    @Test
    fun `half precision`() {
        assertEquals(1.0, halfToDouble(0x3c00))
        assertEquals(-2.0, halfToDouble(0xc000.toShort()))
        assertEquals(65504.0, halfToDouble(0x7bff))
        assertEquals(Math.scalb(1.0, -24), halfToDouble(1))
        assertTrue(halfToDouble(0x7c01).isNaN() && halfToDouble(0x7c00).isInfinite())
    }
}
