// Arrays and pictures from files, good and bad.
#include <gtest/gtest.h>
#include <png.h>
#include <turbojpeg.h>

#include <array>

#include "bundles.hpp"
#include "tool/files.hpp"
#include "tool/npy.hpp"
#include "tool/pictures.hpp"

namespace edge::tool {
namespace {

Bytes bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string header(const std::string& dict) {
  std::string text = dict + "\n";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size()) + '\0' + text;
}

void refused(const Result<Tensor>& read, const std::string& because) {
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::bad_input);
  EXPECT_NE(read.error().message.find(because), std::string::npos) << read.error().message;
}

TEST(Npy, ThereAndBack) {
  for (const Tensor& tensor :
       {test::picture(3), Tensor{DType::float64, {}, Bytes(8)}, Tensor{DType::int16, {2, 0}, {}},
        Tensor{DType::boolean, {3}, Bytes(3)}}) {
    const Bytes file = to_npy(tensor);
    EXPECT_EQ((file.size() - tensor.data.size()) % 64, 0U);
    const auto read = parse_npy(file, "x.npy");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->dtype, tensor.dtype);
    EXPECT_EQ(read->shape, tensor.shape);
    EXPECT_EQ(read->data, tensor.data);
  }
}

TEST(Npy, WhatIsNone) {
  refused(parse_npy(bytes_of("no array at all"), "x"), "is no .npy file");
  refused(parse_npy({}, "x"), "is no .npy file");
  refused(
      parse_npy(bytes_of(header("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }")), "x"),
      "holds >f4");
  refused(
      parse_npy(bytes_of(header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }")), "x"),
      "holds |O");
  refused(parse_npy(bytes_of(header("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }")),
                    "x"),
          "Fortran");
  refused(
      parse_npy(bytes_of(header("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }")), "x"),
      "has not the bytes of its shape");
  refused(parse_npy(bytes_of(header("{'descr': '<f4', 'fortran_order': False, 'shape': "
                                    "(99999999999, 99999999999, 0), }")),
                    "x"),
          "has not the bytes");
  refused(parse_npy(bytes_of(header("__import__('os').system('true')")), "x"), "another kind");
  Bytes cut = to_npy(test::picture());
  cut.resize(40);
  refused(parse_npy(cut, "x"), "ends within its header");
}

Bytes png(const std::vector<std::uint8_t>& pixels, unsigned width, unsigned height,
          png_uint_32 format) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  png_alloc_size_t size = 0;
  png_image_write_to_memory(&image, nullptr, &size, 0, pixels.data(), 0, nullptr);
  Bytes file(size);
  png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr);
  file.resize(size);
  return file;
}

Bytes jpeg(const std::vector<std::uint8_t>& pixels, int width, int height, int format,
           int sampling) {
  const tjhandle coder = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;
  tjCompress2(coder, pixels.data(), width, 0, height, format, &data, &size, sampling, 100, 0);
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  Bytes file(begin, begin + size);
  tjFree(data);
  tjDestroy(coder);
  return file;
}

const std::vector<std::uint8_t> rgb = {255, 0, 0, 0, 255, 0, 0,   0,   255,
                                       9,   9, 9, 0, 0,   0, 255, 255, 255};

TEST(Pictures, PngAsItIs) {
  const auto colours = decode_picture(png(rgb, 3, 2, PNG_FORMAT_RGB), 3, "x");
  ASSERT_TRUE(colours) << colours.error().message;
  EXPECT_EQ(colours->shape, (Shape{1, 2, 3, 3}));
  EXPECT_TRUE(std::equal(rgb.begin(), rgb.end(), colours->values<std::uint8_t>().begin()));
}

TEST(Pictures, GreyOfColoursAndColoursOfGrey) {
  const auto grey = decode_picture(png(rgb, 3, 2, PNG_FORMAT_RGB), 1, "x");
  ASSERT_TRUE(grey);
  EXPECT_EQ(grey->shape, (Shape{1, 2, 3, 1}));
  const std::array<std::uint8_t, 6> luma = {76, 150, 29, 9, 0, 255};
  EXPECT_TRUE(std::equal(luma.begin(), luma.end(), grey->values<std::uint8_t>().begin()));
  const auto back = decode_picture(png({7, 8}, 2, 1, PNG_FORMAT_GRAY), 3, "x");
  ASSERT_TRUE(back);
  const std::array<std::uint8_t, 6> thrice = {7, 7, 7, 8, 8, 8};
  EXPECT_TRUE(std::equal(thrice.begin(), thrice.end(), back->values<std::uint8_t>().begin()));
}

TEST(Pictures, TransparencyIsDropped) {
  const auto read = decode_picture(png({10, 20, 30, 0}, 1, 1, PNG_FORMAT_RGBA), 3, "x");
  ASSERT_TRUE(read);
  const std::array<std::uint8_t, 3> pixel = {10, 20, 30};
  EXPECT_TRUE(std::equal(pixel.begin(), pixel.end(), read->values<std::uint8_t>().begin()));
}

TEST(Pictures, Jpeg) {
  const std::vector<std::uint8_t> flat(16 * 8 * 3, 100);
  const auto colours = decode_picture(jpeg(flat, 16, 8, TJPF_RGB, TJSAMP_420), 3, "x");
  ASSERT_TRUE(colours) << colours.error().message;
  EXPECT_EQ(colours->shape, (Shape{1, 8, 16, 3}));
  EXPECT_EQ(colours->values<std::uint8_t>()[5], 100);
  const auto grey =
      decode_picture(jpeg(std::vector<std::uint8_t>(64, 50), 8, 8, TJPF_GRAY, TJSAMP_GRAY), 3, "x");
  ASSERT_TRUE(grey);
  EXPECT_EQ(grey->shape, (Shape{1, 8, 8, 3}));
}

TEST(Pictures, Damaged) {
  Bytes file = png(rgb, 3, 2, PNG_FORMAT_RGB);
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto read = decode_picture(std::span(file).first(size), 3, "x.png");
    if (!read) EXPECT_EQ(read.error().code, Code::bad_input);
    else ADD_FAILURE() << size << " bytes of " << file.size() << " were taken";
  }
  file[20] ^= std::byte{0x40};
  refused(decode_picture(file, 3, "x.png"), "x.png is a damaged PNG");
  refused(decode_picture(bytes_of("GIF89a"), 3, "x.jpg"), "x.jpg is a damaged JPEG");
  refused(decode_picture(file, 4, "x.png"), "1 or 3 channels");
}

TEST(Files, WhatThePortTakes) {
  const test::Scratch scratch;
  const auto port = test::opened().manifest().inputs[0];
  const auto path = [&](const char* name) { return (scratch.path() / name).string(); };
  Tensor bare = test::picture();
  bare.shape.erase(bare.shape.begin());
  ASSERT_TRUE(write_file(path("bare.npy"), to_npy(bare)));
  EXPECT_EQ(read_input(port, path("bare.npy"), {})->shape, (Shape{1, 8, 8, 1}));
  ASSERT_TRUE(write_file(path("raw.bin"), test::picture(2).data));
  EXPECT_EQ(read_input(port, path("raw.bin"), {2, 8, 8, 1})->data, test::picture(2).data);
  refused(read_input(port, path("raw.bin"), {}), "give their --shape");
  Port numbers = port;
  numbers.kind = "tensor";
  ASSERT_TRUE(write_file(path("a.PNG"), png(rgb, 3, 2, PNG_FORMAT_RGB)));
  refused(read_input(numbers, path("a.PNG"), {}), "is no picture");
  EXPECT_EQ(read_input(port, path("a.PNG"), {})->shape, (Shape{1, 2, 3, 1}));
  EXPECT_EQ(read_input(port, path("none.npy"), {}).error().code, Code::cannot_read);
  EXPECT_EQ(read_input(port, scratch.path().string(), {}).error().code, Code::cannot_read);
}

}  // namespace
}  // namespace edge::tool
