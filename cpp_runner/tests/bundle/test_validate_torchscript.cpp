#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "model_files.hpp"

namespace edge_runner::testing {
namespace {

const std::string kAccepted = "accepted";

// A module whose forward is this line.
Zip module(const std::string& line) {
  return torchscript(
      "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
      "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n    " +
      line + "\n    return x\n");
}

Zip good() { return module("y = torch.relu(x)"); }

std::string line_says(const std::string& line) { return torchscript_says(module(line)); }

TEST(ValidateTorchScript, TakesRealFiles) {
  for (const std::string folder :
       {EDGE_GOLDEN "/bundle-v1/artifacts", EDGE_FUZZ_CORPUS "/validate_torchscript"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".pt") continue;
      EXPECT_EQ(torchscript_says(read_text(entry.path())), kAccepted) << entry.path();
    }
  }
  EXPECT_EQ(torchscript_says(good()), kAccepted);
}

TEST(ValidateTorchScript, RefusesEndsThatAreNotTheOnlyOne) {
  EXPECT_PRED2(contains, torchscript_says(std::string_view("PK")), "too short");
  EXPECT_PRED2(contains, torchscript_says(good().bytes() + "x"), "end record");
  EXPECT_PRED2(contains, torchscript_says("x" + good().bytes()), "not what torch writes");
  EXPECT_PRED2(contains, torchscript_says(good().bytes() + good().bytes()), "the end record");
  Zip zip = good();
  zip.comment = "hello";
  EXPECT_PRED2(contains, torchscript_says(zip), "not what torch writes");
  zip = good();
  zip.before_directory = "hidden";
  EXPECT_PRED2(contains, torchscript_says(zip), "between its records and its directory");
}

TEST(ValidateTorchScript, RefusesHeadersThatDisagree) {
  Zip zip = good();
  zip.records[1].local_name = "code/__torch__.pz";
  EXPECT_PRED2(contains, torchscript_says(zip), "differs between its own header");
  zip = good();
  zip.records[1].crc = 1;
  EXPECT_PRED2(contains, torchscript_says(zip), "has a CRC-32 other");
  zip = good();
  zip.records[1].behind = 1;
  EXPECT_PRED2(contains, torchscript_says(zip), "the size behind a record");
  zip = good();
  zip.records[1].method = 8;
  EXPECT_PRED2(contains, torchscript_says(zip), "is compressed");
  zip = good();
  zip.records[1].padding = "secret";
  EXPECT_PRED2(contains, torchscript_says(zip), "its padding hides data");
}

TEST(ValidateTorchScript, RefusesRecordsThatOverlapOrStandTwice) {
  Zip zip = good();
  zip.records.push_back(zip.records[1]);
  EXPECT_PRED2(contains, torchscript_says(zip), "'net/code/__torch__.py' appears twice");
  zip.records.back().name = "code/__TORCH__.py";  // torch finds either by the name of the other
  EXPECT_PRED2(contains, torchscript_says(zip), "appears twice");
  std::string file = good().bytes();
  const std::size_t entry = file.find("PK\x01\x02", file.find("PK\x01\x02") + 1);
  file[entry + 42] = 0;  // the second record begins where the first does
  file[entry + 43] = 0;
  EXPECT_PRED2(contains, torchscript_says(file), "does not begin where the record before it ends");
}

TEST(ValidateTorchScript, RefusesOtherRecords) {
  const auto with = [](const std::string& name, const std::string& data) {
    Zip zip = good();
    zip.records.push_back({name, data});
    return torchscript_says(zip);
  };
  EXPECT_PRED2(contains, with("code/__torch__.py.debug_pkl", "x"), "tells of the machine");
  EXPECT_PRED2(contains, with("extra/run.sh", "x"), "'extra/run.sh', which is not allowed");
  EXPECT_PRED2(contains, with("bytecode.pkl", "x"), "not allowed");
  EXPECT_PRED2(contains, with("code/__torch__/../x.py", "x"), "not allowed");
  EXPECT_PRED2(contains, with("code/other.py", "x"), "not allowed");
  EXPECT_PRED2(contains, with("data/00x", "x"), "not allowed");
  EXPECT_PRED2(contains, with("data/0", "x"), "'data/0' is used by nothing");
  EXPECT_PRED2(contains, with(".data/version", "x"), "version is not a number");
  Zip zip = good();
  data_of(zip, "byteorder") = "big";
  EXPECT_PRED2(contains, torchscript_says(zip), "byte order");
  zip.records.clear();
  EXPECT_PRED2(contains, torchscript_says(zip), "no version");
}

TEST(ValidateTorchScript, RefusesOperatorsThatAreNotListed) {
  EXPECT_PRED2(contains, line_says("torch.save(x, \"/tmp/f\")"),
               "line 6: it uses the operator aten::save, which is not allowed");
  EXPECT_PRED2(contains, line_says("y = torch.from_file(\"f\")"), "aten::from_file");
  EXPECT_PRED2(contains, line_says("y = ops.aten.save(x, \"f\")"), "aten::save");
  EXPECT_PRED2(contains, line_says("y = ops.prim.Print(x)"), "prim::Print");
  EXPECT_PRED2(contains, line_says("y = ops.prim.rpc_sync(x)"), "prim::rpc_sync");
  EXPECT_PRED2(contains, line_says("y = ops.cuda.synchronize(0)"), "cuda::synchronize");
  EXPECT_PRED2(contains, line_says("y = torch.\n      save"), "stands alone");
  EXPECT_PRED2(contains, line_says("y = (torch .  save)(x, \"f\")"), "aten::save");
  EXPECT_PRED2(contains, line_says("y = (torch.\n    save)(x, \"f\")"), "aten::save");
}

TEST(ValidateTorchScript, RefusesOtherWaysToAnOperator) {
  EXPECT_PRED2(contains, line_says("(x).set_(y)"), "the name 'set_'");
  EXPECT_PRED2(contains, line_says("y = getattr(x, \"set_\")(y)"), "the name 'set_'");
  EXPECT_PRED2(contains, line_says("y = getattr(x, \"se\" \"t_\")(y)"), "getattr is not used");
  EXPECT_PRED2(contains, line_says("y = getattr(x, \"\\x73et_\")(y)"), "escapes");
  EXPECT_PRED2(contains, line_says("g = getattr"), "getattr is not used");
  EXPECT_PRED2(contains, line_says("t = torch"), "'torch' stands alone");
  EXPECT_PRED2(contains, line_says("t = ops.aten"), "'aten' stands alone");
  EXPECT_PRED2(contains, line_says("y = getattr(torch, \"save\")"), "'torch' stands alone");
  EXPECT_PRED2(contains, line_says("y = getattr(torch, \"relu\")"), "'torch' stands alone");
  EXPECT_PRED2(contains, line_says("y = torch.add.x"), "looks for something in");
  EXPECT_PRED2(contains, line_says("y = __torch__.torch.classes.dist_c10d.Work"),
               "does not define");
  EXPECT_PRED2(contains, line_says("y = __torch__.torch"), "does not define");
  EXPECT_PRED2(contains, line_says("print(x)"), "'print'");
  EXPECT_PRED2(contains, line_says("y = fork(x)"), "'fork'");
  EXPECT_PRED2(contains, torchscript_says(torchscript("import os\nclass Net(Module):\n  pass\n")),
               "something besides classes and functions");
}

TEST(ValidateTorchScript, RefusesMemoryToWriteInto) {
  EXPECT_PRED2(contains, line_says("y = torch.add(x, x, out=x)"),
               "line 6: it gives an operator memory to write into, 'out', which is not allowed");
  EXPECT_PRED2(contains, line_says("y = torch.add(x, x, alpha=1, out =x)"), "'out'");
  EXPECT_PRED2(contains, line_says("y = [torch.topk(x, 1, values=x, indices=x)]"), "'values'");
  EXPECT_PRED2(contains, line_says("y = (x).add(x,\n      out=x)"), "'out'");
  EXPECT_EQ(line_says("values, out, = torch.topk(x, 1)\n    out = torch.relu(out)"), kAccepted);
}

TEST(ValidateTorchScript, AllowsWhatTorchWrites) {
  EXPECT_EQ(line_says("y = \"torch.save(x) \\\" # \"\n    z = torch.add(x, CONSTANTS.c0, alpha=1)"),
            kAccepted);
  EXPECT_EQ(line_says("y = getattr(self, \"0\")"), kAccepted);
  EXPECT_EQ(line_says("y = annotate(List[int], [1, -2, 1e-05, 2., 3j])"), kAccepted);
}

TEST(ValidateTorchScript, RefusesTextThatTorchDoesNotWrite) {
  EXPECT_PRED2(contains, line_says("y = 1 # comment"), "'#', which torch does not write");
  EXPECT_PRED2(contains, line_says("y = 'a'"), "does not write");
  EXPECT_PRED2(contains, line_says("y = \"\"\"a\n\"\"\""), "three quotes");
  EXPECT_PRED2(contains, line_says("y = \"a"), "a string has no end");
  EXPECT_PRED2(contains, line_says("y = 1 \\"), "does not write");
  EXPECT_PRED2(contains, line_says("y = t\xc3\xb6"), "does not write");
  EXPECT_PRED2(contains, line_says("y = (1"), "not closed");
  EXPECT_PRED2(contains, line_says("y = 1)"), "closed that is not open");
  EXPECT_PRED2(contains, line_says("y = " + std::string(201, '(')), "200 brackets");
  std::string chain = "y = x";
  for (int i = 0; i < 1000; ++i) chain += ".a";
  EXPECT_PRED2(contains, line_says(chain), "more than 2000 parts");
  EXPECT_PRED2(contains, line_says("pass\n" + std::string(402, ' ') + "pass"), "indented");
  EXPECT_PRED2(
      contains,
      torchscript_says(torchscript("class Net(Module):\n  pass\nclass Net(Module):\n  pass\n")),
      "'Net' is defined twice");
}

}  // namespace
}  // namespace edge_runner::testing
