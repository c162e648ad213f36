// The program as a user has it: exit codes, JSON, messages.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "bundles.hpp"
#include "processes.hpp"
#include "tool/files.hpp"
#include "tool/frames.hpp"
#include "tool/npy.hpp"

namespace edge_runner::tool {
namespace {

using nlohmann::json;
using test::call;
using test::changed;
using test::Scratch;

const std::string bundle = test::golden().string();

json parsed(const std::string& text) {
  json value = json::parse(text, nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << text;
  return value;
}

TEST(Info, TellsWhatTheBundleHolds) {
  const auto told = call({"info", bundle, "--json"});
  EXPECT_EQ(told.code, 0) << told.err;
  const json facts = parsed(told.out);
  EXPECT_EQ(facts["name"], "bars");
  EXPECT_EQ(facts["artifacts"].size(), 4U);
  EXPECT_EQ(facts["inputs"][0]["shape"], json({nullptr, nullptr, nullptr, 1}));
  EXPECT_EQ(facts["backends"].back(), "null");
  EXPECT_NE(call({"info", bundle}).out.find("onnx-fp32"), std::string::npos);
}

TEST(Info, LoadsNoBackend) {
  if (!EDGE_HAS_ONNXRUNTIME) GTEST_SKIP() << "built without ONNX Runtime";
  const auto told = call({"info", bundle}, "", "LD_DEBUG=files");
  EXPECT_EQ(told.err.find("libonnxruntime"), std::string::npos);
  EXPECT_EQ(told.err.find("libtorch"), std::string::npos);
  EXPECT_NE(told.err.find("libedge_runner"), std::string::npos);
}

TEST(Usage, IsRefused) {
  EXPECT_EQ(call({}).code, 2);
  EXPECT_EQ(call({"--help"}).code, 0);
  EXPECT_EQ(call({"--version"}).out, "0.1.0\n");
  EXPECT_EQ(call({"info"}).code, 2);
  EXPECT_EQ(call({"sing", bundle}).code, 2);
  EXPECT_EQ(call({"verify", bundle, "--backend", "tensorrt"}).code, 2);
  EXPECT_EQ(call({"bench", bundle, "--batch", "0"}).code, 2);
  EXPECT_EQ(call({"run", bundle}).code, 2);
  EXPECT_EQ(call({"info", "/no/such/folder"}).code, 2);
  EXPECT_EQ(call({"verify", bundle, "--artifact", "onnx-fp8"}).code, 2);
}

TEST(Damage, IsRefusedWithItsCode) {
  const Scratch scratch;
  const auto folder = changed(scratch, [](json&) {});
  std::ofstream(folder / "labels.txt", std::ios::app) << "one more";
  const auto verified = call({"verify", folder.string(), "--json"});
  EXPECT_EQ(verified.code, 4) << verified.out;
  const std::string code = parsed(verified.out)["error"]["code"];
  EXPECT_TRUE(code == "wrong-size" || code == "wrong-hash") << code;
  EXPECT_EQ(call({"info", scratch.path().string()}).code, 4);
}

class WithBackends : public testing::Test {
 protected:
  void SetUp() override {
    if (!EDGE_HAS_ONNXRUNTIME || !EDGE_HAS_LIBTORCH) GTEST_SKIP() << "not both backends";
  }
};

TEST_F(WithBackends, VerifyPassesTheFrozenBundle) {
  const auto told = call({"verify", bundle, "--json"});
  EXPECT_EQ(told.code, 0) << told.out << told.err;
  EXPECT_EQ(told.err, "");
  const json result = parsed(told.out);
  EXPECT_EQ(result["verdict"], "pass");
  ASSERT_EQ(result["rows"].size(), 4U);
  for (const json& row : result["rows"]) {
    EXPECT_EQ(row["verdict"], "pass") << row;
    EXPECT_EQ(row["top1"], 1.0);
    EXPECT_LT(row["max_abs"].get<double>(), row["precision"] == "fp32" ? 1e-6 : 0.02);
  }
}

TEST_F(WithBackends, VerifyFailsWhereAToleranceIsPassed) {
  const Scratch scratch;
  const auto folder = changed(scratch, [](json& manifest) {
    for (json& artifact : manifest["artifacts"]) artifact["tolerances"][0]["min_sqnr_db"] = 130;
  });
  const auto told = call({"verify", folder.string(), "--json"});
  EXPECT_EQ(told.code, 1);
  const json result = parsed(told.out);
  EXPECT_EQ(result["verdict"], "fail");
  for (const json& row : result["rows"]) {
    EXPECT_EQ(row["verdict"], row["precision"] == "int8" ? "fail" : "pass");
    EXPECT_EQ(row["reasons"].empty(), row["verdict"] == "pass");
  }
}

TEST_F(WithBackends, VerifyWithoutGoldenSamplesShowsNothing) {
  const Scratch scratch;
  const auto folder = changed(scratch, [](json& manifest) { manifest["golden"] = json::array(); });
  const auto told = call({"verify", folder.string(), "--json"});
  EXPECT_EQ(told.code, 1);
  EXPECT_EQ(parsed(told.out)["verdict"], "inconclusive");
}

TEST_F(WithBackends, WhatIsMissingIsSkippedUnlessItWasNamed) {
  const Scratch empty;
  const std::string hide = "EDGE_RUNNER_LIBTORCH='" + empty.path().string() + "'";
  const auto told = call({"verify", bundle, "--json"}, "", hide);
  EXPECT_EQ(told.code, 0);
  const json found = parsed(told.out);
  for (const json& row : found["rows"]) {
    EXPECT_EQ(row["verdict"], row["format"] == "onnx" ? "pass" : "skipped");
  }
  const auto named = call({"verify", bundle, "--backend", "libtorch", "--json"}, "", hide);
  EXPECT_EQ(named.code, 3);
  EXPECT_EQ(parsed(named.out)["error"]["code"], "no-backend");
}

class Run : public WithBackends {
 protected:
  Scratch scratch;
  std::string file(const char* name, const Tensor& tensor) {
    const auto path = scratch.path() / name;
    EXPECT_TRUE(write_file(path, to_npy(tensor)));
    return path.string();
  }
  std::string raw(std::size_t number) {
    return bundle + "/golden/00" + std::to_string(number) + ".input.bin";
  }
};

TEST_F(Run, AnswersForFilesOneByOneAndInBatches) {
  std::vector<std::string> arguments = {"run", bundle, "--artifact", "onnx-fp32", "--json"};
  for (const char* name : {"a.npy", "b.npy", "c.npy"}) {
    arguments.push_back(file(name, test::picture(1, static_cast<unsigned>(name[0]))));
  }
  arguments.push_back(file("two.npy", test::picture(2, 9)));
  const auto single = call(arguments);
  ASSERT_EQ(single.code, 0) << single.err;
  const json one = parsed(single.out);
  ASSERT_EQ(one["samples"].size(), 5U);
  EXPECT_EQ(one["samples"][4]["row"], 1);
  EXPECT_EQ(one["samples"][0]["outputs"][0]["top"].size(), 3U);
  arguments.insert(arguments.end(), {"--batch", "4"});
  const json batched = parsed(call(arguments).out);
  for (std::size_t i = 0; i < 5; ++i) {
    const json& a = one["samples"][i]["outputs"][0]["top"];
    const json& b = batched["samples"][i]["outputs"][0]["top"];
    EXPECT_EQ(a[0]["label"], b[0]["label"]);
    EXPECT_NEAR(a[0]["score"].get<double>(), b[0]["score"].get<double>(), 1e-5);
  }
}

TEST_F(Run, KeepsOutputsAndReadsRawNumbers) {
  const auto out = (scratch.path() / "out").string();
  const auto told = call({"run", bundle, raw(0), "--shape", "1,8,8,1", "--out", out, "--top", "1"});
  ASSERT_EQ(told.code, 0) << told.err;
  const auto kept = read_file(out + "/000.input.bin.0.npy");
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(parse_npy(*kept, "kept")->shape, (Shape{1, 3}));
  EXPECT_EQ(std::count(told.out.begin(), told.out.end(), ','), 0) << "one class: " << told.out;
}

TEST_F(Run, NamesTheFileThatIsWrong) {
  const auto wrong = file("wrong.npy", Tensor{DType::float32, {1, 8, 8, 1}, Bytes(256)});
  const auto told = call({"run", bundle, wrong, "--json"});
  EXPECT_EQ(told.code, 2);
  EXPECT_NE(told.err.find("wrong.npy: image: given float32"), std::string::npos) << told.err;
  EXPECT_EQ(parsed(told.out)["error"]["code"], "bad-input");
  EXPECT_EQ(call({"run", bundle, (scratch.path() / "none.png").string()}).code, 2);
}

TEST_F(Run, AFullDiskIsNoSuccess) {
  const auto told = call({"run", bundle, raw(0), "--shape", "1,8,8,1", "--out", "/proc/no"});
  EXPECT_EQ(told.code, 2) << told.err;
}

TEST(Bench, SaysWhatWasMeasured) {
  const auto told = call({"bench", bundle, "--backend", "null", "--runs", "70", "--seconds", "0",
                          "--warm-up", "0", "--batch", "3", "--json"});
  ASSERT_EQ(told.code, 0) << told.err;
  const json row = parsed(told.out);
  EXPECT_EQ(row["runtime"], "cpp-null");
  EXPECT_EQ(row["runs"], 70);
  EXPECT_EQ(row["latencies_ms"].size(), 70U);
  EXPECT_LE(row["p50_ms"], row["p90_ms"]);
  EXPECT_TRUE(row["p99_ms"].is_null());  // 662 runs would say something
  EXPECT_EQ(row["sha256"].get<std::string>().size(), 64U);
  EXPECT_EQ(row["digest"].get<std::string>().size(), 64U);
  EXPECT_GT(row["peak_bytes"], 1000000);
}

TEST(Exec, AnswersFramesAndGoesOnAfterABadOne) {
  std::ostringstream questions;
  write_frame(questions, Json::object(), {test::picture(2)});
  write_frame(questions, Json::object(), {});
  write_frame(questions, {{"tensors", Json::array()}}, {});
  write_frame(questions, Json::object(), {test::picture(5)});
  std::string input = questions.str();
  // The second frame has no list of tensors: it is none, and ends the talk.
  const auto broken = call({"exec", bundle, "--backend", "null"}, input);
  EXPECT_EQ(broken.code, 2) << broken.err;

  std::ostringstream better;
  write_frame(better, Json::object(), {test::picture(2)});
  write_frame(better, {{"tensors", Json::array()}}, {});
  write_frame(better, Json::object(), {test::picture(5)});
  const auto told = call({"exec", bundle, "--backend", "null"}, better.str());
  ASSERT_EQ(told.code, 0) << told.err;
  std::istringstream answers(told.out);
  const auto json_of = [&] {
    std::string head(4, '\0');
    answers.read(head.data(), 4);
    std::string text(static_cast<unsigned char>(head[0]) |
                         static_cast<unsigned>(static_cast<unsigned char>(head[1])) << 8U,
                     '\0');
    answers.read(text.data(), static_cast<std::streamsize>(text.size()));
    return parsed(text);
  };
  EXPECT_EQ(json_of()["runtime"], "cpp-null");
  const json first = json_of();
  EXPECT_EQ(first["tensors"][0]["shape"], json({2, 3}));
  EXPECT_GT(first["nanoseconds"], 0);
  answers.ignore(2 * 3 * 4);
  EXPECT_EQ(json_of()["error"]["code"], "bad-input");
  EXPECT_EQ(json_of()["tensors"][0]["shape"], json({5, 3}));
}

TEST(Exec, SaysWhyItCannotOpen) {
  const auto told = call({"exec", "/no/such/folder"});
  EXPECT_EQ(told.code, 2);
  EXPECT_NE(told.out.find("\"error\""), std::string::npos);
}

}  // namespace
}  // namespace edge_runner::tool
