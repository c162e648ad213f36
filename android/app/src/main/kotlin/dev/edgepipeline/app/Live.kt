package dev.edgepipeline.app

import java.io.Closeable

/** A value that views follow. Main thread only: [Worker] brings results there. */
class Live<T>(initial: T) {
    private val observers = ArrayList<(T) -> Unit>()

    var value: T = initial
        set(new) {
            field = new
            observers.toList().forEach { it(new) }
        }

    /** Calls [observer] now and at every change, until what it gives is closed. */
    fun observe(observer: (T) -> Unit): Closeable {
        observers += observer
        observer(value)
        return Closeable { observers -= observer }
    }
}
