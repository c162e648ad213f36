// The pickles of a TorchScript archive, written by hand.
#include <gtest/gtest.h>

#include <string>

#include "model_files.hpp"

namespace edge_runner::testing {
namespace {

using namespace std::string_literals;

const std::string kAccepted = "accepted";
const std::string kBegin = "\x80\x02"s;
const std::string kHooks = "ccollections\nOrderedDict\n)R"s;

std::string text(const std::string& value) {
  return "X"s + static_cast<char>(value.size()) + "\0\0\0"s + value;
}

std::string byte(unsigned value) { return "K"s + static_cast<char>(value); }

// ('storage', type, key, device, elements)
std::string storage(const std::string& type, unsigned elements, const std::string& key = "0",
                    const std::string& device = "cpu") {
  return "(" + text("storage") + "ctorch\n" + type + "\n" + text(key) + text(device) +
         byte(elements) + "tQ";
}

std::string tensor(const std::string& stored, unsigned offset, unsigned size, unsigned stride) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + stored + byte(offset) + byte(size) + "\x85" +
         byte(stride) + "\x85\x89" + kHooks + "tR";
}

// What is said of a module whose only attribute is made by these opcodes; data/0 has 8 bytes.
std::string says(const std::string& opcodes, bool with_storage = false) {
  Zip zip = torchscript("class Net(Module):\n  a : Tensor\n");
  data_of(zip, "data.pkl") = kBegin + "c__torch__\nNet\n)\x81}(" + text("a") + opcodes + "ub.";
  if (with_storage) zip.records.push_back({"data/0", "\1\2\3\4\5\6\7\10"});
  return torchscript_says(zip);
}

std::string whole(const std::string& pickle) {
  Zip zip = torchscript("class Net(Module):\n  a : Tensor\n");
  data_of(zip, "data.pkl") = pickle;
  return torchscript_says(zip);
}

TEST(ValidatePickle, TakesWhatTorchWrites) {
  EXPECT_EQ(says("N"), kAccepted);
  EXPECT_EQ(says("](" + byte(1) + "M\1\2J\1\2\3\4e"), kAccepted);
  EXPECT_EQ(says("ctorch.jit._pickle\nbuild_intlist\n](" + byte(1) + "e\x85R"), kAccepted);
  EXPECT_EQ(says("ctorch.jit._pickle\nrestore_type_tag\n}(" + text("k") + byte(1) + "u" +
                 text("Dict[str, int]") + "\x86R"),
            kAccepted);
  EXPECT_EQ(says(tensor(storage("FloatStorage", 2), 0, 2, 1), true), kAccepted);
  EXPECT_EQ(says(tensor(storage("LongStorage", 1), 0, 1, 1), true), kAccepted);
}

TEST(ValidatePickle, RefusesFunctionsAndClassesThatTorchDoesNotNeed) {
  EXPECT_PRED2(contains, says("cposix\nsystem\n" + text("true") + "\x85R"),
               "'data.pkl', byte 41: it asks for 'posix.system', which is not allowed");
  EXPECT_PRED2(contains, says("c__builtin__\neval\n"), "'__builtin__.eval'");
  EXPECT_PRED2(contains, says("ctorch.distributed.rpc\nrref\n"), "rref");
  EXPECT_PRED2(contains, says("c__torch__\nOther\n)\x81}(ub"), "'__torch__.Other'");
  EXPECT_PRED2(contains, says("c__torch__.torch.classes.dist_c10d\nStore\n"), "Store");
  EXPECT_PRED2(contains, says("ctorch\nMystery\n"), "'torch.Mystery'");
  EXPECT_PRED2(contains, says(byte(0) + byte(0) + "\x85R"),
               "calls something that is not a function");
}

TEST(ValidatePickle, RefusesOpcodesThatTorchDoesNotWrite) {
  EXPECT_PRED2(contains, whole("\x80\x04N."), "protocol 2");
  EXPECT_PRED2(contains, whole(""), "cut off");
  EXPECT_PRED2(contains, whole(kBegin), "cut off");
  EXPECT_PRED2(contains, whole(kBegin + "N."), "neither an object nor a tuple");
  EXPECT_PRED2(contains, whole(kBegin + "))."), "more than one value");
  EXPECT_PRED2(contains, whole(kBegin + "().."), "something follows its end");
  EXPECT_PRED2(contains, whole(kBegin + "ios\nsystem\n."), "opcode 105");  // INST
  EXPECT_PRED2(contains, says("\x93"), "opcode 147");                      // STACK_GLOBAL
  EXPECT_PRED2(contains, says("X\xff\xff\xff\xff"s), "cut off");
}

TEST(ValidatePickle, RefusesWhatAnUnpicklerWouldTakeFromNowhere) {
  EXPECT_PRED2(contains, whole(kBegin + "t."), "a mark where there is none");
  EXPECT_PRED2(contains, whole(kBegin + "\x85."), "a value where there is none");
  EXPECT_PRED2(contains, whole(kBegin + "(e."), "a value where there is none");
  EXPECT_PRED2(contains, whole(kBegin + "q\0."s), "takes a value where there is none");
  EXPECT_PRED2(contains, whole(kBegin + "Q."), "a value where there is none");
  EXPECT_PRED2(contains, whole(kBegin + "R."), "a value where there is none");
  EXPECT_PRED2(contains, says("h\7"), "reads back a value that it has not stored");
  EXPECT_PRED2(contains, says("Nr\xff\xff\xff\xff"), "a number that is not the next");
  EXPECT_PRED2(contains, says("}(Nu"), "a key without a value");
  EXPECT_PRED2(contains, says("](NNu"), "fills something that is not a list or dict");
}

TEST(ValidatePickle, RefusesDepth) {
  std::string nested = "N";
  for (int i = 0; i < 401; ++i) nested += "\x85";
  EXPECT_PRED2(contains, says(nested), "more than 400 levels");
  // Filled from without, each list would seem shallow.
  EXPECT_PRED2(contains, says("]q\0](h\0e0(Ne"s), "opcode 48");
  EXPECT_PRED2(contains, says("]q\0h\0(Ne"s), "filled after it was used");
  const std::string type = "List" + std::string(65, '[');
  EXPECT_PRED2(contains, says("ctorch.jit._pickle\nrestore_type_tag\n]" + text(type) + "\x86R"),
               "a type is malformed");
}

TEST(ValidatePickle, RefusesTensorsBeyondTheirStorage) {
  const std::string floats = storage("FloatStorage", 2);
  EXPECT_PRED2(contains, says(tensor(floats, 0, 3, 1), true), "beyond its storage of 2 elements");
  EXPECT_PRED2(contains, says(tensor(floats, 1, 2, 1), true), "beyond its storage");
  EXPECT_PRED2(contains, says(tensor(floats, 0, 2, 2), true), "beyond its storage");
  EXPECT_PRED2(contains, says(tensor(floats, 3, 0, 1), true), "beyond its storage");
  EXPECT_EQ(says(tensor(floats, 2, 0, 1), true), kAccepted);
  EXPECT_PRED2(contains, says(tensor(storage("FloatStorage", 3), 0, 2, 1), true),
               "'0' has 8 bytes and not 3 elements of 4");
  EXPECT_PRED2(contains, says(tensor(storage("FloatStorage", 2, "1"), 0, 2, 1), true),
               "there is no storage '1'");
  EXPECT_PRED2(contains, says(tensor(storage("FloatStorage", 2, "0", "cuda:0"), 0, 2, 1), true),
               "not on the CPU");
  EXPECT_PRED2(contains,
               says(tensor(storage("FloatStorage", 2, "../../etc/passwd"), 0, 2, 1), true),
               "there is no storage");
}

TEST(ValidatePickle, RefusesQuantizedTensorsThatDoNotFit) {
  const std::string stored = storage("QInt8Storage", 8);
  const auto quantized = [&](const std::string& scheme) {
    return says("ctorch._utils\n_rebuild_qtensor\n(" + stored + byte(0) + byte(8) + "\x85" +
                    byte(1) + "\x85" + scheme + "\x89" + kHooks + "tR",
                true);
  };
  const std::string scale = "G\0\0\0\0\0\0\0\0"s;
  EXPECT_EQ(quantized("ctorch\nper_tensor_affine\n" + scale + byte(0) + "\x87"), kAccepted);
  EXPECT_PRED2(contains, quantized("ctorch\nper_tensor_affine\n" + byte(1) + byte(0) + "\x87"),
               "do not fit");
  const std::string one = tensor(storage("LongStorage", 1), 0, 1, 1);
  EXPECT_PRED2(contains, quantized("(ctorch\nper_channel_affine\n" + one + one + byte(0) + "t"),
               "do not fit");
  EXPECT_PRED2(contains, quantized("(ctorch\nper_channel_affine\n" + one + one + byte(1) + "t"),
               "do not fit");
}

}  // namespace
}  // namespace edge_runner::testing
