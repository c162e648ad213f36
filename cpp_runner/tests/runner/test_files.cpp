// Arrays and pictures from files, good and bad.
#include <gtest/gtest.h>
#include <png.h>
#include <turbojpeg.h>

#include <array>

#include "bundles.hpp"
#include "tool/files.hpp"
#include "tool/npy.hpp"
#include "tool/pictures.hpp"

namespace edge_runner::tool {
namespace {

Bytes bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string header(const std::string& dict, char version = 1) {
  const std::string text = dict + "\n";
  std::string start = std::string("\x93NUMPY") + version + '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    start += static_cast<char>((text.size() >> (8 * i)) & 0xFF);
  }
  return start + text;
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
  refused(parse_npy(bytes_of("no array at all"), "x"), "is not an .npy file");
  refused(parse_npy({}, "x"), "is not an .npy file");
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

// The format lets a writer choose what NumPy always writes in one way.
TEST(Npy, WhatOtherWritersMayWrite) {
  for (const std::string dict : {
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }",
           "{'shape': (2, 1), 'descr': '<f4', 'fortran_order': False}",
           "{\"fortran_order\":False,\"shape\":(2,1,),\"descr\":\"f4\"}",
           " {\n'descr' : '=f4' ,\t'fortran_order' : False , 'shape' : ( 2 , 1 ) , } ",
       }) {
    for (const char version : {char{1}, char{2}, char{3}}) {
      const auto read = parse_npy(bytes_of(header(dict, version) + "12345678"), "x");
      ASSERT_TRUE(read) << dict << ": " << read.error().message;
      EXPECT_EQ(read->dtype, DType::float32);
      EXPECT_EQ(read->shape, (Shape{2, 1}));
      EXPECT_EQ(read->data, bytes_of("12345678"));
    }
  }
  const auto one = parse_npy(
      bytes_of(header("{'descr': '>u1', 'fortran_order': True, 'shape': (3,)}") + "abc"), "x");
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->dtype, DType::uint8);
  const auto none = parse_npy(
      bytes_of(header("{'descr': '|b1', 'fortran_order': False, 'shape': ()}") + "\x01"), "x");
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_EQ(none->shape, Shape{});
}

TEST(Npy, HeadersOfAnotherKind) {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}";
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    refused(parse_npy(bytes_of(header(good.substr(0, cut)) + "12345678"), "x"), "another kind");
  }
  for (const std::string dict : {
           "{'descr': '<f4', 'fortran_order': False}",
           "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), 'more': 1}",
           "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 1)}",
           "{'descr': '<\\x66', 'fortran_order': False, 'shape': (2, 1)}",
           "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2 1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2,, 1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1000000000000000)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)} + 1",
           "{, 'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}",
       }) {
    refused(parse_npy(bytes_of(header(dict) + "12345678"), "x"), "another kind");
  }
  std::string axes;
  for (int i = 0; i < 65; ++i) axes += "1, ";
  refused(parse_npy(
              bytes_of(header("{'descr': '|u1', 'fortran_order': False, 'shape': (" + axes + ")}")),
              "x"),
          "another kind");
  refused(parse_npy(bytes_of(header(good, 4) + "12345678"), "x"), "a version of .npy");
}

TEST(Npy, LongHeaders) {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}";
  const auto padded = [&](std::size_t blanks, char version) {
    return bytes_of(header(good + std::string(blanks, ' '), version) + "12345678");
  };
  EXPECT_TRUE(parse_npy(padded(10'000 - good.size() - 1, 1), "x"));
  refused(parse_npy(padded(10'000 - good.size(), 1), "x.npy"),
          "x.npy: has a header of 10001 bytes; at most 10000 are read");
  refused(parse_npy(padded(51'000, 1), "x"), "at most 10000");
  refused(parse_npy(padded(10'000'000, 2), "x"), "at most 10000");
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

// A PNG of `size` bytes whose header, with its right checksum, says that it is this large.
Bytes png_that_claims(std::uint32_t width, std::uint32_t height) {
  Bytes file = png(rgb, 3, 2, PNG_FORMAT_RGB);
  const auto put = [&](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i)
      file[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
  };
  put(16, width);
  put(20, height);
  std::uint32_t crc = ~0U;  // of the chunk's name and data
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= std::to_integer<std::uint32_t>(file[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
  }
  put(29, ~crc);
  return file;
}

// A JPEG whose header says that it is this large.
Bytes jpeg_that_claims(unsigned width, unsigned height) {
  Bytes file = jpeg(std::vector<std::uint8_t>(64, 50), 8, 8, TJPF_GRAY, TJSAMP_GRAY);
  const std::array start = {std::byte{0xFF}, std::byte{0xC0}};
  const auto frame = std::search(file.begin(), file.end(), start.begin(), start.end());
  frame[5] = static_cast<std::byte>(height >> 8);
  frame[6] = static_cast<std::byte>(height);
  frame[7] = static_cast<std::byte>(width >> 8);
  frame[8] = static_cast<std::byte>(width);
  return file;
}

TEST(Pictures, TooLargeToBeDecoded) {
  const std::string most = "at most 89478485 in all and 65535 a side are decoded";
  refused(decode_picture(png_that_claims(32768, 32768), 3, "x.png"),
          "x.png is a picture of 32768 x 32768 pixels; " + most);
  refused(decode_picture(png_that_claims(0x7FFFFFFF, 0x7FFFFFFF), 3, "x.png"), most);
  refused(decode_picture(png_that_claims(65536, 1), 3, "x.png"), most);
  refused(decode_picture(jpeg_that_claims(65500, 65500), 3, "x.jpg"),
          "x.jpg is a picture of 65500 x 65500 pixels; " + most);
  refused(decode_picture(jpeg_that_claims(9460, 9459), 3, "x.jpg"), most);
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
}  // namespace edge_runner::tool
