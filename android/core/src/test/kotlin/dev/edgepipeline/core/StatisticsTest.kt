package dev.edgepipeline.core

import org.junit.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

class StatisticsTest {
    // https://en.wikipedia.org/wiki/Percentile#Worked_examples_of_the_nearest-rank_method
    @Test
    fun `percentiles are nearest-rank`() {
        val values = listOf(35.0, 20.0, 15.0, 50.0, 40.0)
        assertEquals(listOf(15.0, 20.0, 20.0, 35.0, 50.0), listOf(5, 30, 40, 50, 100).map { nearestRank(values, it) })
        assertEquals(7.0, nearestRank(listOf(7.0), 0))
        assertFailsWith<IllegalArgumentException> { nearestRank(emptyList(), 50) }
    }

    @Test
    fun `of equal scores the first one counts`() {
        assertEquals(1, firstLargest(doubleArrayOf(0.0, 2.0, 2.0, 1.0)))
        assertEquals(0, firstLargest(doubleArrayOf(9.0, 1.0, 3.0), start = 2, length = 1))
    }

    @Test
    fun `JSON that is written is read again`() {
        val value = linkedMapOf("a" to listOf(1L, 0.5, null, true), "b\"\n\u0001" to "é😀", "c" to emptyList<Any>())
        assertEquals(value, parseJson(toJson(value).toByteArray()))
        assertEquals("null", toJson(Double.NaN))
    }

    @Test
    fun `inverting twice gives the same`() {
        for (dtype in DType.entries) {
            val tensor = Tensor(dtype, listOf(3), ByteArray(3 * dtype.bytes) { (it % 2).toByte() })
            assertEquals(tensor.data.asList(), inverted(inverted(tensor)).data.asList())
        }
    }
}
