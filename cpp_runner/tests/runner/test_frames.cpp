// What goes between edge-runner exec and the program that feeds it.
#include <gtest/gtest.h>

#include <sstream>

#include "bundles.hpp"
#include "tool/frames.hpp"

namespace edge_runner::tool {
namespace {

std::string framed(const std::vector<Tensor>& tensors) {
  std::ostringstream out;
  write_frame(out, Json::object(), tensors);
  return out.str();
}

std::string with_header(const std::string& header) {
  std::string frame;
  for (unsigned shift = 0; shift < 32; shift += 8) {
    frame += static_cast<char>(header.size() >> shift & 0xFF);
  }
  return frame + header;
}

TEST(Frames, ThereAndBack) {
  std::istringstream in(framed({test::picture(2), Tensor{DType::float32, {}, Bytes(4)}}) +
                        framed({test::picture()}));
  const auto first = read_frame(in);
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(*first);
  ASSERT_EQ((*first)->size(), 2U);
  EXPECT_EQ((**first)[0].data, test::picture(2).data);
  EXPECT_EQ((**first)[1].shape, Shape{});
  EXPECT_EQ((*read_frame(in))->size(), 1U);
  EXPECT_FALSE(*read_frame(in)) << "the end";
}

TEST(Frames, NoneAtAll) {
  const std::string whole = framed({test::picture()});
  for (std::size_t size = 1; size < whole.size(); ++size) {
    std::istringstream in(whole.substr(0, size));
    const auto frame = read_frame(in);
    ASSERT_FALSE(frame) << size;
    EXPECT_EQ(frame.error().code, Code::bad_input);
  }
  for (const char* header :
       {"{}", "[]", "{\"tensors\": 3}", "no JSON", "{\"tensors\": [{\"dtype\": \"uint8\"}]}",
        R"({"tensors": [{"dtype": "text", "shape": [1]}]})",
        R"({"tensors": [{"dtype": "uint8", "shape": [-1]}]})",
        R"({"tensors": [{"dtype": "uint8", "shape": [9999999999, 9999999999]}]})"}) {
    std::istringstream in(with_header(header));
    const auto frame = read_frame(in);
    ASSERT_FALSE(frame) << header;
    EXPECT_EQ(frame.error().code, Code::bad_input);
  }
  std::istringstream in("\xFF\xFF\xFF\xFF");
  EXPECT_FALSE(read_frame(in));
}

}  // namespace
}  // namespace edge_runner::tool
