#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "model_files.hpp"

namespace edge_runner::testing {
namespace {

const std::string kAccepted = "accepted";

// A tensor's fields: type, dims and whatever holds its numbers.
std::string tensor(std::uint64_t type, std::initializer_list<std::uint64_t> dims,
                   const std::string& data) {
  std::string fields = number(2, type) + bytes(8, "w");
  for (const std::uint64_t size : dims) fields += number(1, size);
  return onnx_model(onnx_tensor(fields + data));
}

std::string raw(std::size_t size) { return bytes(9, std::string(size, '\1')); }

TEST(ValidateOnnx, TakesRealFiles) {
  for (const std::string folder :
       {EDGE_GOLDEN "/bundle-v1/artifacts", EDGE_FUZZ_CORPUS "/validate_onnx"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".onnx") continue;
      EXPECT_EQ(onnx_says(read_text(entry.path())), kAccepted) << entry.path();
    }
  }
  EXPECT_EQ(onnx_says(onnx_model()), kAccepted);
}

TEST(ValidateOnnx, RefusesWhatIsNoProtobuf) {
  EXPECT_PRED2(contains, onnx_says(""), "empty");
  EXPECT_PRED2(contains, onnx_says("\x08"), "a number is cut off");
  EXPECT_PRED2(contains, onnx_says("\x3a\x05graph"), "wire type");  // 'g' begins a group
  EXPECT_PRED2(contains, onnx_says(onnx_model() + "\x3a\x7f"), "longer than what holds it");
  EXPECT_PRED2(contains, onnx_says(std::string(1, '\0') + '\0'), "number is out of range");
  EXPECT_PRED2(contains, onnx_says("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "cut off");
  EXPECT_PRED2(contains, onnx_says("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "tag is cut off");
}

TEST(ValidateOnnx, RefusesFieldsThatTheFormatHasNot) {
  EXPECT_PRED2(contains, onnx_says(onnx_model("", number(99, 1))), "ModelProto has no field 99");
  EXPECT_PRED2(contains, onnx_says(onnx_model("", number(2, 1))),
               "producer_name is of another kind");
  EXPECT_PRED2(contains, onnx_says(onnx_model("", number(1, 8))), "ir_version appears twice");
  EXPECT_PRED2(contains, onnx_says(onnx_model("", bytes(7, bytes(2, "g")))), "graph appears twice");
  EXPECT_PRED2(contains, onnx_says(onnx_model("", bytes(25, bytes(1, "f")))), "it has functions");
  EXPECT_PRED2(contains, onnx_says(onnx_model(bytes(15, bytes(1, "s")))),
               "it has sparse_initializer");
}

TEST(ValidateOnnx, RefusesVersionsAndDomains) {
  EXPECT_PRED2(contains, onnx_says(bytes(7, "")), "ir_version is 0");
  EXPECT_PRED2(contains, onnx_says(number(1, 101) + bytes(7, "")), "ir_version is 101");
  EXPECT_PRED2(contains, onnx_says(number(1, 8)), "it has no graph");
  EXPECT_PRED2(contains, onnx_says(number(1, 8) + bytes(7, "")), "imports no version");
  const auto imports = [](std::string_view domain, std::uint64_t version) {
    return onnx_says(onnx_model("", bytes(8, bytes(1, domain) + number(2, version))));
  };
  EXPECT_EQ(imports("com.microsoft", 1), kAccepted);
  EXPECT_PRED2(contains, imports("com.microsoft", 0), "imports version 0 of 'com.microsoft'");
  EXPECT_PRED2(contains, imports("evil", 1), "unknown domain 'evil'");
  EXPECT_PRED2(contains, imports("ai.onnx", 17), "imports the domain '' twice");
}

TEST(ValidateOnnx, RefusesOperators) {
  const auto node = [](std::string_view domain, std::string_view type) {
    return onnx_says(onnx_model(onnx_node(bytes(4, type) + bytes(7, domain) + bytes(3, "n"))));
  };
  EXPECT_EQ(node("", "Conv"), kAccepted);
  EXPECT_EQ(node("com.microsoft", "QLinearAdd"), kAccepted);
  EXPECT_PRED2(contains, node("", ""), "graph 'main'.node[1] 'n': it has no op_type");
  EXPECT_PRED2(contains, node("evil", "Conv"), "'Conv' is of the domain 'evil'");
  EXPECT_PRED2(contains, node("com.microsoft", "EPContext"), "'EPContext' is not one");
  EXPECT_PRED2(contains, node("ai.onnx.ml", "ZipMap"), "domain 'ai.onnx.ml'");
}

TEST(ValidateOnnx, LooksIntoSubgraphs) {
  const std::string bad = onnx_node(bytes(4, "Conv") + bytes(7, "evil"));
  const std::string attribute = bytes(1, "body") + number(20, 5) + bytes(6, bad + bytes(2, "loop"));
  const std::string says = onnx_says(onnx_model(onnx_node(bytes(4, "Loop") + bytes(5, attribute))));
  EXPECT_PRED2(contains, says, "graph 'main'.node[1].attribute[0] 'body'.g 'loop'.node[0]: ");
}

TEST(ValidateOnnx, RefusesDepth) {
  std::string graph = bytes(2, "inmost");
  for (int level = 0; level < 40; ++level) {
    graph = onnx_node(bytes(4, "If") + bytes(5, bytes(6, graph)));
  }
  EXPECT_PRED2(contains, onnx_says(onnx_model(graph)), "nested more than 64 messages deep");
  std::string type;
  for (int level = 0; level < 40; ++level) type = bytes(4, bytes(1, type));
  EXPECT_PRED2(contains, onnx_says(onnx_model(bytes(11, bytes(2, type)))), "64 messages deep");
}

TEST(ValidateOnnx, RefusesExternalData) {
  const std::string place = bytes(13, bytes(1, "location") + bytes(2, "/etc/passwd"));
  EXPECT_PRED2(contains, onnx_says(tensor(1, {2}, raw(8) + place)), "outside the file");
  EXPECT_PRED2(contains, onnx_says(tensor(1, {2}, raw(8) + number(14, 1))), "outside the file");
  EXPECT_EQ(onnx_says(tensor(1, {2}, raw(8) + number(14, 0))), kAccepted);
}

TEST(ValidateOnnx, ComparesBytesWithDims) {
  EXPECT_EQ(onnx_says(tensor(1, {2, 3}, raw(24))), kAccepted);
  EXPECT_EQ(onnx_says(tensor(1, {}, raw(4))), kAccepted);
  EXPECT_EQ(onnx_says(tensor(1, {0, 7}, "")), kAccepted);
  EXPECT_PRED2(contains, onnx_says(tensor(1, {2, 3}, raw(20))),
               "'w': it has 20 bytes where its dims and type ask for 24");
  EXPECT_PRED2(contains, onnx_says(tensor(7, {2}, raw(8))),
               "8 bytes where its dims and type ask for 16");
  EXPECT_PRED2(contains, onnx_says(tensor(1, {2}, "")),
               "0 elements where its dims and type ask for 2");
  EXPECT_PRED2(contains, onnx_says(tensor(1, {~std::uint64_t{0}}, raw(4))), "an axis is negative");
  EXPECT_PRED2(contains, onnx_says(tensor(1, {1U << 31U, 1U << 31U, 4}, raw(4))), "2^53");
  EXPECT_PRED2(contains, onnx_says(tensor(11, {std::uint64_t{1} << 50U}, raw(4))), "2^53 bits");
  EXPECT_PRED2(contains, onnx_says(tensor(0, {1}, raw(4))), "its type is 0");
  EXPECT_PRED2(contains, onnx_says(tensor(99, {1}, raw(4))), "its type is 99");
}

TEST(ValidateOnnx, KnowsTypesOfLessThanAByte) {
  constexpr std::uint64_t kInt4 = 22, kUint2 = 25;
  EXPECT_EQ(onnx_says(tensor(kInt4, {3}, raw(2))), kAccepted);
  EXPECT_EQ(onnx_says(tensor(kUint2, {5}, raw(2))), kAccepted);
  EXPECT_PRED2(contains, onnx_says(tensor(kInt4, {3}, raw(3))), "3 bytes where");
  EXPECT_EQ(onnx_says(tensor(kInt4, {3}, bytes(5, "\x21\x03"))), kAccepted);
  EXPECT_PRED2(contains, onnx_says(tensor(kInt4, {3}, bytes(5, "\1\2\3"))), "3 elements where");
}

TEST(ValidateOnnx, CountsNumbersAndStrings) {
  constexpr std::uint64_t kString = 8, kComplex = 14, kFloat16 = 10;
  EXPECT_EQ(onnx_says(tensor(1, {2}, bytes(4, std::string(8, '\0')))), kAccepted);
  EXPECT_EQ(onnx_says(tensor(7, {2}, number(7, 1) + number(7, ~std::uint64_t{0}))), kAccepted);
  EXPECT_EQ(onnx_says(tensor(kFloat16, {2}, bytes(5, "\1\2"))), kAccepted);
  EXPECT_EQ(onnx_says(tensor(kComplex, {1}, bytes(4, std::string(8, '\0')))), kAccepted);
  EXPECT_EQ(onnx_says(tensor(kString, {2}, bytes(6, "a") + bytes(6, ""))), kAccepted);
  EXPECT_PRED2(contains, onnx_says(tensor(kString, {2}, bytes(6, "a"))), "1 elements where");
  EXPECT_PRED2(contains, onnx_says(tensor(kString, {1}, raw(1))), "strings stand in its raw_data");
  EXPECT_PRED2(contains, onnx_says(tensor(1, {1}, number(7, 1))), "the field of another type");
  EXPECT_PRED2(contains, onnx_says(tensor(7, {1}, number(7, 1) + raw(8))),
               "both raw_data and numbers");
  EXPECT_PRED2(contains, onnx_says(tensor(7, {1}, bytes(7, "\xff"))),
               "int64_data is of another kind");
  EXPECT_PRED2(contains, onnx_says(tensor(1, {1}, bytes(4, "abc"))),
               "float_data is of another kind");
}

TEST(ValidateOnnx, RefusesNegativeAxesOfValues) {
  const auto value = [](std::uint64_t size) {
    const std::string shape = bytes(2, bytes(1, number(1, size)));
    return onnx_says(
        onnx_model(bytes(11, bytes(1, "x") + bytes(2, bytes(1, number(1, 1) + shape)))));
  };
  EXPECT_EQ(value(3), kAccepted);
  EXPECT_PRED2(contains, value(~std::uint64_t{0}), "an axis is negative");
}

}  // namespace
}  // namespace edge_runner::testing
