package dev.edgepipeline.core.validate

import dev.edgepipeline.core.repository
import org.junit.Test
import java.io.File
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** The cases of cpp_runner/tests/bundle/test_validate_torchscript.cpp: the two readers say the same. */
class TorchScriptValidatorTest {
    private fun good() = module("y = torch.relu(x)")

    private fun changed(change: Zip.() -> Unit): String = torchSays(good().apply(change))

    private fun lineSays(line: String) = torchSays(module(line))

    @Test
    fun `real files are taken`() {
        val files = listOf("tests/golden/bundle-v1/artifacts", "cpp_runner/tests/fuzz/corpus/validate_torchscript")
            .flatMap { File(repository, it).listFiles().orEmpty().toList() }.filter { it.extension == "pt" }
        assertTrue(files.size >= 2)
        for (file in files) assertSays(ACCEPTED, says { validateTorchScript(Bytes(file.readBytes())) }, file)
        assertSays(ACCEPTED, torchSays(good()))
    }

    @Test
    fun `ends that are not the only one`() {
        assertSays("too short", torchSays("PK"))
        assertSays("end record", torchSays(good().file() + "x"))
        assertSays("not what torch writes", torchSays("x" + good().file()))
        assertSays("the end record", torchSays(good().file() + good().file()))
        assertSays("not what torch writes", changed { comment = "hello" })
        assertSays("between its records and its directory", changed { beforeDirectory = "hidden" })
    }

    @Test
    fun `headers that disagree`() {
        assertSays("differs between its own header", changed { records[1].localName = "code/__torch__.pz" })
        assertSays("has a CRC-32 other", changed { records[1].crc = 1 }.replace("the CRC behind", "has a CRC-32 other"))
        assertSays("the size behind a record", changed { records[1].behind = 1 })
        assertSays("is compressed", changed { records[1].method = 8 })
        assertSays("its padding hides data", changed { records[1].padding = "secret" })
    }

    @Test
    fun `records that overlap or stand twice`() {
        assertSays("'net/code/__torch__.py' appears twice", changed { records += records[1] })
        // torch finds either by the name of the other
        val other = Record("code/__TORCH__.py", "class Net(Module):\n  pass\n")
        assertSays("appears twice", changed { records += other })
        val file = StringBuilder(good().file())
        val entry = file.indexOf("PK\u0001\u0002", file.indexOf("PK\u0001\u0002") + 1)
        file.setCharAt(entry + 42, '\u0000') // the second record begins where the first does
        file.setCharAt(entry + 43, '\u0000')
        assertSays("does not begin where the record before it ends", torchSays(file.toString()))
    }

    @Test
    fun `other records`() {
        fun with(name: String, data: String) = changed { records += Record(name, data) }
        assertSays("tells of the machine", with("code/__torch__.py.debug_pkl", "x"))
        assertSays("'extra/run.sh', which is not allowed", with("extra/run.sh", "x"))
        for (name in listOf("bytecode.pkl", "code/__torch__/../x.py", "code/other.py", "data/00x")) {
            assertSays("not allowed", with(name, "x"), name)
        }
        assertSays("'data/0' is used by nothing", with("data/0", "x"))
        assertSays("version is not a number", with(".data/version", "x"))
        assertSays("byte order", changed { record("byteorder").data = "big" })
        assertSays("no version", changed { records.clear() })
    }

    @Test
    fun `operators that are not listed`() {
        val operators = listOf(
            "torch.save(x, \"/tmp/f\")" to "line 6: it uses the operator aten::save, which is not allowed",
            "y = torch.from_file(\"f\")" to "aten::from_file",
            "y = ops.aten.save(x, \"f\")" to "aten::save",
            "y = ops.prim.Print(x)" to "prim::Print",
            "y = ops.prim.rpc_sync(x)" to "prim::rpc_sync",
            "y = ops.cuda.synchronize(0)" to "cuda::synchronize",
            "y = torch.\n      save" to "stands alone",
            "y = (torch .  save)(x, \"f\")" to "aten::save",
            "y = (torch.\n    save)(x, \"f\")" to "aten::save",
        )
        for ((line, wanted) in operators) assertSays(wanted, lineSays(line), line)
    }

    @Test
    fun `other ways to an operator`() {
        val ways = listOf(
            "(x).set_(y)" to "the name 'set_'",
            "y = getattr(x, \"set_\")(y)" to "the name 'set_'",
            "y = getattr(x, \"se\" \"t_\")(y)" to "getattr is not used",
            "y = getattr(x, \"\\x73et_\")(y)" to "escapes",
            "g = getattr" to "getattr is not used",
            "t = torch" to "'torch' stands alone",
            "t = ops.aten" to "'aten' stands alone",
            "y = getattr(torch, \"save\")" to "'torch' stands alone",
            "y = getattr(torch, \"relu\")" to "'torch' stands alone",
            "y = torch.add.x" to "looks for something in",
            "y = __torch__.torch.classes.dist_c10d.Work" to "does not define",
            "y = __torch__.torch" to "does not define",
            "print(x)" to "'print'",
            "y = fork(x)" to "'fork'",
        )
        for ((line, wanted) in ways) assertSays(wanted, lineSays(line), line)
        val imported = "import os\nclass Net(Module):\n  pass\n"
        assertSays("something besides classes and functions", torchSays(torchscript(imported)))
    }

    @Test
    fun `memory to write into`() {
        val said = "line 6: it gives an operator memory to write into, 'out', which is not allowed"
        assertSays(said, lineSays("y = torch.add(x, x, out=x)"))
        assertSays("'out'", lineSays("y = torch.add(x, x, alpha=1, out =x)"))
        assertSays("'values'", lineSays("y = [torch.topk(x, 1, values=x, indices=x)]"))
        assertSays("'out'", lineSays("y = (x).add(x,\n      out=x)"))
        assertSays(ACCEPTED, lineSays("values, out, = torch.topk(x, 1)\n    out = torch.relu(out)"))
    }

    @Test
    fun `what torch writes`() {
        assertSays(ACCEPTED, lineSays("y = \"torch.save(x) \\\" # \"\n    z = torch.add(x, CONSTANTS.c0, alpha=1)"))
        assertSays(ACCEPTED, lineSays("y = getattr(self, \"0\")"))
        assertSays(ACCEPTED, lineSays("y = annotate(List[int], [1, -2, 1e-05, 2., 3j])"))
    }

    @Test
    fun `text that torch does not write`() {
        val lines = listOf(
            "y = 1 # comment" to "'#', which torch does not write",
            "y = 'a'" to "does not write",
            "y = \"\"\"a\n\"\"\"" to "three quotes",
            "y = \"a" to "a string has no end",
            "y = 1 \\" to "does not write",
            "y = t\u00c3\u00b6" to "does not write",
            "y = (1" to "not closed",
            "y = 1)" to "closed that is not open",
            "y = " + "(".repeat(201) to "200 brackets",
            "y = x" + ".a".repeat(1000) to "more than 2000 parts",
            "pass\n" + " ".repeat(402) + "pass" to "indented",
            "pass\n" + "# ".repeat(600_000) to "more than 1 MiB",
        )
        for ((line, wanted) in lines) assertSays(wanted, lineSays(line), line.take(30))
        val twice = "class Net(Module):\n  pass\n".repeat(2)
        assertSays("'Net' is defined twice", torchSays(torchscript(twice)))
    }

    @Test
    fun `a byte that is changed anywhere is found`() {
        val file = good().file()
        for (at in file.indices) {
            val other = StringBuilder(file).apply { setCharAt(at, (file[at].code xor 1).toChar()) }
            // The name of the top folder alone may be any.
            val isFolder = Regex("net/").findAll(file).any { at in it.range }
            if (!isFolder) assertTrue(torchSays(other.toString()) != ACCEPTED, "byte $at of ${file.length}")
        }
        assertEquals(ACCEPTED, torchSays(file))
    }
}
